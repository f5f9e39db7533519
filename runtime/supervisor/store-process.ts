/** The embedded store's process as the supervisor sees it: started, started again when it is lost, handed the pipes of the workers. */
import { spawn, type ChildProcess } from "node:child_process";
import type net from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Clock, Timer } from "../clock.ts";
import { readFromStoreProcess, type ToStoreProcess } from "../store/embedded/messages.ts";
import type { EmbeddedStatus } from "../store/embedded/server.ts";
import { Backoff, RESTART_BACKOFF } from "./backoff.ts";
import { handOver, socketPair } from "./socket-pair.ts";

export interface StoreProcessOptions {
  /** Where lasting keys are kept; "": nowhere. */
  readonly dir: string;
  readonly limitBytes: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onEvent: (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;
  /** The program to run; a test may give another. */
  readonly entry?: string;
}

export interface StoreProcessStatus extends EmbeddedStatus {
  readonly pid: number;
  readonly restarts: number;
}

/** Takes one end of a pipe whose other end the store has. */
export type TakePipe = (pipe: net.Socket) => void;

const ASK_EVERY_MS = 1000;
/** One that says nothing for so long is killed, so that a sound one takes its place. */
const UNRESPONSIVE_MS = 5000;
const START_DEADLINE_MS = 10_000;
const END_GRACE_MS = 1000;
const NO_STATUS: EmbeddedStatus = { keys: 0, bytes: 0, limitBytes: 0, evicted: 0, pipes: 0, logBytes: 0, trouble: "" };

export const STORE_ENTRY = fileURLToPath(new URL(`./store-main${path.extname(import.meta.filename)}`, import.meta.url));

export class StoreProcess {
  readonly #options: StoreProcessOptions;
  readonly #backoff: Backoff;
  readonly #ready = Promise.withResolvers<void>();
  readonly #settled = Promise.withResolvers<void>();
  /** Wait for a process that can take their pipe. */
  #waiting: TakePipe[] = [];
  #child: ChildProcess | null = null;
  #serving = false;
  #startedMs = 0;
  #heardMs = 0;
  #status: EmbeddedStatus = NO_STATUS;
  #failure = "";
  #restarts = 0;
  #timer: Timer | null = null;
  #stopping = false;

