import assert from "node:assert/strict";
import { test } from "node:test";
import type { LatencyHistogram } from "../../../runtime/experiments/statistics/statistics.ts";
import { errorGuardrail, latencyGuardrail, MISMATCH_ALPHA, quantileInterval, sequentialSplit } from "../../../runtime/experiments/statistics/statistics.ts";
import { binomial, normal, randomOf } from "./simulated.ts";

/** Buckets of 5 %, from 1 ms to about 2.5 s. */
const BOUNDS_MS = Array.from({ length: 160 }, (_, i) => 1.05 ** i);
const empty = () => ({ boundsMs: BOUNDS_MS, counts: Array.from({ length: BOUNDS_MS.length + 1 }, () => 0) });

function add(histogram: LatencyHistogram & { counts: number[] }, valueMs: number): void {
  histogram.counts[Math.min(BOUNDS_MS.length, Math.max(0, Math.ceil(Math.log(valueMs) / Math.log(1.05))))]!++;
}

test("no data and too little data hold", () => {
  const none = { units: 0, conversions: 0 };
  assert.deepEqual(errorGuardrail(none, { units: 100, conversions: 100 }, 0.01, 0.05), { outcome: "hold", because: "no-data", increase: null });
  assert.equal(errorGuardrail({ units: 3, conversions: 0 }, { units: 3, conversions: 3 }, 0.01, 0.05).because, "inconclusive");
  assert.deepEqual(latencyGuardrail(empty(), empty(), 0.95, 0.2, 0.05), { outcome: "hold", because: "no-data", increase: null });
  const one = empty();
  add(one, 100);
  assert.equal(latencyGuardrail(one, one, 0.95, 0.2, 0.05).because, "inconclusive");
});

test("errors: the same few percent in both pass in time, twice as many fail", () => {
  assert.equal(errorGuardrail({ units: 20_000, conversions: 400 }, { units: 20_000, conversions: 410 }, 0.01, 0.05).outcome, "pass");
  const failing = errorGuardrail({ units: 20_000, conversions: 400 }, { units: 20_000, conversions: 900 }, 0.01, 0.05);
  assert.deepEqual([failing.outcome, failing.because], ["fail", "worse"]);
  assert.ok(failing.increase!.low > 0.01 && failing.increase!.high < 0.05);
});

test("a visitor who fails ten thousand times is one unit with an error, and stops nothing", () => {
  assert.notEqual(errorGuardrail({ units: 400, conversions: 0 }, { units: 400, conversions: 1 }, 0.01, 0.05).outcome, "fail");
});

test("the bounds of a latency quantile hold it at every look, in all but alpha of the runs", () => {
  const truth = Math.exp(4 + 0.5 * 1.6448536269514722);
  let missed = 0;
  for (let run = 1; run <= 300; run++) {
    const random = randomOf(run);
    const histogram = empty();
    let outside = false;
    for (let look = 0; look < 50; look++) {
      for (let i = 0; i < 40; i++) add(histogram, Math.exp(4 + 0.5 * normal(random)));
      const { low, high } = quantileInterval(histogram, 0.95, 0.05)!;
      if (truth < low || truth > high) outside = true;
    }
    if (outside) missed++;
  }
  assert.ok(missed / 300 <= 0.05, `${missed}`);
});

test("a variant half as slow again fails its latency guardrail; one that is as quick passes", () => {
  const random = randomOf(77);
  const [control, quick, slow] = [empty(), empty(), empty()];
  for (let i = 0; i < 20_000; i++) {
    add(control, Math.exp(4 + 0.5 * normal(random)));
    add(quick, Math.exp(4 + 0.5 * normal(random)));
    add(slow, 1.5 * Math.exp(4 + 0.5 * normal(random)));
  }
  assert.equal(latencyGuardrail(control, quick, 0.95, 0.2, 0.05).outcome, "pass");
  const failing = latencyGuardrail(control, slow, 0.95, 0.2, 0.05);
  assert.equal(failing.outcome, "fail");
  assert.ok(failing.increase!.low > 0.3 && failing.increase!.low < 0.5 && failing.increase!.high > 0.5);
});

test("a variant that loses one in ten of its units is found as a mismatch by about ten thousand", () => {
  const found: number[] = [];
  for (let run = 1; run <= 100; run++) {
    const random = randomOf(run);
    const counts = [0, 0];
    for (let p = 1, seen = 0; p > MISMATCH_ALPHA && seen < 100_000; seen += 200) {
      const first = binomial(200, 1 / 1.9, random);
      counts[0]! += first;
      counts[1]! += 200 - first;
      p = sequentialSplit(p, counts, [1, 1]);
    }
    found.push(counts[0]! + counts[1]!);
  }
  found.sort((a, b) => a - b);
  assert.ok(found[50]! <= 12_000 && found[99]! <= 40_000, `${found[50]} ${found[99]}`);
});
