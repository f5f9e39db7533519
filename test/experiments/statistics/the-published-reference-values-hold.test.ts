import assert from "node:assert/strict";
import { test } from "node:test";
import {
  belief,
  bernoulliInterval,
  bestRho,
  betaBinomialLogMixture,
  chancesOfBest,
  chiSquareSplit,
  cuped,
  holm,
  normalLogMixture,
  normalMixtureBound,
  oneSidedLogMixture,
  oneSidedMixtureBound,
  sampleOfSums,
  sequentialSplit,
  splitLogBayesFactor,
  twoProportions,
  welch,
} from "../../../runtime/experiments/statistics/statistics.ts";
import { digits, near } from "./near.ts";
import { normal, randomOf } from "./simulated.ts";

test("sample ratio, chi-square: GrowthBook's figures", () => {
  digits(chiSquareSplit([1000, 1200], [0.5, 0.5]), "0.000020079");
  digits(chiSquareSplit([135, 115], [0.5, 0.5]), "0.205903211");
  digits(chiSquareSplit([310, 98], [75, 25]), "0.647434186");
});

test("sample ratio, sequential: Lindon and Malek's test, unit by unit", () => {
  const counts = [0, 0, 0];
  let p = 1;
  for (const arm of [3, 3, 3, 3, 1, 3, 3, 1, 2, 3]) {
    counts[arm - 1]!++;
    p = sequentialSplit(p, counts, [0.1, 0.5, 0.4], 10_000);
  }
  // The published figure carries the rounding of log-gamma differences from its eleventh digit on; the fraction itself is computed exactly below.
  assert.ok(Math.abs(p - 0.9980534145723241) < 1e-11);
  // Smallest after eight units (2, 0, 6).
  const rising = (from: number, n: number) => Array.from({ length: n }, (_, i) => BigInt(from + i)).reduce((a, b) => a * b, 1n);
  const numerator = rising(1000, 2) * rising(4000, 6) * 10n ** 8n;
  const denominator = rising(10_000, 8) * 4n ** 6n;
  near(p, Number((denominator * 10n ** 20n) / numerator) / 1e20, 1e-13);
});

test("sample ratio, sequential: what was counted in batches is the same as unit by unit, and once refuted stays refuted", () => {
  near(splitLogBayesFactor([700, 500], [1, 1]), splitLogBayesFactor([700, 500], [50, 50]), 1e-12);
  const bad = sequentialSplit(1, [6000, 5000], [1, 1]);
  assert.ok(bad < 1e-6);
  assert.equal(sequentialSplit(bad, [6000, 6000], [1, 1]), bad);
  assert.equal(sequentialSplit(1, [0, 0], [1, 1]), 1);
});

test("Welch's test on two sums of values", () => {
  const result = welch(
    sampleOfSums({ units: 3407, sum: 1396.87, sumOfSquares: 52377.9767 }),
    sampleOfSums({ units: 3461, sum: 2422.7, sumOfSquares: 134698.29 }),
    0.05,
  )!;
  digits(result.interval.low, "0.04538");
  digits(result.interval.high, "0.53462");
  digits(result.p, "0.02016");
});

test("two proportions, one look: pooled for p", () => {
  // 100 of 1,000 and 130 of 1,000: z = 0.03/√(0.115 · 0.885 · 0.002).
  near(twoProportions({ units: 1000, conversions: 100 }, { units: 1000, conversions: 130 }, 0.05)!.p, 0.03548845046647471, 1e-12);
  assert.equal(twoProportions({ units: 10, conversions: 0 }, { units: 10, conversions: 0 }, 0.05), null);
});

test("the mixtures of Howard et al.: ρ, bounds and martingales", () => {
  digits(bestRho(100, 0.05), "12.60056");
  digits(normalMixtureBound(100, 0.05, bestRho(100, 0.05)), "30.35209");
  digits(normalLogMixture(10, 100, bestRho(100, 0.05)), "-0.6510052");
  digits(oneSidedLogMixture(10, 100, bestRho(100, 0.1)), "-0.06502391");
  digits(oneSidedMixtureBound(100, 0.05, bestRho(100, 0.1)), "27.66071");
  // Intrinsic time 100 at a rate of 0.2 is 625 trials; 10 above the 125 expected.
  digits(betaBinomialLogMixture(135, 625, 0.2, 625, 0.05), "-0.6941012");
});

