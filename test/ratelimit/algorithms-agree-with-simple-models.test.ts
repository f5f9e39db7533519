import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Quota, TIMED, type TimedAlgorithm, type TimedState, wholeMs } from "../../runtime/ratelimit/algorithms.ts";

interface Step {
  readonly gapMs: number;
  readonly units: number;
}
interface Run {
  readonly quota: Quota;
  readonly steps: readonly Step[];
}

/** Windows short enough that the slack of a millionth and 10 ns of refill decides nothing that whole numbers would not. */
const runs = (capacityIsLimit: boolean): fc.Arbitrary<Run> =>
  fc
    .record({
      limit: fc.integer({ min: 1, max: 50 }),
      windowMs: fc.integer({ min: 1, max: 5000 }),
      burst: fc.integer({ min: 1, max: 60 }),
      steps: fc.array(
        fc.record({
          gapMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 12_000 })),
          units: fc.integer({ min: 1, max: 60 }),
        }),
        { maxLength: 80 },
      ),
    })
    .map(({ limit, windowMs, burst, steps }) => {
      const capacity = capacityIsLimit ? limit : burst;
      return { quota: { limit, windowMs, capacity }, steps: steps.map(({ gapMs, units }) => ({ gapMs, units: 1 + (units % capacity) })) };
    });

/** Plays a run through the arithmetic; `now` begins at 0. */
function play(algorithm: TimedAlgorithm, { quota, steps }: Run): boolean[] {
  const arithmetic = TIMED[algorithm];
  const state: TimedState = [0, 0, 0];
  let nowMs = 0;
  return steps.map(({ gapMs, units }) => {
    nowMs += gapMs;
    arithmetic.roll(state, quota, nowMs);
    const granted = arithmetic.available(state, quota, nowMs) >= units;
    if (granted) arithmetic.take(state, quota, units);
    return granted;
  });
}

/** A leaking bucket in whole numbers: a unit weighs a window, a millisecond lets `limit` out. */
function bucketModel({ quota: { limit, windowMs, capacity }, steps }: Run): boolean[] {
  let level = 0;
  return steps.map(({ gapMs, units }) => {
    level = Math.max(0, level - gapMs * limit);
    if (level + units * windowMs > capacity * windowMs) return false;
    level += units * windowMs;
    return true;
  });
}

function fixedModel({ quota: { windowMs, capacity }, steps }: Run): boolean[] {
  const taken = new Map<number, number>();
  let nowMs = 0;
  return steps.map(({ gapMs, units }) => {
    nowMs += gapMs;
    const window = Math.trunc(nowMs / windowMs);
    const before = taken.get(window) ?? 0;
    if (before + units > capacity) return false;
    taken.set(window, before + units);
    return true;
  });
}

/** In whole numbers: everything times the window. */
function slidingModel({ quota: { windowMs, capacity }, steps }: Run): boolean[] {
  const taken = new Map<number, number>();
  let nowMs = 0;
  return steps.map(({ gapMs, units }) => {
    nowMs += gapMs;
    const window = Math.trunc(nowMs / windowMs);
    const before = taken.get(window) ?? 0;
    const covered = (taken.get(window - 1) ?? 0) * (windowMs - (nowMs - window * windowMs));
    if (covered + (before + units) * windowMs > capacity * windowMs) return false;
    taken.set(window, before + units);
    return true;
  });
}

const MODELS: Readonly<Record<TimedAlgorithm, { model: (run: Run) => boolean[]; windowed: boolean }>> = {
  gcra: { model: bucketModel, windowed: false },
  "token-bucket": { model: bucketModel, windowed: false },
  "fixed-window": { model: fixedModel, windowed: true },
  "sliding-window": { model: slidingModel, windowed: true },
};

