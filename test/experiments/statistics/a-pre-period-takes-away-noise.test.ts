import assert from "node:assert/strict";
import { test } from "node:test";
import { analyse, cuped, sequentialMeans, welch } from "../../../runtime/experiments/statistics/statistics.ts";
import { near } from "./near.ts";
import { normal, randomOf } from "./simulated.ts";

interface Arm {
  units: number;
  sumY: number;
  sumYY: number;
  sumX: number;
  sumXX: number;
  sumXY: number;
}

const EMPTY: Arm = { units: 0, sumY: 0, sumYY: 0, sumX: 0, sumXX: 0, sumXY: 0 };

/** Shoppers: a half were never there before, the others spend as before, more or less. */
function visit(arm: Arm, random: () => number, effect: number): void {
  const habit = Math.exp(normal(random) * 0.6);
  const x = random() < 0.5 ? 0 : habit * 10 + normal(random);
  const y = habit * 10 + normal(random) * 4 + effect;
  arm.units++;
  arm.sumY += y;
  arm.sumYY += y * y;
  arm.sumX += x;
  arm.sumXX += x * x;
  arm.sumXY += x * y;
}

function correlation(arm: Arm): number {
  const [xx, xy, yy] = [arm.sumXX - arm.sumX ** 2 / arm.units, arm.sumXY - (arm.sumX * arm.sumY) / arm.units, arm.sumYY - arm.sumY ** 2 / arm.units];
  return xy / Math.sqrt(xx * yy);
}

test("the variance of the difference falls by the square of the correlation, and the difference stays unbiased", () => {
  const [runs, units, effect] = [1500, 200, 0.5];
  const found = { plain: [] as number[], adjusted: [] as number[] };
  let squared = 0;
  let saved = 0;
  for (let run = 1; run <= runs; run++) {
    const random = randomOf(run);
    const arms = [{ ...EMPTY }, { ...EMPTY }] as [Arm, Arm];
    for (let i = 0; i < units; i++) arms.forEach((arm, index) => visit(arm, random, index * effect));
    const { samples, varianceSaved } = cuped(arms);
    found.plain.push(arms[1].sumY / units - arms[0].sumY / units);
    found.adjusted.push(samples[1]!.mean - samples[0]!.mean);
    squared += (correlation(arms[0]) ** 2 + correlation(arms[1]) ** 2) / 2 / runs;
    saved += varianceSaved / runs;
  }
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = (values: readonly number[]): number => mean(values.map((value) => (value - mean(values)) ** 2));
  assert.ok(squared > 0.15, `${squared}`);
  near(saved, squared, 0.05);
  // The deviation of an estimated variance among so many runs is √(2/1500), of a ratio of two about half as much again.
  near(variance(found.adjusted) / variance(found.plain), 1 - squared, 0.12);
  const error = Math.sqrt(variance(found.adjusted) / runs);
  assert.ok(Math.abs(mean(found.adjusted) - effect) < 3.5 * error, `${mean(found.adjusted)} ± ${error}`);
});

test("A/A with θ estimated anew at each look: no more false alarms than promised, where Welch at each look raises many", (t) => {
  const runs = 400;
  let [alarms, naive] = [0, 0];
  for (let run = 1; run <= runs; run++) {
    const random = randomOf(10_000 + run);
    const arms = [{ ...EMPTY }, { ...EMPTY }];
    let [alarm, welched] = [false, false];
    // From the first units on, one by one, for few of them are what a line fits best.
    for (let look = 0; look < 110; look++) {
      for (const arm of arms) for (let i = 0; i < (look < 50 ? 1 : 50); i++) visit(arm, random, 0);
      const [a, b] = cuped(arms).samples;
      alarm ||= (sequentialMeans(a!, b!, 0.05)?.p ?? 1) <= 0.05;
      welched ||= (welch(a!, b!, 0.05)?.p ?? 1) <= 0.05;
    }
    if (alarm) alarms++;
    if (welched) naive++;
  }
  t.diagnostic(`false alarms: sequential ${alarms / runs}, Welch at each look ${naive / runs}`);
  assert.ok(alarms / runs <= 0.05 && naive / runs > 0.2, `${alarms / runs} ${naive / runs}`);
});

test("the change is shown with and without; without anybody's past they are the same", () => {
  const random = randomOf(77);
  const arms = [{ ...EMPTY }, { ...EMPTY }] as [Arm, Arm];
  for (let i = 0; i < 3000; i++) arms.forEach((arm, index) => visit(arm, random, index * 0.6));
  const look = (past: (arm: Arm) => { sumX: number; sumXX: number; sumXY: number } | null) =>
    analyse({
      experiment: "new-cart",
      arms: arms.map((arm, i) => ({
        variant: ["control", "next"][i]!,
        units: arm.units,
        goals: [{ kind: "value" as const, sum: arm.sumY, sumOfSquares: arm.sumYY, past: past(arm) }],
        unitsWithErrors: 0,
        latency: null,
      })),
      weights: [1, 1],
      goals: [{ name: "revenue", better: "higher" }],
      guardrails: { errors: null, latency: null },
      alpha: 0.05,
      earlierMismatchP: 1,
    }).variants[0]!.goals[0]!;
  const none = look(() => null);
  const adjusted = look(({ sumX, sumXX, sumXY }) => ({ sumX, sumXX, sumXY }));
  const nobody = look(() => ({ sumX: 0, sumXX: 0, sumXY: 0 }));
  assert.deepEqual([none.plain, none.varianceSaved], [null, 0]);
  assert.deepEqual([adjusted.plain!.lift, adjusted.plain!.sequential], [none.lift, none.sequential]);
  const width = ({ sequential }: Pick<typeof none, "sequential">): number => sequential!.interval.high - sequential!.interval.low;
  near(width(adjusted) / width(adjusted.plain!), Math.sqrt(1 - adjusted.varianceSaved), 0.02);
  assert.ok(Math.abs(nobody.lift! - none.lift!) < 1e-12 && nobody.varianceSaved === 0);
  near(width(nobody), width(none), 1e-9);
});