test("the confidence sequence of a Bernoulli rate, exact from the first trial", () => {
  for (const [successes, trials, tOpt, low, high] of [
    [700, 1000, 100, "0.651629", "0.745949"],
    [15, 50, 50, "0.129556", "0.511896"],
    [5, 50, 50, "0.013021", "0.269264"],
    [1, 50, 50, "0.0", "0.13489"],
    [1, 2, 50, "0.0", "1.0"],
    [100, 200, 1, "0.328923", "0.671076"],
    [0, 1, 50, "0.0", "1.0"],
    [1, 1, 50, "0.0", "1.0"],
  ] as const) {
    const interval = bernoulliInterval(successes, trials, 0.05, tOpt);
    digits(interval.low, low);
    digits(interval.high, high);
  }
  assert.deepEqual(bernoulliInterval(0, 0, 0.05, 50), { low: 0, high: 1 });
});

test("belief: uniform prior, 120 of 200 against 100 of 200", () => {
  const { chance, expectedLoss } = belief({ units: 200, conversions: 120 }, { units: 200, conversions: 100 });
  digits(chance, "0.022413637");
  digits(expectedLoss, "0.099423065");
});

test("belief is right at the ends and for millions of units", () => {
  const none = belief({ units: 0, conversions: 0 }, { units: 100_000, conversions: 0 });
  near(none.chance, 1 / 100_002, 1e-9);
  near(none.expectedLoss, 0.5 - 1 / 100_002 + 1 / (100_002 * 100_003), 1e-8);
  // SciPy 1.17's quadrature.
  near(belief({ units: 2_000_000, conversions: 20_000 }, { units: 2_000_000, conversions: 20_200 }).chance, 0.8419604021541922, 1e-9);
  near(belief({ units: 50, conversions: 20 }, { units: 50, conversions: 20 }).chance, 0.5, 1e-12);
  const best = chancesOfBest([
    { units: 200, conversions: 100 },
    { units: 200, conversions: 120 },
    { units: 200, conversions: 110 },
  ]);
  near(
    best.reduce((sum, chance) => sum + chance, 0),
    1,
    1e-11,
  );
  near(
    chancesOfBest([
      { units: 200, conversions: 120 },
      { units: 200, conversions: 100 },
    ])[1]!,
    0.022413637,
    1e-7,
  );
});

test("Holm's correction steps down and keeps the order given", () => {
  assert.deepEqual(
    holm([0.04, 0.01, 0.03]).map((p) => Math.round(p * 1e6) / 1e6),
    [0.06, 0.03, 0.06],
  );
  assert.deepEqual(holm([0.9, 0.8]), [1, 1]);
  assert.deepEqual(holm([]), []);
});

test("CUPED takes away what the past explains, and keeps the effect", () => {
  const random = randomOf(5);
  const arms = [0, 0.3].map((effect) => {
    const sums = { units: 4000, sumY: 0, sumYY: 0, sumX: 0, sumXX: 0, sumXY: 0 };
    for (let i = 0; i < sums.units; i++) {
      const habit = normal(random);
      const [x, y] = [habit + normal(random) * 0.5, 5 + effect + habit + normal(random) * 0.5];
      sums.sumY += y;
      sums.sumYY += y * y;
      sums.sumX += x;
      sums.sumXX += x * x;
      sums.sumXY += x * y;
    }
    return sums;
  });
  const plain = arms.map(({ units, sumY, sumYY }) => sampleOfSums({ units, sum: sumY, sumOfSquares: sumYY }));
  const { samples, varianceSaved } = cuped(arms);
  // x and y share variance 1 of 1.25 each: correlation 0.8, so 0.64 of the variance goes.
  near(varianceSaved, 0.64, 0.03);
  near(samples[0]!.variance / plain[0]!.variance, 0.36, 0.05);
  assert.ok(Math.abs(samples[1]!.mean - samples[0]!.mean - 0.3) < 0.05);
  const flat = arms.map(({ units, sumY, sumYY }) => ({ units, sumY, sumYY, sumX: 0, sumXX: 0, sumXY: 0 }));
  assert.equal(cuped(flat).varianceSaved, 0);
  near(cuped(flat).samples[1]!.mean, plain[1]!.mean, 1e-14);
  near(cuped(flat).samples[1]!.variance, plain[1]!.variance, 1e-10);
});
