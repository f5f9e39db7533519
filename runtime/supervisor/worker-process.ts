/** One worker process as the supervisor sees it: started, asked, ended. Every wait has a deadline. */
import { spawn, type ChildProcess } from "node:child_process";
import type net from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Clock, Timer } from "../clock.ts";
import type { PurgeOrder, PurgeReport } from "../cache/cache.ts";
import type { RouteConfig } from "../config/resolved.ts";
import type { WorkerSnapshot } from "../observe/snapshot.ts";
import type { ExplainAsk, Explanation } from "../proxy/explanation.ts";
import type { CanaryTerms } from "../proxy/release-choice.ts";
import type { ShadowOrder } from "../proxy/shadow.ts";
import { ACCEPTS_PER_TURN } from "../proxy/listener.ts";
import type { WorkerInit } from "../proxy/worker.ts";
import { readFromWorker, type AnswerMessage, type Request, type TakenRelease, type ToWorker } from "./messages.ts";
import type { ShownProblem } from "./problem-answer.ts";
import { handOver } from "./socket-pair.ts";
import type { ListeningSocket } from "./sockets.ts";
import type { TailBatch } from "../observe/tail.ts";
import type { TailOrder } from "./tails.ts";

/** `"standby"`: ready, and accepts nothing until it is told to. */
export type WorkerState = "starting" | "standby" | "serving" | "draining" | "ended";

/** What happened when the process was over. */
export interface WorkerEnd {
  /** Closed words, for metrics: how it ended. */
  readonly how: "asked" | "exited" | "killed" | "unresponsive";
  readonly detail: string;
  readonly ranMs: number;
}

export interface WorkerProcessOptions {
  readonly number: number;
  readonly init: Omit<WorkerInit, "listenerFds" | "workerNumber">;
  readonly gateway: string;
  readonly sockets: readonly ListeningSocket[];
  /** The program to run; a test may give another. */
  readonly entry: string;
  readonly clock: Clock;
  /** Asks for a pipe to the embedded store, now or when there is one. */
  readonly givePipe: (take: (pipe: net.Socket) => void) => void;
  /** A preview asks for it; `giveRelease` answers. */
  readonly onWantRelease: (worker: WorkerProcess, id: string) => void;
  readonly onPreviewRefused: (release: string, reason: string, address: string) => void;
  readonly onTail: (worker: WorkerProcess, batch: TailBatch) => void;
  readonly onEnd: (worker: WorkerProcess, end: WorkerEnd) => void;
}

/** Descriptors 0 to 2 and the IPC channel come before the listening sockets. */
const FIRST_SOCKET_FD = 4;
/** A worker has so many copies of each listening socket's descriptor, one behind the other. */
const COPIES = Array.from({ length: ACCEPTS_PER_TURN }, (_, copy) => copy);
const READY_DEADLINE_MS = 60_000;
const ACTIVATE_DEADLINE_MS = 10_000;
/** The store may be away, and its time-out long. */
const PURGE_DEADLINE_MS = 10_000;
/** Rules run, each within its own bounds. */
const EXPLAIN_DEADLINE_MS = 20_000;
const PREPARE_DEADLINE_MS = 60_000;
const SNAPSHOT_DEADLINE_MS = 5_000;
/** Added to limits.drain before a worker that does not come to its end is killed. */
const DRAIN_GRACE_MS = 2_000;
/** A worker that is told to end closes its sandboxes first. */
const END_GRACE_MS = 2_000;
/** Requests that wait for an answer at once: a worker that stops answering must not fill our memory. */
const CALLS_LIMIT = 100;

interface Call {
  readonly resolve: (answer: AnswerMessage) => void;
  readonly reject: (error: Error) => void;
  readonly deadline: Timer;
}

export const WORKER_ENTRY = fileURLToPath(new URL(`./worker-main${path.extname(import.meta.filename)}`, import.meta.url));

export class WorkerProcess {
  readonly number: number;
  readonly startedMs: number;
  readonly startedUnixMs: number;
  /** Resolves when it accepts connections; rejects with the reason when it never will. */
  readonly ready: Promise<void>;
  readonly ended: Promise<WorkerEnd>;
  state: WorkerState = "starting";
  release = "";

  readonly #options: WorkerProcessOptions;
  readonly #child: ChildProcess;
  readonly #calls = new Map<number, Call>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<WorkerEnd>();
  #readyDeadline: Timer;
  #nextCall = 1;
  #failure = "";
  #asked = false;
  #unresponsive = false;

