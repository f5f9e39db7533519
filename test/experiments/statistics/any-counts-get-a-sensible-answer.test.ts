import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ArmCounts } from "../../../runtime/experiments/statistics/statistics.ts";
import {
  analyse,
  belief,
  bernoulliInterval,
  chancesOfBest,
  sequentialRates,
  sequentialSplit,
  verdictOf,
} from "../../../runtime/experiments/statistics/statistics.ts";

/** Few, many, none and all. */
const units = fc.oneof(fc.nat(5), fc.nat(200), fc.nat(100_000), fc.nat(50_000_000));
const rate = units.chain((count) =>
  fc.oneof(fc.constant(0), fc.constant(count), fc.nat(Math.min(count, 40)), fc.nat(count)).map((conversions) => ({ units: count, conversions })),
);
const latency = fc
  .option(fc.array(fc.nat(5000), { minLength: 5, maxLength: 5 }), { nil: null })
  .map((counts) => (counts === null ? null : { boundsMs: [10, 20, 50, 100], counts }));
const arm = (variant: string) =>
  fc
    .record({ counts: rate, errors: fc.nat(50), latency, sum: fc.double({ min: -1e6, max: 1e6, noNaN: true }) })
    .map(({ counts, errors, latency: own, sum }): ArmCounts => ({
      variant,
      units: counts.units,
      goals: [
        { kind: "conversion", conversions: counts.conversions },
        { kind: "value", sum, sumOfSquares: counts.units === 0 ? 0 : ((sum * sum) / counts.units) * 1.5, past: null },
      ],
      // Counted elsewhere: it may be more than the units that have arrived.
      unitsWithErrors: errors,
      latency: own,
    }));

test("whatever was counted, an analysis has a verdict, and no number in it is NaN", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }).chain((others) => fc.tuple(...["control", "a", "b", "c", "d"].slice(0, others + 1).map(arm))),
      (arms) => {
        const analysis = analyse({
          experiment: "x",
          arms,
          weights: arms.map((_, i) => i + 1),
          goals: [
            { name: "purchase", better: "higher" },
            { name: "revenue", better: "lower" },
          ],
          guardrails: { errors: { maxIncrease: 0.01 }, latency: { quantile: 0.95, maxIncrease: 0.2 } },
          alpha: 0.05,
          earlierMismatchP: 1,
        });
        const { sentence } = verdictOf(analysis);
        assert.match(sentence, /^[^\n]*\.$/);
        assert.doesNotMatch(sentence, /NaN|Infinity|undefined|null/);
        JSON.stringify(analysis, (name, value: unknown) => {
          assert.ok(typeof value !== "number" || !Number.isNaN(value), name);
          return value;
        });
      },
    ),
    { numRuns: 300, seed: 6 },
  );
});

test("an interval holds what was observed, and narrows from no knowledge on", () => {
  fc.assert(
    fc.property(rate, fc.integer({ min: 1, max: 10_000 }), fc.double({ min: 0.001, max: 0.2, noNaN: true }), ({ units: trials, conversions }, tOpt, alpha) => {
      const { low, high } = bernoulliInterval(conversions, trials, alpha, tOpt);
      assert.ok(low >= 0 && high <= 1 && low <= high);
      if (trials > 0) assert.ok(low <= conversions / trials + 1e-9 && high >= conversions / trials - 1e-9);
      const stricter = bernoulliInterval(conversions, trials, alpha / 2, tOpt);
      assert.ok(stricter.low <= low + 1e-9 && stricter.high >= high - 1e-9);
    }),
    { numRuns: 300, seed: 6 },
  );
});

test("exchanging the arms exchanges the answers", () => {
  fc.assert(
    fc.property(rate, rate, (a, b) => {
      const [one, other] = [sequentialRates(a, b, 0.05), sequentialRates(b, a, 0.05)];
      if (one === null || other === null) assert.equal(one, other);
      else {
        assert.ok(Math.abs(one.interval.low + other.interval.high) < 1e-12 && Math.abs(one.interval.high + other.interval.low) < 1e-12);
        assert.ok(one.p === null || Math.abs(one.p - other.p!) < 1e-9);
      }
      const [ab, ba] = [belief(a, b).chance, belief(b, a).chance];
      assert.ok(Math.abs(ab + ba - 1) < 1e-7, `${ab} + ${ba}`);
      assert.ok(Math.abs(sequentialSplit(1, [a.units, b.units], [1, 1]) - sequentialSplit(1, [b.units, a.units], [1, 1])) < 1e-9);
    }),
    { numRuns: 200, seed: 6 },
  );
});

test("chances to be the best add up to 1", () => {
  fc.assert(
    fc.property(fc.array(rate, { minLength: 2, maxLength: 5 }), (arms) => {
      const sum = chancesOfBest(arms).reduce((all, chance) => all + chance, 0);
      assert.ok(Math.abs(sum - 1) < 1e-6, String(sum));
    }),
    { numRuns: 150, seed: 6 },
  );
});
