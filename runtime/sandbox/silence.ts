/** How long a sandbox process that owes something has said nothing, and whether it could have: its time on a core counts, not what a busy machine made it wait. */
import type { Clock } from "../clock.ts";
import { CoreProbe } from "./core-time.ts";

/** Silence that is excused because the process had no core. More, and the machine is of no use to anybody. */
const MAX_FORGIVEN_MS = 10_000;
/** How late the end of an entry may come on a busy machine before nothing is believed to end it. */
const MAX_LATE_MS = 100;
/** Silence after which it is looked at what all its threads use. */
const PARALLEL_AFTER_MS = 30;
/** As many cores in use, and it is the process's own doing that its main thread stands: it waits for its own threads that collect garbage. */
const PARALLEL_CORES = 1.05;

export interface SilenceLimits {
  readonly silenceMs: number;
  readonly pingMs: number;
  readonly coreMs: number;
}

/** The process, as far as its silence is concerned. */
export interface Silent {
  /** It starts or loads a release, which has a time-out of its own. */
  isLoading(): boolean;
  /** It makes a lost isolate anew. */
  isMaking(): boolean;
  /** Asks for a sign of life, unless that was done. */
  askOnce(): void;
  end(reason: string): void;
}

export class Silence {
  readonly #silent: Silent;
  readonly #clock: Clock;
  readonly #core: CoreProbe;
  /** Milliseconds without a word while it owes one, counted by `tick`. */
  #silentMs = 0;
  /** Of it, what the process spent waiting for a core is not held against it: up to where that was counted (−1: not yet), and how much was forgiven. */
  #waitedMs = -1;
  #forgivenMs = 0;
  /** Milliseconds on a core when it last spoke, as seen by the tick that followed (−1: not seen yet), and in the queue for one. */
  #ranMs = -1;
  #queuedMs = 0;
  /** From when on its threads are looked at (−1: not yet), and what they had used by then. */
  #parallelFromMs = -1;
  #allRanMs = 0;

  constructor(pid: number, clock: Clock, silent: Silent) {
    this.#core = new CoreProbe(pid);
    this.#clock = clock;
    this.#silent = silent;
  }

  /** A word has come, or it owes nothing: the count begins anew. */
  broken(): void {
    this.#silentMs = 0;
    this.#waitedMs = -1;
    this.#forgivenMs = 0;
    this.#ranMs = -1;
    this.#parallelFromMs = -1;
  }

  /** Gives the milliseconds until its time on a core is up at the earliest. */
  tick(elapsedMs: number, limits: SilenceLimits): number {
    const silent = this.#silent;
    this.#silentMs += elapsedMs;
    if (this.#parallelFromMs < 0 && this.#silentMs > PARALLEL_AFTER_MS) {
      this.#parallelFromMs = this.#silentMs;
      this.#allRanMs = this.#core.allRanMs();
    }
    const leftMs = this.#judgeCore(limits.coreMs);
    if (this.#silentMs < limits.pingMs) return leftMs;
    silent.askOnce();
    if (this.#waitedMs < 0) this.#waitedMs = this.#core.waitedMs();
    if (silent.isLoading()) return leftMs;
    if (this.#silentMs >= limits.silenceMs) this.#forgive();
    if (this.#silentMs >= limits.silenceMs) silent.end(`it gave no sign for ${Math.round(this.#silentMs)} ms of work`);
    return leftMs;
  }

  close(): void {
    this.#core.close();
  }

  /** On a core for longer than any entry may be, and not a word: nothing inside will end it. */
  #judgeCore(coreMs: number): number {
    if (this.#silent.isLoading() || this.#silent.isMaking()) return Infinity;
    const ranMs = this.#core.ranMs();
    if (this.#ranMs < 0) {
      this.#ranMs = ranMs;
      this.#queuedMs = this.#core.waitedMs();
    }
    const usedMs = ranMs - this.#ranMs;
    if (usedMs <= coreMs) {
      if (this.#silentMs > coreMs && this.#isParallel()) this.#endUnlessHeard(`for ${Math.round(this.#silentMs)} ms on more than one core`);
      return coreMs - usedMs;
    }
    // Where it queued for a core, so did the thread that ends entries.
    const excusedMs = coreMs + Math.min(this.#core.waitedMs() - this.#queuedMs, MAX_LATE_MS);
    if (usedMs > excusedMs) this.#endUnlessHeard(`for ${Math.round(usedMs)} ms on a core`);
    return excusedMs - usedMs;
  }

  /** Have its threads stood on more than one core at once for most of the silence? No busy machine did that. */
  #isParallel(): boolean {
    return this.#parallelFromMs >= 0 && this.#core.allRanMs() - this.#allRanMs > (this.#silentMs - this.#parallelFromMs) * PARALLEL_CORES;
  }

  /** A word may lie unread in the pipe when the worker was held up itself: it is read before the next timer rings. */
  #endUnlessHeard(how: string): void {
    const before = this.#ranMs;
    this.#clock.after(1, () => {
      if (this.#ranMs === before) this.#silent.end(`it gave no sign ${how}`);
    });
  }

  /** Takes back what a busy machine, and no rule, made it wait. */
  #forgive(): void {
    const waitedMs = this.#core.waitedMs();
    const forgivenMs = Math.min(waitedMs - this.#waitedMs, MAX_FORGIVEN_MS - this.#forgivenMs, this.#silentMs);
    this.#waitedMs = waitedMs;
    this.#forgivenMs += forgivenMs;
    this.#silentMs -= forgivenMs;
  }
}