  constructor(options: WorkerProcessOptions) {
    const { clock, init, number, sockets } = options;
    this.#options = options;
    this.number = number;
    this.startedMs = clock.now();
    this.startedUnixMs = clock.unixMs();
    this.ready = this.#ready.promise;
    this.ready.catch(() => undefined);
    this.ended = this.#ended.promise;
    this.#child = spawn(process.execPath, [...conditions(), ...WORKER_FLAGS, options.entry], {
      stdio: ["ignore", "inherit", "inherit", "ipc", ...sockets.flatMap(({ fd }) => COPIES.map(() => fd))],
      env: workerEnv(),
      serialization: "json",
    });
    this.#child.on("message", (message) => this.#heard(message));
    this.#child.on("error", (error) => (this.#failure ||= error.message));
    this.#child.once("exit", (code, signal) => this.#over(code, signal));
    this.#readyDeadline = clock.after(READY_DEADLINE_MS, () => this.#giveUp(`was not ready within ${READY_DEADLINE_MS / 1000} s`));
    this.release = init.release.id;
    // A spawn that failed has no channel, and never emits "exit".
    if (this.#child.pid === undefined) this.#child.once("error", () => this.#over(null, null));
    else
      this.#send({
        kind: "init",
        gateway: options.gateway,
        init: {
          ...init,
          workerNumber: number,
          listenerFds: sockets.map((_, listener) => COPIES.map((copy) => FIRST_SOCKET_FD + listener * COPIES.length + copy)),
        },
      });
  }

  /** 0 when the process could not be made. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** `routes` left out: those that serve there. */
  async prepare(release: WorkerInit["release"], maps: WorkerInit["maps"], routes?: readonly RouteConfig[]): Promise<void> {
    await this.#ask({ ask: "prepare", release, maps, ...(routes === undefined ? {} : { routes }) }, PREPARE_DEADLINE_MS);
  }

  async activate(release: string): Promise<void> {
    await this.#ask({ ask: "activate" }, ACTIVATE_DEADLINE_MS);
    this.release = release;
  }

  /** What was prepared last becomes the canary, or the one that runs takes another share. */
  async runCanary(terms: CanaryTerms): Promise<void> {
    await this.#ask({ ask: "run-canary", terms }, ACTIVATE_DEADLINE_MS);
  }

  async endCanary(): Promise<void> {
    await this.#ask({ ask: "end-canary" }, ACTIVATE_DEADLINE_MS);
  }

  async promoteCanary(release: string): Promise<void> {
    await this.#ask({ ask: "promote-canary", release }, ACTIVATE_DEADLINE_MS);
    this.release = release;
  }

  async previewKey(key: string): Promise<void> {
    await this.#ask({ ask: "preview-key", key }, ACTIVATE_DEADLINE_MS);
  }

  async giveRelease(id: string, taken: TakenRelease | null, reason: string): Promise<void> {
    await this.#ask({ ask: "take-release", id, taken, reason }, ACTIVATE_DEADLINE_MS);
  }

  async explain(ask: ExplainAsk): Promise<Explanation> {
    const { explanation } = await this.#ask({ ask: "explain", explain: ask }, EXPLAIN_DEADLINE_MS);
    if (explanation === undefined) throw new Error(`worker ${this.number} explained nothing`);
    return explanation;
  }

  tail(order: TailOrder): void {
    if (!this.#gone() && this.#child.connected) this.#send({ kind: "tail", tail: order });
  }

  async discard(): Promise<void> {
    await this.#ask({ ask: "discard" }, ACTIVATE_DEADLINE_MS);
  }

  /** Rejects with the reason when the release does not load there. */
  async shadow(order: ShadowOrder | null): Promise<void> {
    await this.#ask({ ask: "shadow", shadow: order }, PREPARE_DEADLINE_MS);
  }

  async showProblem(problem: ShownProblem | null): Promise<void> {
    await this.#ask({ ask: "show-problem", problem }, ACTIVATE_DEADLINE_MS);
  }

  async accept(): Promise<void> {
    await this.#ask({ ask: "accept" }, ACTIVATE_DEADLINE_MS);
    if (this.state === "standby") this.state = "serving";
  }

  async expectProbe(path: string | null): Promise<void> {
    await this.#ask({ ask: "expect-probe", path }, ACTIVATE_DEADLINE_MS);
  }

  async snapshot(deadlineMs = SNAPSHOT_DEADLINE_MS): Promise<WorkerSnapshot> {
    const { snapshot } = await this.#ask({ ask: "snapshot" }, deadlineMs);
    if (snapshot === null) throw new Error(`worker ${this.number} sent no snapshot`);
    return snapshot;
  }

  async purge(order: PurgeOrder, everywhere: boolean): Promise<PurgeReport> {
    const { purged } = await this.#ask({ ask: "purge", order, everywhere }, PURGE_DEADLINE_MS);
    if (purged === undefined) throw new Error(`worker ${this.number} did not say what it purged`);
    return purged;
  }

  /** Drains, ends, and at the latest kills. Resolves when the process is gone; `onLast` takes its last snapshot before. */
  async retire(drainMs: number, onLast: (snapshot: WorkerSnapshot) => void): Promise<void> {
    if (this.state === "ended") return;
    if (this.#asked) return void (await this.ended);
    this.#asked = true;
    const served = this.state === "serving";
    this.state = "draining";
    if (served) {
      try {
        const { snapshot } = await this.#ask({ ask: "drain" }, drainMs + DRAIN_GRACE_MS);
        if (snapshot !== null) onLast(snapshot);
      } catch (thrown) {
        this.#failure ||= `did not drain: ${(thrown as Error).message}`;
      }
    }
    await this.#end();
  }

  /** At once. */
  kill(): void {
    this.#asked = true;
    this.#child.kill("SIGKILL");
  }

  /** It does not answer any more: ended as a crash, so that another takes its place. */
  killUnresponsive(detail: string): void {
    if (this.state === "ended") return;
    this.#unresponsive = true;
    this.#failure ||= detail;
    this.#child.kill("SIGKILL");
  }

  async #end(): Promise<void> {
    if (this.#gone()) return;
    this.#send({ kind: "end" });
    const deadline = this.#options.clock.after(END_GRACE_MS, () => this.#child.kill("SIGKILL"));
    await this.ended;
    deadline.cancel();
  }

  #gone(): boolean {
    return this.state === "ended";
  }

  #ask(request: Request, deadlineMs: number): Promise<AnswerMessage> {
    if (this.#gone() || !this.#child.connected) return Promise.reject(new Error(`worker ${this.number} is gone`));
    if (this.#calls.size >= CALLS_LIMIT) return Promise.reject(new Error(`worker ${this.number} does not answer`));
    const call = this.#nextCall++;
    return new Promise((resolve, reject) => {
      const deadline = this.#options.clock.after(deadlineMs, () => {
        this.#calls.delete(call);
        reject(new Error(`worker ${this.number} did not answer "${request.ask}" within ${deadlineMs} ms`));
      });
      this.#calls.set(call, { resolve, reject, deadline });
      this.#send({ kind: "ask", call, request });
    });
  }

  #send(message: ToWorker): void {
    // A channel that breaks while something is sent is followed by "exit", which settles everything.
    this.#child.send(message, (error) => {
      if (error) this.#failure ||= error.message;
    });
  }

  #heard(raw: unknown): void {
    const message = readFromWorker(raw);
    if (message === null) {
      this.killUnresponsive("sent something that is no message");
      return;
    }
    switch (message.kind) {
      case "ready":
        this.#readyDeadline.cancel();
        if (this.state === "starting") this.state = this.#options.init.standby === true ? "standby" : "serving";
        this.#ready.resolve();
        return;
      case "want-store-pipe":
        this.#options.givePipe((pipe) => handOver(this.#child, { kind: "store-pipe" } satisfies ToWorker, pipe));
        return;
      case "want-release":
        this.#options.onWantRelease(this, message.id);
        return;
      case "preview-refused":
        this.#options.onPreviewRefused(message.release, message.reason, message.address);
        return;
      case "tail":
        this.#options.onTail(this, message.batch);
        return;
      case "failed":
        this.#failure = message.reason;
        return;
      case "answer": {
        const call = this.#calls.get(message.call);
        // An answer after its deadline.
        if (!call) return;
        this.#calls.delete(message.call);
        call.deadline.cancel();
        if (message.ok) call.resolve(message);
        else call.reject(new Error(message.reason));
      }
    }
  }

  #giveUp(why: string): void {
    this.#failure ||= why;
    this.#child.kill("SIGKILL");
  }

  #over(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#gone()) return;
    this.state = "ended";
    this.#readyDeadline.cancel();
    const by = signal ? `killed by ${signal}` : `exited with ${code ?? "no code"}`;
    const detail = this.#failure === "" ? by : `${this.#failure} (${by})`;
    const gone = new Error(this.#failure === "" ? `worker ${this.number} ${signal ? "was " : ""}${by}` : this.#failure);
    this.#ready.reject(gone);
    for (const call of this.#calls.values()) {
      call.deadline.cancel();
      call.reject(gone);
    }
    this.#calls.clear();
    const how = this.#asked ? "asked" : this.#unresponsive ? "unresponsive" : signal ? "killed" : "exited";
    const end = { how, detail, ranMs: this.#options.clock.now() - this.startedMs } as const;
    this.#ended.resolve(end);
    this.#options.onEnd(this, end);
  }
}

/**
 * V8 allocates what has often survived directly in the old generation. Of a proxy's objects some outlive a scavenge just by being in
 * flight; once they are born old they keep all that they point to alive until the next full collection, so that ever more survive.
 * Measured with 50 connections: 7 to 12 ms a scavenge instead of 0.4, and 32 µs of CPU a request instead of 25.
 */
const WORKER_FLAGS: readonly string[] = ["--no-allocation-site-pretenuring"];

/** In a checkout sources run as they are; in a package they are JavaScript. Nothing else of the supervisor's flags is for workers. */
function conditions(): string[] {
  return process.execArgv.filter((flag) => flag.startsWith("--conditions="));
}

/** A worker needs no admin token, and must not take the supervisor's sockets for its own. */
function workerEnv(): NodeJS.ProcessEnv {
  const { SLUICE_ADMIN_TOKEN: _token, LISTEN_FDS: _fds, LISTEN_PID: _pid, LISTEN_FDNAMES: _names, ...env } = process.env;
  return env;
}
