/** The guards that need a clock: silence, memory and wall time. Ticks only while something is owed, so an idle gateway is idle. */
import type { Clock } from "../clock.ts";
import type { Pair } from "./pair.ts";
import type { Runs } from "./runs.ts";

/** A bomb fills about 1 GiB/s: 10 MiB between two readings. A reading costs 3 µs. */
const TICK_MS = 10;
/** A tick that comes later than this was held up by the worker itself; the surplus is held against nobody, for a word may lie unread in the pipe. */
const TICK_AT_MOST_MS = 50;
/** Wall limits are looked at less often: they are seconds. */
const SWEEP_MS = 50;
/** Silence after which a sandbox that owes something is asked whether it is busy or merely waiting. */
const PING_MS = 200;
/** Silence after which it is killed where the kernel does not tell who had a core, and when it waits for something that never comes. */
const SILENCE_MS = 1000;

/** Longer than one entry may take (`process/cpu.ts`), which the process itself ends. */
export function silenceFor(ruleCpuMs: number): number {
  return Math.max(SILENCE_MS, Math.ceil(ruleCpuMs * 2.5));
}

/** As `process/cpu.ts`: what an entry may take, since a hook of it begins with half of its CPU bound left at least. */
const ENTRY_FACTOR = 1.5;
/** Above an entry: the process's own work for a frame, a collection of garbage, an isolate made anew. */
const CORE_MARGIN_MS = 30;

/** Milliseconds on a core without a word after which a sandbox is killed: no guard inside stops what it does. Waiting, however busy the machine is, does not count. */
export function coreTimeFor(ruleCpuMs: number): number {
  return Math.ceil(ruleCpuMs * ENTRY_FACTOR) + CORE_MARGIN_MS;
}

export interface DeadlineOptions {
  readonly clock: Clock;
  readonly pair: Pair;
  readonly runs: Runs;
  readonly silenceMs: number;
  readonly coreMs: number;
}

export class Deadlines {
  readonly #options: DeadlineOptions;
  #armed = false;
  #lastMs = 0;
  #sweptMs = 0;

  constructor(options: DeadlineOptions) {
    this.#options = options;
  }

  watch(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#lastMs = this.#options.clock.now();
    this.#arm(TICK_MS);
  }

  #arm(afterMs: number): void {
    this.#options.clock.after(afterMs, () => this.#tick());
  }

  #tick(): void {
    const { clock, pair, runs, silenceMs, coreMs } = this.#options;
    const now = clock.now();
    const elapsedMs = Math.min(now - this.#lastMs, TICK_AT_MOST_MS);
    this.#lastMs = now;
    let busy = runs.waits;
    let nextMs = TICK_MS;
    for (const process of [...pair.processes()]) {
      if (!process.busy) process.rest();
      else {
        busy = true;
        const leftMs = process.tick(elapsedMs, { silenceMs, pingMs: Math.min(PING_MS, silenceMs / 2), coreMs });
        nextMs = Math.max(1, Math.min(nextMs, Math.ceil(leftMs)));
      }
    }
    if (now - this.#sweptMs >= SWEEP_MS) {
      this.#sweptMs = now;
      runs.sweep(now);
    }
    if (busy) this.#arm(nextMs);
    else this.#armed = false;
  }
}
