/** One sandbox process, as its worker sees it: what it was sent, what it owes, whether it still lives, and why it died. */
import type { ChildProcess } from "node:child_process";
import type { Clock } from "../clock.ts";
import { GatewayError } from "../errors.ts";
import { CodecError } from "./codec.ts";
import { CoreProbe } from "./core-time.ts";
import { FrameLink } from "./frames.ts";
import type { HeldRelease } from "./held-release.ts";
import { loadRecord, pingRecord, unloadRecord } from "./hook-text.ts";
import { MemoryProbe, type MemoryBounds } from "./memory-bounds.ts";
import { readRecords, type RecordEvents } from "./records.ts";
import { canMoveLimits, spawnSandbox, type Spawned } from "./spawn.ts";
import { CallTable } from "./call-table.ts";
import type { Segment } from "./segment.ts";

/** Evaluating a release's modules. */
const LOAD_TIMEOUT_MS = 5000;
/** … and for each rule in it: 0.3 ms measured, several times that on a busy machine. */
const LOAD_TIMEOUT_PER_RULE_MS = 3;
/** From spawn to a first word: 110 ms measured, many times that on a machine under load. */
const START_TIMEOUT_MS = 10_000;
/** Silence that is excused because the process had no core. More, and the machine is of no use to anybody. */
const MAX_FORGIVEN_MS = 10_000;
/** How late the end of an entry may come on a busy machine before nothing is believed to end it. */
const MAX_LATE_MS = 100;
/** Silence after which it is looked at what all its threads use. */
const PARALLEL_AFTER_MS = 30;
/** As many cores in use, and it is the process's own doing that its main thread stands: it waits for its own threads that collect garbage. */
const PARALLEL_CORES = 1.2;
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
  readonly #core: CoreProbe;
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
  /** Milliseconds without a word while it owes one, counted by `tick`. */
  #silentMs = 0;
  /** Of it, what the process spent waiting for a core is not held against it: up to where that was counted (−1: not yet), and how much was forgiven. */
  #waitedMs = -1;
  #forgivenMs = 0;
  /** Milliseconds on a core when it last spoke, as seen by the tick that followed (−1: not seen yet). */
  #ranMs = -1;
  #queuedMs = 0;
  /** From when on its threads are looked at (−1: not yet), and what they had used by then. */
  #parallelFromMs = -1;
  #allRanMs = 0;
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
    this.#core = new CoreProbe(this.pid);
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
  tick(elapsedMs: number, limits: { silenceMs: number; pingMs: number; coreMs: number }): number {
    const resident = this.#probe.residentBytes();
    const limit = this.#baselineBytes === 0 ? Infinity : this.#options.bounds.residentLimitBytes(this.#baselineBytes, this.#releases.size);
    if (resident > limit) {
      this.kill("memory", `it held ${Math.round(resident / 1048576)} MiB, ${Math.round(limit / 1048576)} MiB are allowed`);
      return Infinity;
    }
    this.#silentMs += elapsedMs;
    if (this.#parallelFromMs < 0 && this.#silentMs > PARALLEL_AFTER_MS) {
      this.#parallelFromMs = this.#silentMs;
      this.#allRanMs = this.#core.allRanMs();
    }
    const leftMs = this.#judgeCore(limits.coreMs);
    if (this.#silentMs < limits.pingMs) return leftMs;
    if (this.#pinged < 0) this.#ping();
    if (this.#waitedMs < 0) this.#waitedMs = this.#core.waitedMs();
    if (this.#loading.size > 0 || this.#started !== null) return leftMs;
    if (this.#silentMs >= limits.silenceMs) this.#forgive();
    if (this.#silentMs >= limits.silenceMs) this.kill("silent", `it gave no sign for ${Math.round(this.#silentMs)} ms of work`);
    return leftMs;
  }

  /** It owes nothing: the next piece of work starts the count anew. */
  rest(): void {
    this.#silentMs = 0;
    this.#waitedMs = -1;
    this.#forgivenMs = 0;
    this.#ranMs = -1;
    this.#parallelFromMs = -1;
  }

  /** On a core for longer than any entry may be, and not a word: nothing inside will end it. Loads have a time-out of their own. */
  #judgeCore(coreMs: number): number {
    if (this.#loading.size > 0 || this.#started !== null || this.#isMaking()) return Infinity;
    const ranMs = this.#core.ranMs();
    if (this.#ranMs < 0) {
      this.#ranMs = ranMs;
      this.#queuedMs = this.#core.waitedMs();
    }
    const before = this.#ranMs;
    const usedMs = ranMs - before;
    if (usedMs <= coreMs) {
      if (this.#silentMs > coreMs && this.#isParallel()) this.#killUnlessHeard(`for ${Math.round(this.#silentMs)} ms on more than one core`);
      return coreMs - usedMs;
    }
    // Where it queued for a core, so did the thread that ends entries.
    const excusedMs = coreMs + Math.min(this.#core.waitedMs() - this.#queuedMs, MAX_LATE_MS);
    if (usedMs > excusedMs) this.#killUnlessHeard(`for ${Math.round(usedMs)} ms on a core`);
    return excusedMs - usedMs;
  }

  /** Have its threads stood on more than one core at once for most of the silence? No busy machine did that. */
  #isParallel(): boolean {
    return this.#parallelFromMs >= 0 && this.#core.allRanMs() - this.#allRanMs > (this.#silentMs - this.#parallelFromMs) * PARALLEL_CORES;
  }

  /** A word may lie unread in the pipe when the worker was held up itself: it is read before the next timer rings. */
  #killUnlessHeard(silent: string): void {
    const before = this.#ranMs;
    this.#options.clock.after(1, () => {
      if (this.#ranMs === before) this.kill("silent", `it gave no sign ${silent}`);
    });
  }

  #isMaking(): boolean {
    for (const { stands } of this.#releases.values()) if (!stands) return true;
    return false;
  }

  /** Takes back what a busy machine, and no rule, made it wait. */
  #forgive(): void {
    const waitedMs = this.#core.waitedMs();
    const forgivenMs = Math.min(waitedMs - this.#waitedMs, MAX_FORGIVEN_MS - this.#forgivenMs, this.#silentMs);
    this.#waitedMs = waitedMs;
    this.#forgivenMs += forgivenMs;
    this.#silentMs -= forgivenMs;
  }

  #ping(): void {
    this.#pinged = this.#sent;
    this.#link.send(pingRecord(this.#sent));
  }

  #frame(text: string): void {
    this.rest();
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
    this.#core.close();
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
