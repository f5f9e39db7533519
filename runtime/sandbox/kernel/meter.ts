/**
 * CPU per rule, by sampling: reading the clock costs 0.06 µs in milliseconds and 1.5 µs in anything finer, asking the process
 * 0.8 µs. So a hook during which a millisecond ticked over is charged all CPU that nobody was charged for yet. A single
 * figure means little; their sums are right, and a hook that runs long is always seen.
 */
import { Mark } from "./mark.ts";

/** Who is charged. */
export interface Charged {
  readonly call: number;
  readonly rule: { readonly index: number };
  readonly cpuMs: number;
  /** Told to the worker. */
  cpuUs: number;
  /** Held against the bound. */
  heldMs: number;
}

/** What the process knows of CPU, µs. */
export interface CpuClock {
  /** Of this isolate that nobody was charged for; from then on somebody was. */
  takeUs(): number;
  /** Since the entry began. */
  entryUs(): number;
}

/** Wall time above this is held against CPU time: the process may have been preempted. */
const CHECKED_FROM_MS = 5;

export class Meter {
  readonly #mark: Float64Array;
  readonly #cpu: CpuClock;
  readonly #nowMs: () => number;
  #running: Charged | null = null;
  #lastMs = 0;
  #enteredMs = 0;

  constructor(mark: Float64Array, cpu: CpuClock, nowMs: () => number) {
    this.#mark = mark;
    this.#cpu = cpu;
    this.#nowMs = nowMs;
  }

  /** Wall time since this entry began, as of the last reading. */
  get entryMs(): number {
    return this.#lastMs - this.#enteredMs;
  }

  /** A new entry. What ran in microtasks since the last one is settled first. */
  enter(): void {
    if (this.#running === null) this.#lastMs = this.#nowMs();
    else this.end();
    this.#enteredMs = this.#lastMs;
  }

  /** From now on `charged` is charged, also for what the kernel did since the last reading (taking its record apart). */
  begin(charged: Charged): void {
    if (this.#running === charged) return;
    this.end();
    this.#running = charged;
    const mark = this.#mark;
    mark[Mark.CALL] = charged.call;
    mark[Mark.RULE] = charged.rule.index;
    mark[Mark.CPU_MS] = charged.cpuMs;
    mark[Mark.BEFORE_MS] = this.#lastMs - this.#enteredMs;
    mark[Mark.HELD_MS] = charged.heldMs;
  }

  /** Settles what ran; nobody is charged until the next `begin`. */
  end(): void {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    const now = this.#nowMs();
    const spentMs = now - this.#lastMs;
    this.#lastMs = now;
    // A clock that was set back ticks no less.
    if (spentMs === 0) return;
    running.cpuUs += this.#cpu.takeUs();
    if (spentMs > 0) running.heldMs += spentMs >= CHECKED_FROM_MS ? Math.min(spentMs, this.#cpu.entryUs() / 1000) : spentMs;
  }
}
