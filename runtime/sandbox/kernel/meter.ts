/** CPU per rule, measured inside: one clock reading a hook (0.3 µs) instead of callbacks into the process (0.8 µs each). */
import { Mark } from "./mark.ts";

/** Who is charged. */
export interface Charged {
  readonly call: number;
  readonly rule: { readonly index: number };
  readonly cpuMs: number;
  cpuUs: number;
}

/** A reading of wall time above this is held against the isolate's CPU time: the process may have been preempted. */
const CHECKED_FROM_US = 400;

export class Meter {
  readonly #mark: Float64Array;
  /** CPU of this isolate since the batch began, µs. */
  readonly #batchCpuUs: () => number;
  readonly #nowUs: () => number;
  #running: Charged | null = null;
  #lastUs = 0;
  /** Since the batch began. */
  #chargedUs = 0;
  #beforeUs = 0;

  constructor(mark: Float64Array, batchCpuUs: () => number, nowUs: () => number) {
    this.#mark = mark;
    this.#batchCpuUs = batchCpuUs;
    this.#nowUs = nowUs;
  }

  /** Since this entry began; a batch may take several. */
  get entryUs(): number {
    return this.#chargedUs - this.#beforeUs;
  }

  /** A new entry. What ran in microtasks since the last one is settled first; with `fresh` a new batch begins, and the process counts from here. */
  enter(fresh: boolean): void {
    if (this.#running === null) this.#lastUs = this.#nowUs();
    else this.end();
    if (fresh) this.#chargedUs = 0;
    this.#beforeUs = this.#chargedUs;
  }

  /** From now on `charged` is charged, also for what the kernel did since the last reading (reading its record). */
  begin(charged: Charged): void {
    if (this.#running === charged) return;
    this.end();
    this.#running = charged;
    const mark = this.#mark;
    mark[Mark.CALL] = charged.call;
    mark[Mark.RULE] = charged.rule.index;
    mark[Mark.CPU_MS] = charged.cpuMs;
    mark[Mark.CHARGED_US] = this.#chargedUs;
    mark[Mark.PRIOR_US] = charged.cpuUs;
  }

  /** Settles what ran; nobody is charged until the next `begin`. */
  end(): void {
    const running = this.#running;
    if (running === null) return;
    const now = this.#nowUs();
    let spentUs = Math.max(0, Math.round(now - this.#lastUs));
    if (spentUs > CHECKED_FROM_US) spentUs = Math.min(spentUs, Math.max(0, this.#batchCpuUs() - this.#chargedUs));
    running.cpuUs += spentUs;
    this.#chargedUs += spentUs;
    this.#lastUs = now;
    this.#running = null;
  }
}
