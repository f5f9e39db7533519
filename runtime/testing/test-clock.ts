/** The clock of a rule test: stands still where it is set, else goes with the machine's. Timers ring in real time, or when it is moved past them. */
import type { TestClock, TimeSpan } from "../../sdk/testing.ts";
import { systemClock, type Clock, type Timer } from "../clock.ts";
import { durationMs } from "../config/units.ts";

type Time = string | number | Date;

interface Waiting {
  readonly atMs: number;
  readonly run: () => void;
  readonly real: Timer;
}

/** The same time for the gateway (`clock`) and for the test (`forTests`). */
export class MovableClock {
  /** Unix time at which it stands still; null: it goes. */
  #standsUnixMs: number | null = null;
  /** What was added to the machine's Unix time, and to its monotonic one, which never goes back. */
  #aheadUnixMs = 0;
  #aheadMs = 0;
  readonly #waiting = new Set<Waiting>();
  readonly #beforeMove: () => void;

  constructor(start: Time | undefined, beforeMove: () => void) {
    this.#beforeMove = beforeMove;
    if (start !== undefined) this.#standsUnixMs = unixMsOf(start);
  }

  readonly clock: Clock = {
    now: () => (this.#standsUnixMs === null ? systemClock.now() : 0) + this.#aheadMs,
    unixMs: () => this.#standsUnixMs ?? systemClock.unixMs() + this.#aheadUnixMs,
    after: (ms, run) => this.#after(ms, run),
  };

  readonly forTests: TestClock = {
    now: () => this.clock.unixMs(),
    set: (time) => this.#set(unixMsOf(time)),
    advance: (by) => this.#advance(by),
  };

  #after(ms: number, run: () => void): Timer {
    const real = systemClock.after(ms, () => {
      if (this.#waiting.delete(waiting)) run();
    });
    const waiting: Waiting = { atMs: this.clock.now() + ms, run, real };
    this.#waiting.add(waiting);
    return {
      cancel: () => {
        this.#waiting.delete(waiting);
        real.cancel();
      },
    };
  }

  #set(unixMs: number): void {
    const onMs = Math.max(0, unixMs - this.clock.unixMs());
    this.#aheadMs = this.clock.now();
    this.#standsUnixMs = unixMs;
    this.#move(onMs);
  }

  #advance(by: TimeSpan): void {
    const ms = typeof by === "number" ? by : durationMs(by);
    if (!(ms >= 0)) throw new RangeError(`clock.advance: found ${JSON.stringify(by)}, expected milliseconds from 0 up, or a duration such as "90s"`);
    if (this.#standsUnixMs === null) this.#aheadUnixMs += ms;
    else this.#standsUnixMs += ms;
    this.#move(ms);
  }

  /** Rings what is due, in order. What that sets anew rings in real time. */
  #move(ms: number): void {
    this.#beforeMove();
    this.#aheadMs += ms;
    const nowMs = this.clock.now();
    const due = [...this.#waiting].filter(({ atMs }) => atMs <= nowMs).sort((a, b) => a.atMs - b.atMs);
    for (const waiting of due) {
      waiting.real.cancel();
      if (this.#waiting.delete(waiting)) waiting.run();
    }
  }
}

function unixMsOf(time: Time): number {
  const unixMs = typeof time === "number" ? time : new Date(time).getTime();
  if (!Number.isFinite(unixMs)) throw new RangeError(`found the time ${JSON.stringify(time)}, expected an ISO date, a Date, or Unix milliseconds`);
  return unixMs;
}