  constructor(options: StoreProcessOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ ...RESTART_BACKOFF, random: options.random });
    this.#start();
  }

  /** Resolves when it served for the first time. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }
  /** Resolves then, or when it was lost for the first time. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }
  get pid(): number {
    return this.#child?.pid ?? 0;
  }
  get status(): StoreProcessStatus {
    return { ...this.#status, limitBytes: this.#options.limitBytes, trouble: this.#failure || this.#status.trouble, pid: this.pid, restarts: this.#restarts };
  }

  serves(wanted: { readonly dir: string; readonly limitBytes: number }): boolean {
    return wanted.dir === this.#options.dir && wanted.limitBytes === this.#options.limitBytes;
  }

  /** Now, or as soon as the process can take the other end. */
  givePipe(take: TakePipe): void {
    if (this.#serving) void this.#connect(take);
    else this.#waiting.push(take);
  }

  /** Resolves when it is gone, with all it was told written. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#timer?.cancel();
    this.#waiting = [];
    const child = this.#child;
    if (child === null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    this.#send(child, { kind: "end" });
    const deadline = this.#options.clock.after(END_GRACE_MS, () => child.kill("SIGKILL"));
    await gone;
    deadline.cancel();
  }

  kill(): void {
    this.#stopping = true;
    this.#timer?.cancel();
    this.#child?.kill("SIGKILL");
  }

  #start(): void {
    const { clock, dir, limitBytes, entry = STORE_ENTRY } = this.#options;
    const flags = process.execArgv.filter((flag) => flag.startsWith("--conditions="));
    const child = spawn(process.execPath, [...flags, entry], { stdio: ["ignore", "inherit", "inherit", "ipc"], env: storeEnv(), serialization: "json" });
    this.#child = child;
    this.#startedMs = this.#heardMs = clock.now();
    child.on("message", (message) => this.#heard(child, message));
    child.on("error", (error) => (this.#failure = error.message));
    child.once("exit", (code, signal) => this.#over(signal === null ? `exited with ${code}` : `killed by ${signal}`));
    // A spawn that failed never exits.
    if (child.pid === undefined) child.once("error", () => this.#over("was not started"));
    else this.#send(child, { kind: "init", dir, limitBytes });
    this.#watch();
  }

  #watch(): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(ASK_EVERY_MS, () => {
      const child = this.#child;
      if (child === null) return;
      const silentMs = this.#options.clock.now() - this.#heardMs;
      if (silentMs > (this.#serving ? UNRESPONSIVE_MS : START_DEADLINE_MS)) {
        this.#failure = `said nothing for ${Math.round(silentMs / 1000)} s`;
        child.kill("SIGKILL");
        return;
      }
      if (this.#serving) this.#send(child, { kind: "ask" });
      this.#watch();
    });
  }

  #heard(child: ChildProcess, raw: unknown): void {
    if (child !== this.#child) return;
    const message = readFromStoreProcess(raw);
    this.#heardMs = this.#options.clock.now();
    switch (message?.kind) {
      case "ready": {
        this.#serving = true;
        this.#failure = "";
        this.#ready.resolve();
        this.#settled.resolve();
        this.#options.onEvent("info", "store-started", { pid: this.pid });
        const waiting = this.#waiting;
        this.#waiting = [];
        for (const take of waiting) void this.#connect(take);
        return;
      }
      case "failed":
        this.#failure = message.reason;
        return;
      case "warn":
        this.#options.onEvent("warn", "store", { text: message.text });
        return;
      case "status":
        this.#status = message.status;
        return;
      default:
        this.#failure = "sent something that is no message";
        child.kill("SIGKILL");
    }
  }

  async #connect(take: TakePipe): Promise<void> {
    try {
      const [near, far] = await socketPair();
      const child = this.#child;
      if (child === null || !this.#serving) {
        near.destroy();
        far.destroy();
        if (!this.#stopping) this.#waiting.push(take);
        return;
      }
      // Should it be lost on the way, the near end breaks, and a new pipe is asked for.
      handOver(child, { kind: "pipe" } satisfies ToStoreProcess, far);
      take(near);
    } catch (thrown) {
      this.#options.onEvent("error", "store-pipe-failed", { reason: (thrown as Error).message });
      this.#options.clock.after(ASK_EVERY_MS, () => {
        if (!this.#stopping) this.givePipe(take);
      });
    }
  }

  #send(child: ChildProcess, message: ToStoreProcess): void {
    if (!child.connected) return;
    child.send(message, (error) => {
      if (error !== null) this.#failure ||= error.message;
    });
  }

  #over(how: string): void {
    if (this.#child === null) return;
    this.#child = null;
    this.#serving = false;
    this.#status = NO_STATUS;
    this.#timer?.cancel();
    if (this.#stopping) return;
    this.#failure = this.#failure === "" ? `the store's process ${how}` : `${this.#failure} (${how})`;
    this.#restarts++;
    this.#settled.resolve();
    this.#options.onEvent("error", "store-lost", { detail: this.#failure });
    const waitMs = this.#backoff.next(this.#options.clock.now() - this.#startedMs);
    if (waitMs === 0) this.#start();
    else this.#timer = this.#options.clock.after(waitMs, () => this.#start());
  }
}

/** It needs nothing of what the supervisor was told in secret. With what Node compiled before it starts with 0.1 s of CPU instead of 0.25. */
const STORE_ENV: readonly string[] = ["PATH", "TZ", "TMPDIR", "NODE_COMPILE_CACHE"];

function storeEnv(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => STORE_ENV.includes(name)));
}
