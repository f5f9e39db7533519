/**
 * The arithmetic of each algorithm, pure: what a key's state allows at a moment, and what it becomes. `take.lua` says the same in Lua,
 * operation by operation, so that both give the same bits (a differential test holds them together). Times are milliseconds since `EPOCH_MS`: small
 * numbers keep fractions of a microsecond in a double.
 */

export const ALGORITHMS = ["gcra", "sliding-window", "fixed-window", "token-bucket", "concurrency"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];
/** What counts over time; `concurrency` counts what runs now and stands in `in-flight.ts`. */
export type TimedAlgorithm = Exclude<Algorithm, "concurrency">;

/** 2026-01-01. */
export const EPOCH_MS = 1_767_225_600_000;

/** The numbers that an algorithm works with. */
export interface Quota {
  /** Units per window; for `concurrency` units at once. */
  readonly limit: number;
  readonly windowMs: number;
  /** Units at once: the burst, or the limit where an algorithm knows no burst. */
  readonly capacity: number;
}

/** Three numbers of the algorithm's own; all 0 for a key that was not seen, or is as good as new. */
export type TimedState = [number, number, number];

export interface TimedArithmetic {
  /** Brings the state to `nowMs`. A clock that went back is a clock that stood still. */
  roll(state: TimedState, quota: Quota, nowMs: number): void;
  /** Whole units that may be taken; negative when a lower limit has come into force. The state is rolled. */
  available(state: TimedState, quota: Quota, nowMs: number): number;
  take(state: TimedState, quota: Quota, units: number): void;
  /** Until the key is as good as new. */
  resetMs(state: TimedState, quota: Quota, nowMs: number): number;
  /** Until `units` (more than are available, at most the capacity) may be taken, if nobody else takes any. */
  waitMs(state: TimedState, quota: Quota, nowMs: number, units: number): number;
}

/**
 * What rounding may cost in the comparison, in units: a millionth, and ten nanoseconds of refill (a double holds these times to
 * 4 ns). Without it a burst that was refilled exactly would be one unit short.
 */
function slack(quota: Quota): number {
  return 1e-6 + (1e-5 * quota.limit) / quota.windowMs;
}

/** Up to the next millisecond, but not for a rounding error's sake. */
export function wholeMs(ms: number): number {
  return Math.ceil(ms - 1e-6) + 0;
}

/**
 * Generic cell rate algorithm (ITU-T I.371, as "virtual scheduling"): one number, the theoretical arrival time, up to which the key has
 * used its rate.
 */
const gcra: TimedArithmetic = {
  roll(state, _quota, nowMs) {
    if (state[0] < nowMs) state[0] = nowMs;
  },
  available(state, quota, nowMs) {
    return Math.floor(quota.capacity - ((state[0] - nowMs) * quota.limit) / quota.windowMs + slack(quota));
  },
  take(state, quota, units) {
    state[0] += (units * quota.windowMs) / quota.limit;
  },
  resetMs: (state, _quota, nowMs) => state[0] - nowMs,
  waitMs: (state, quota, nowMs, units) => state[0] - nowMs - ((quota.capacity - units) * quota.windowMs) / quota.limit,
};

/** Units spent and not yet refilled, and when that was so. */
const tokenBucket: TimedArithmetic = {
  roll(state, quota, nowMs) {
    if (nowMs <= state[1]) return;
    state[0] = Math.max(0, state[0] - ((nowMs - state[1]) * quota.limit) / quota.windowMs);
    state[1] = nowMs;
  },
  available: (state, quota) => Math.floor(quota.capacity - state[0] + slack(quota)),
  take(state, _quota, units) {
    state[0] += units;
  },
  resetMs: (state, quota) => (state[0] * quota.windowMs) / quota.limit,
  waitMs: (state, quota, _nowMs, units) => ((state[0] + units - quota.capacity) * quota.windowMs) / quota.limit,
};

/** Number of the window, and what was taken in it. Windows begin at multiples of their length, for all keys at once. */
const fixedWindow: TimedArithmetic = {
  roll(state, quota, nowMs) {
    const window = Math.floor(nowMs / quota.windowMs);
    if (window <= state[0]) return;
    state[0] = window;
    state[1] = 0;
  },
  available: (state, quota) => quota.capacity - state[1],
  take(state, _quota, units) {
    state[1] += units;
  },
  resetMs: (state, quota, nowMs) => (state[1] === 0 ? 0 : (state[0] + 1) * quota.windowMs - nowMs),
  waitMs: (state, quota, nowMs) => (state[0] + 1) * quota.windowMs - nowMs,
};

/**
 * Number of the window, what was taken in it, and in the one before. Of the latter that part counts which the sliding window still
 * covers, as if it had come evenly: two numbers a key instead of one for each request.
 */
const slidingWindow: TimedArithmetic = {
  roll(state, quota, nowMs) {
    const window = Math.floor(nowMs / quota.windowMs);
    if (window <= state[0]) return;
    state[2] = window === state[0] + 1 ? state[1] : 0;
    state[0] = window;
    state[1] = 0;
  },
  available(state, quota, nowMs) {
    const covered = Math.min(1, Math.max(0, 1 - (nowMs - state[0] * quota.windowMs) / quota.windowMs));
    return Math.floor(quota.capacity - state[2] * covered - state[1] + slack(quota));
  },
  take(state, _quota, units) {
    state[1] += units;
  },
  resetMs(state, quota, nowMs) {
    if (state[1] > 0) return (state[0] + 2) * quota.windowMs - nowMs;
    return state[2] > 0 ? (state[0] + 1) * quota.windowMs - nowMs : 0;
  },
  waitMs(state, quota, nowMs, units) {
    const room = quota.capacity - units;
    // Within this window the last one fades; after it, this one does.
    if (state[1] <= room) return (state[0] + 1 - (room - state[1]) / state[2]) * quota.windowMs - nowMs;
    return (state[0] + 2 - room / state[1]) * quota.windowMs - nowMs;
  },
};

export const TIMED: Readonly<Record<TimedAlgorithm, TimedArithmetic>> = {
  gcra,
  "token-bucket": tokenBucket,
  "fixed-window": fixedWindow,
  "sliding-window": slidingWindow,
};