for (const [name, { model, windowed }] of Object.entries(MODELS)) {
  const algorithm = name as TimedAlgorithm;
  test(`${algorithm} grants exactly what a model in whole numbers grants`, () => {
    fc.assert(
      fc.property(runs(windowed), (run) => {
        assert.deepEqual(play(algorithm, run), model(run));
      }),
      { numRuns: 500 },
    );
  });

  test(`${algorithm}: a retry is granted when it was said to be, and not before`, () => {
    fc.assert(
      fc.property(runs(windowed), ({ quota, steps }) => {
        const arithmetic = TIMED[algorithm];
        const state: TimedState = [0, 0, 0];
        let nowMs = 0;
        for (const { gapMs, units } of steps) {
          nowMs += gapMs;
          arithmetic.roll(state, quota, nowMs);
          if (arithmetic.available(state, quota, nowMs) >= units) {
            arithmetic.take(state, quota, units);
            continue;
          }
          const waitMs = arithmetic.waitMs(state, quota, nowMs, units);
          assert.ok(waitMs > 0 && waitMs < Number.POSITIVE_INFINITY, `${waitMs} ms`);
          const grantedAfter = (ms: number): boolean => {
            const later: TimedState = [...state];
            arithmetic.roll(later, quota, nowMs + ms);
            return arithmetic.available(later, quota, nowMs + ms) >= units;
          };
          assert.ok(grantedAfter(wholeMs(waitMs)), `granted after ${waitMs} ms`);
          assert.ok(!grantedAfter(wholeMs(waitMs) - 1), `not granted before ${waitMs} ms`);
        }
      }),
      { numRuns: 300 },
    );
  });

  test(`${algorithm}: after the reset a key is as good as new`, () => {
    fc.assert(
      fc.property(runs(windowed), ({ quota, steps }) => {
        const arithmetic = TIMED[algorithm];
        const state: TimedState = [0, 0, 0];
        let nowMs = 0;
        for (const { gapMs, units } of steps) {
          nowMs += gapMs;
          arithmetic.roll(state, quota, nowMs);
          if (arithmetic.available(state, quota, nowMs) >= units) arithmetic.take(state, quota, units);
        }
        const resetMs = wholeMs(arithmetic.resetMs(state, quota, nowMs));
        arithmetic.roll(state, quota, nowMs + resetMs);
        assert.equal(arithmetic.available(state, quota, nowMs + resetMs), quota.capacity);
      }),
      { numRuns: 300 },
    );
  });

  test(`${algorithm}: a clock that goes back frees nothing`, () => {
    fc.assert(
      fc.property(runs(windowed), fc.integer({ min: 1, max: 20_000 }), ({ quota }, backMs) => {
        const arithmetic = TIMED[algorithm];
        const state: TimedState = [0, 0, 0];
        const nowMs = 40_000;
        arithmetic.roll(state, quota, nowMs);
        arithmetic.take(state, quota, quota.capacity);
        arithmetic.roll(state, quota, nowMs - backMs);
        assert.ok(arithmetic.available(state, quota, nowMs - backMs) <= 0);
      }),
    );
  });
}

for (const algorithm of ["gcra", "token-bucket"] as const) {
  test(`${algorithm}: in any span of time at most the burst and the span's part of the rate are granted`, () => {
    fc.assert(
      fc.property(runs(false), (run) => {
        const granted = play(algorithm, run);
        const { limit, windowMs, capacity } = run.quota;
        for (let from = 0; from < granted.length; from++) {
          let units = 0;
          let spanMs = 0;
          for (let i = from; i < granted.length; i++) {
            if (i > from) spanMs += run.steps[i]!.gapMs;
            if (granted[i]) units += run.steps[i]!.units;
            assert.ok(units <= capacity + (spanMs * limit) / windowMs + 1e-3);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
}

test("at a million a second, months after the epoch, no unit gets lost", () => {
  const quota: Quota = { limit: 1_000_000, windowMs: 1000, capacity: 1000 };
  for (const algorithm of ["gcra", "token-bucket"] as const) {
    const arithmetic = TIMED[algorithm];
    const state: TimedState = [0, 0, 0];
    const startMs = 28_000_000_000;
    let granted = 0;
    for (let ms = 0; ms < 50; ms++) {
      for (let i = 0; i < 2000; i++) {
        arithmetic.roll(state, quota, startMs + ms);
        if (arithmetic.available(state, quota, startMs + ms) < 1) break;
        arithmetic.take(state, quota, 1);
        granted++;
      }
    }
    assert.equal(granted, 1000 + 49 * 1000, algorithm);
  }
});
