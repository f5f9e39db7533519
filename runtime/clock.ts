/** Time, handed in so that time-outs, lifetimes and windows are tested without sleeping. */
export interface Clock {
  /** Monotonic milliseconds with fractions; only differences mean anything. */
  now(): number;
  /** Unix time in milliseconds. */
  unixMs(): number;
  /** Calls `run` once after `ms`. Timers do not keep the process alive. */
  after(ms: number, run: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  unixMs: () => Date.now(),
  after(ms, run) {
    const handle = setTimeout(run, ms);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** A clock that stands still until a test moves it. Timers fire in order, during `advance`. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #epochMs: number;
  #timers: { atMs: number; run: () => void }[] = [];

  constructor(startMs = 0, epochMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
    this.#epochMs = epochMs;
  }
  now(): number {
    return this.#nowMs;
  }
  unixMs(): number {
    return this.#epochMs + this.#nowMs;
  }
  after(ms: number, run: () => void): Timer {
    const timer = { atMs: this.#nowMs + ms, run };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }
  /** Moves time on and fires what is due, also timers that the fired ones set within the span. */
  advance(ms: number): void {
    const until = this.#nowMs + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.atMs <= until).sort((a, b) => a.atMs - b.atMs)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
    }
    this.#nowMs = until;
  }
}
