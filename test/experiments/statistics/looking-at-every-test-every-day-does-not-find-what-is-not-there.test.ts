import assert from "node:assert/strict";
import { test } from "node:test";
import { duration, errorGuardrail, sequentialMeans } from "../../../runtime/experiments/statistics/statistics.ts";
import { looked } from "./looked.ts";
import { binomial, normal, randomOf } from "./simulated.ts";

const share = (values: readonly number[]) => values.filter((at) => at < Number.POSITIVE_INFINITY).length / values.length;
/** Three deviations of a share among so many runs. */
const chanceOf = (p: number, runs: number) => 3 * Math.sqrt((p * (1 - p)) / runs);

test("A/A, 2,000 runs, 200 looks each: at most 5 % false alarms, where a z test at each look raises about 43 %", (t) => {
  const runs = Array.from({ length: 2000 }, (_, i) => looked(i + 1, { rates: [0.1, 0.1], looks: 200, unitsPerLook: 50 }));
  const [sequential, naive, mismatch] = [share(runs.map((run) => run.sequential)), share(runs.map((run) => run.naive)), share(runs.map((run) => run.mismatch))];
  t.diagnostic(`false alarms: sequential ${sequential}, z at each look ${naive}; sample ratio ${mismatch}`);
  assert.ok(sequential <= 0.05 + chanceOf(0.05, runs.length), `${sequential}`);
  assert.ok(Math.abs(naive - 0.43) < 0.05, `${naive}`);
  assert.ok(mismatch <= 0.001 + chanceOf(0.001, runs.length), `${mismatch}`);
});

test("A/A with a rate of 1 %, from the first conversions on: exact bounds while counts are small", () => {
  const runs = Array.from({ length: 200 }, (_, i) => looked(i + 1, { rates: [0.01, 0.01], looks: 100, unitsPerLook: 60 }));
  assert.ok(share(runs.map((run) => run.sequential)) <= 0.05);
});

test("10 % to 12 % is found with a median of at most 8,000 units, and as soon as the plan says", (t) => {
  const runs = Array.from({ length: 400 }, (_, i) => looked(i + 1, { rates: [0.1, 0.12], looks: 200, unitsPerLook: 100 }));
  const found = runs.map((run) => run.sequential).sort((a, b) => a - b);
  const median = found[Math.floor(found.length / 2)]!;
  t.diagnostic(`median ${median}, 80 % by ${found[Math.floor(found.length * 0.8)]}`);
  assert.ok(median <= 8000, `${median}`);
  const planned = duration({ baseline: 0.1, lift: 0.2, weights: [1, 1], power: 0.8, alpha: 0.05, unitsPerDay: 1000 });
  const reached = found.filter((at) => at <= planned.units).length / found.length;
  assert.ok(reached >= 0.8 - chanceOf(0.8, found.length), `${reached} by ${planned.units}`);
  assert.ok(reached < 0.9, "the plan is on the safe side, not far out");
  assert.equal(planned.days, Math.ceil(planned.units / 1000));
  assert.ok(planned.fixedHorizonUnits < planned.units && planned.fixedHorizonUnits > 7000);
});

test("A/A with values of heavy tails, and their true difference within the interval at every look", () => {
  let [alarms, missed] = [0, 0];
  for (let run = 1; run <= 500; run++) {
    const random = randomOf(run);
    const arms = [0, 1].map(() => ({ units: 0, mean: 0, squares: 0 }));
    let [alarm, outside] = [false, false];
    for (let look = 0; look < 60; look++) {
      for (const [i, arm] of arms.entries()) {
        for (let unit = 0; unit < 25; unit++) {
          // Log-normal; the variant's are 1 higher.
          const value = Math.exp(normal(random)) + i;
          arm.units++;
          const before = value - arm.mean;
          arm.mean += before / arm.units;
          arm.squares += before * (value - arm.mean);
        }
      }
      const [a, b] = arms.map(({ units, mean, squares }) => ({ units, mean, variance: squares / (units - 1) }));
      const { low, high } = sequentialMeans(a!, b!, 0.05)!.interval;
      if (low > 1 || high < 1) outside = true;
      const shifted = sequentialMeans(a!, { ...b!, mean: b!.mean - 1 }, 0.05)!;
      if (shifted.p! <= 0.05) alarm = true;
      assert.equal(shifted.p! <= 0.05, shifted.interval.low > 0 || shifted.interval.high < 0, "p and interval say the same");
    }
    if (alarm) alarms++;
    if (outside) missed++;
  }
  assert.ok(alarms / 500 <= 0.05 && missed / 500 <= 0.05, `${alarms} ${missed}`);
});

test("a variant with 5 % injected errors fails its guardrail within seconds of traffic; one without errors does not in a whole day", (t) => {
  const detected: number[] = [];
  for (let run = 1; run <= 100; run++) {
    const random = randomOf(run);
    let [units, errors] = [0, 0];
    // 200 requests a second, half of them to the variant, looked at every second.
    for (let second = 1; second <= 60; second++) {
      units += 100;
      errors += binomial(100, 0.05, random);
      if (errorGuardrail({ units, conversions: 0 }, { units, conversions: errors }, 0.01, 0.05).outcome === "fail") {
        detected.push(second);
        break;
      }
    }
  }
  detected.sort((a, b) => a - b);
  t.diagnostic(`found after a median of ${detected[50]} s, the last after ${detected.at(-1)} s`);
  assert.equal(detected.length, 100);
  assert.ok(detected.at(-1)! <= 20);
  let falsely = 0;
  for (let run = 1; run <= 50; run++) {
    const random = randomOf(1000 + run);
    const arms = [
      { units: 0, conversions: 0 },
      { units: 0, conversions: 0 },
    ];
    for (let look = 0; look < 100; look++) {
      for (const arm of arms) {
        arm.units += 864;
        arm.conversions += binomial(864, 0.02, random);
      }
      if (errorGuardrail(arms[0]!, arms[1]!, 0, 0.05).outcome === "fail") {
        falsely++;
        break;
      }
    }
  }
  assert.ok(falsely / 50 <= 0.05 + chanceOf(0.05, 50), `${falsely}`);
});
