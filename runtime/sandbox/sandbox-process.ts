/** One sandbox process, as its worker sees it: what it was sent, what it owes, whether it still lives, and why it died. */
import type { ChildProcess } from "node:child_process";
import type { Clock } from "../clock.ts";
import { GatewayError } from "../errors.ts";
import { CodecError } from "./codec.ts";
import { FrameLink } from "./frames.ts";
import type { HeldRelease } from "./held-release.ts";
import { loadRecord, pingRecord, unloadRecord } from "./hook-text.ts";
import { MemoryProbe, type MemoryBounds } from "./memory-bounds.ts";
import { readRecords, type RecordEvents } from "./records.ts";
import { Silence, type SilenceLimits } from "./silence.ts";
import { canMoveLimits, spawnSandbox, type Spawned } from "./spawn.ts";
import { CallTable } from "./call-table.ts";
import type { Segment } from "./segment.ts";

/** Evaluating a release's modules. */
const LOAD_TIMEOUT_MS = 5000;
/** … and for each rule in it: 0.3 ms measured, several times that on a busy machine. */
const LOAD_TIMEOUT_PER_RULE_MS = 3;
/** From spawn to a first word: 110 ms measured, many times that on a machine under load. */
const START_TIMEOUT_MS = 10_000;
/** Signals that only someone else sends: not the process's own fault. */
const SENT_SIGNALS: ReadonlySet<NodeJS.Signals> = new Set<NodeJS.Signals>(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]);

export interface Death {
  readonly by: "sluice" | "itself" | "outside";
  readonly reason: string;
  /** Why Sluice ended it, or "". */
  readonly cause: "" | "silent" | "memory" | "protocol" | "closing";
}

export interface ProcessEvents extends Omit<RecordEvents, "loaded" | "pong"> {
  /** A release stands (again). */
  loaded(process: SandboxProcess, release: number): void;
  /** An isolate could not be made anew. */
  pong(process: SandboxProcess): void;
  died(process: SandboxProcess, death: Death): void;
}

export interface ProcessOptions {
  readonly clock: Clock;
  readonly bounds: MemoryBounds;
  /** LOAD's JSON. */
  loadJson(release: HeldRelease): string;
  readonly file?: string;
  readonly warn: (text: string) => void;
  /** Isolates that it will hold from the start. */
  readonly isolates: number;
  /** Gives the receiver of this process's records. */
  events(process: SandboxProcess): ProcessEvents;
}

interface Loading {
  readonly release: HeldRelease;
  resolve(): void;
  reject(error: GatewayError): void;
}

export class SandboxProcess {
  readonly pid: number;
  /** Hook calls that it owes an answer, by number. */
  readonly calls = new CallTable<Segment>();
  /** While a suspect is tried, nothing else is sent: what others would get is kept here. */
  alone: Segment | null = null;
  death: Death | null = null;
  readonly #options: ProcessOptions;
  readonly #events: ProcessEvents;
  readonly #child: ChildProcess;
  readonly #spawned: Spawned;
  readonly #link: FrameLink;
  readonly #probe: MemoryProbe;
  readonly #silence: Silence;
  readonly #loading = new Map<number, Loading>();
  /** Releases it has, and whether their isolates stand. */
  readonly #releases = new Map<number, { readonly release: HeldRelease; stands: boolean }>();
  #seats: number;
  #baselineBytes = 0;
  #held = "";
  /** Counts what was sent for hook calls; a PONG tells up to where it has been worked through. */
  #sent = 0;
  #settled = 0;
  #pinged = -1;
  #started: { resolve(): void; reject(error: GatewayError): void } | null = null;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.#seats = options.bounds.seats(options.isolates, canMoveLimits);
    this.#spawned = spawnSandbox({
      dataLimitBytes: options.bounds.dataLimitBytes(this.#seats),
      warn: options.warn,
      ...(options.file === undefined ? {} : { file: options.file }),
    });
    this.#child = this.#spawned.child;
    this.pid = this.#spawned.pid;
    this.#probe = new MemoryProbe(this.pid);
    this.#silence = new Silence(this.pid, options.clock, {
      isLoading: () => this.#loading.size > 0 || this.#started !== null,
      isMaking: () => [...this.#releases.values()].some(({ stands }) => !stands),
      askOnce: () => {
        if (this.#pinged < 0) this.#ping();
      },
      end: (reason) => this.kill("silent", reason),
    });
    this.#events = options.events(this);
    this.#link = new FrameLink(this.#spawned.pipe, {
      frame: (text) => this.#frame(text),
      broken: (reason) => this.kill("protocol", `it sent ${reason}`),
      // Its exit follows; one that only lets go of the pipe is of no more use.
      closed: () => void options.clock.after(100, () => this.kill("protocol", "it closed its pipe")),
    });
    this.#child.on("exit", (code, signal) => this.#exited(code, signal));
    this.#child.on("error", (error) => this.#die({ by: "itself", reason: error.message, cause: "" }));
  }

  /** Resolves when it has spoken. */
  async start(): Promise<void> {
    const timer = this.#options.clock.after(START_TIMEOUT_MS, () => this.kill("silent", `it did not start within ${START_TIMEOUT_MS} ms`));
    try {
      await new Promise<void>((resolve, reject) => {
        this.#started = { resolve, reject };
        this.#ping();
      });
    } finally {
      timer.cancel();
      this.#started = null;
    }
    this.#options.bounds.learn(this.#probe.read(), 0);
  }

  /** It holds all that it needs to begin: from what it has now its memory is judged. */
  ready(): void {
    this.#baselineBytes = this.#probe.residentBytes();
  }

  /** Rejects with the located reason; the process goes on without the release. */
  async load(release: HeldRelease): Promise<void> {
    if (this.death !== null) throw this.#gone();
    const seats = this.#options.bounds.seats(this.#releases.size + 1, canMoveLimits);
    if (this.#releases.size + 1 >= this.#seats) {
      if (!canMoveLimits)
        throw new GatewayError(
          "SANDBOX_UNAVAILABLE",
          `${this.#releases.size} releases are still in use, and there is no prlimit here to give a sandbox room for more`,
        );
      await this.#spawned.moveDataLimit(this.#options.bounds.dataLimitBytes(seats));
      this.#seats = seats;
    }
    await new Promise<void>((resolve, reject) => {
      this.#loading.set(release.number, { release, resolve, reject });
      const timeoutMs = LOAD_TIMEOUT_MS + release.release.rules.length * LOAD_TIMEOUT_PER_RULE_MS;
      const timer = this.#options.clock.after(timeoutMs, () => {
        if (this.#loading.has(release.number)) this.kill("silent", `loading release ${release.release.id} took longer than ${timeoutMs} ms`);
      });
      const settle = this.#loading.get(release.number)!;
      this.#loading.set(release.number, {
        release,
        resolve: () => (timer.cancel(), settle.resolve()),
        reject: (error) => (timer.cancel(), settle.reject(error)),
      });
      this.#link.send(loadRecord(release.number, this.#options.loadJson(release)));
    });
    if (this.#releases.size === 1) this.#options.bounds.learn(this.#probe.read(), 1);
  }

  unload(release: HeldRelease): void {
    if (!this.#releases.delete(release.number)) return;
    this.#link.send(unloadRecord(release.number));
  }

  get releases(): readonly HeldRelease[] {
    return [...this.#releases.values()].map((entry) => entry.release);
  }
  has(release: number): boolean {
    return this.#releases.has(release);
  }
  /** Can hooks of the release be sent? Not while its isolate is being made anew. */
  stands(release: number): boolean {
    return this.#releases.get(release)?.stands === true && this.death === null;
  }
  get busy(): boolean {
    return this.calls.size > 0 || this.#loading.size > 0 || this.#started !== null;
  }

  /** Sends a record about a hook call. While another is tried alone it waits. */
  send(segment: Segment, record: string): void {
    if (this.death !== null) return;
    segment.sentAs = ++this.#sent;
    if (this.alone !== null && this.alone !== segment) {
      this.#held += record;
      segment.sentAs = 0;
      return;
    }
    this.#link.send(record);
    if (this.alone === segment) this.#ping();
  }

  /** A word about nobody's run: CANCEL. */
  tell(record: string): void {
    if (this.death === null) this.#link.send(record);
  }

  /** Ends a trial: what was held goes out. */
  release(): void {
    this.alone = null;
    const held = this.#held;
    this.#held = "";
    if (held === "" || this.death !== null) return;
    for (const segment of this.calls.list()) if (segment.sentAs === 0) segment.sentAs = ++this.#sent;
    this.#link.send(held);
  }

  /** May this hook call be running now? Not when it has spoken, or a PONG has shown the process at rest, since it was last sent something. */
  mayRun(segment: Segment): boolean {
    return segment.sentAs > this.#settled;
  }

  kill(cause: Death["cause"], reason: string): void {
    if (this.death !== null) return;
    this.#child.kill("SIGKILL");
    this.#die({ by: "sluice", reason, cause });
  }

  /**
   * Called every few milliseconds while it is busy. `elapsedMs` is bounded by the caller, so that a worker that was late itself accuses nobody.
   * Gives the milliseconds until its time is up at the earliest.
   */
  tick(elapsedMs: number, limits: SilenceLimits): number {
    const resident = this.#probe.residentBytes();
    const limit = this.#baselineBytes === 0 ? Infinity : this.#options.bounds.residentLimitBytes(this.#baselineBytes, this.#releases.size);
    if (resident > limit) {
      this.kill("memory", `it held ${Math.round(resident / 1048576)} MiB, ${Math.round(limit / 1048576)} MiB are allowed`);
      return Infinity;
    }
    return this.#silence.tick(elapsedMs, limits);
  }

  /** It owes nothing: the next piece of work starts the count anew. */
  rest(): void {
    this.#silence.broken();
  }

  #ping(): void {
    this.#pinged = this.#sent;
    this.#link.send(pingRecord(this.#sent));
  }

  #frame(text: string): void {
    this.#silence.broken();
    try {
      readRecords(text, this.#receiver);
    } catch (thrown) {
      if (!(thrown instanceof CodecError)) throw thrown;
      this.kill("protocol", `it broke the protocol: ${thrown.message}`);
    }
  }

  /** Records come here first; after a death the rest of the frame is not believed. */
  readonly #receiver: RecordEvents = {
    loaded: (release, ok, json) => this.#loaded(release, ok, json),
    call: (call, callNo, rule, service, args) => {
      if (this.death === null) this.#events.call(call, callNo, rule, service, args);
    },
    done: (call, tail, outcome, by, failure, cpu, effects) => {
      if (this.death === null) this.#events.done(call, tail, outcome, by, failure, cpu, effects);
    },
    tail: (...record) => void (this.death ?? this.#events.tail(...record)),
    stray: (...record) => void (this.death ?? this.#events.stray(...record)),
    lost: (...record) => void (this.death ?? this.#events.lost(...record)),
    isolateLost: (release, reason) => {
      const entry = this.#releases.get(release);
      if (entry !== undefined) entry.stands = false;
      if (this.death === null) this.#events.isolateLost(release, reason);
    },
    pong: (sequence) => {
      if (sequence > this.#sent) throw new CodecError(`PONG ${sequence}, which was never asked`);
      this.#settled = Math.max(this.#settled, sequence);
      if (sequence === this.#pinged) this.#pinged = -1;
      this.#started?.resolve();
      this.#started = null;
      this.#events.pong(this);
    },
  };

  #loaded(number: number, ok: boolean, json: string): void {
    if (this.death !== null) return;
    const loading = this.#loading.get(number);
    this.#loading.delete(number);
    if (!ok) {
      this.#releases.delete(number);
      const error = loadFailure(json, loading?.release ?? null);
      if (loading !== undefined) loading.reject(error);
      else this.kill("protocol", `an isolate could not be made anew: ${error.detail}`);
      return;
    }
    const entry = this.#releases.get(number);
    if (entry !== undefined) entry.stands = true;
    else if (loading !== undefined) this.#releases.set(number, { release: loading.release, stands: true });
    loading?.resolve();
    this.#events.loaded(this, number);
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): void {
    const outside = signal !== null && SENT_SIGNALS.has(signal);
    const said = /(?:FATAL ERROR|Fatal|Error|error)[^\n]*/.exec(this.#spawned.stderr())?.[0];
    const how = signal !== null ? `it was ended by ${signal}` : `it exited with ${code}`;
    this.#die({ by: outside ? "outside" : "itself", reason: said === undefined ? how : `${how}: ${said.slice(0, 300)}`, cause: "" });
  }

  #die(death: Death): void {
    if (this.death !== null) return;
    this.death = death;
    this.#link.close();
    this.#probe.close();
    this.#silence.close();
    this.#held = "";
    const gone = this.#gone();
    for (const loading of this.#loading.values()) loading.reject(gone);
    this.#loading.clear();
    this.#started?.reject(gone);
    this.#started = null;
    this.#events.died(this, death);
  }

  #gone(): GatewayError {
    return new GatewayError("SANDBOX_UNAVAILABLE", `the sandbox process ${this.pid} is gone: ${this.death?.reason ?? ""}`);
  }
}

/** What LOADED said, with stack lines as the rule's author knows them. The cause keeps the parts apart. */
function loadFailure(json: string, release: HeldRelease | null): GatewayError {
  const { rule, message, stack } = loadErrorOf(json);
  const mapped = release === null ? "" : release.stacks.map(stack);
  const place = /\n\s*at (.*)/.exec(mapped)?.[1];
  return new GatewayError("RULE_THREW", `${rule === "" ? "the release" : rule} could not be loaded: ${message}${place === undefined ? "" : ` (at ${place})`}`, {
    cause: { rule, message, stack: mapped },
  });
}

function loadErrorOf(json: string): { rule: string; message: string; stack: string } {
  const text = (value: unknown, fallback: string): string => (typeof value === "string" ? value.slice(0, 4000) : fallback);
  try {
    const { error } = JSON.parse(json) as { error?: { rule?: unknown; message?: unknown; stack?: unknown } };
    return { rule: text(error?.rule, ""), message: text(error?.message, "no reason was given"), stack: text(error?.stack, "") };
  } catch (thrown) {
    throw new CodecError("LOADED without JSON", { cause: thrown });
  }
}
