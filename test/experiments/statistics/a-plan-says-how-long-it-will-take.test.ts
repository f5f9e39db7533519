import assert from "node:assert/strict";
import { test } from "node:test";
import { duration, smallestLift } from "../../../runtime/experiments/statistics/statistics.ts";
import { near } from "./near.ts";

const usual = { baseline: 0.1, weights: [1, 1], power: 0.8, alpha: 0.05 };

test("one look at the end needs what the tables say; looking every day costs about twice that, and is not fixed in advance", () => {
  const { units, fixedHorizonUnits, days } = duration({ ...usual, lift: 0.2, unitsPerDay: 1500 });
  // (1.95996 + 0.84162)² · (0.1 · 0.9 + 0.12 · 0.88)/0.02² in each arm.
  near(fixedHorizonUnits, 7678, 1e-3);
  assert.ok(units > 1.5 * fixedHorizonUnits && units < 2.2 * fixedHorizonUnits);
  assert.equal(days, Math.ceil(units / 1500));
  assert.equal(duration({ ...usual, lift: 0.2, unitsPerDay: null }).days, null);
});

test("smaller effects, more power, more arms and uneven weights each need more units; a fall needs about as many as a rise", () => {
  const of = (changes: Partial<Parameters<typeof duration>[0]>) => duration({ ...usual, lift: 0.1, unitsPerDay: null, ...changes }).units;
  const base = of({});
  assert.ok(of({ lift: 0.05 }) > 3.5 * base);
  assert.ok(of({ power: 0.95 }) > base);
  assert.ok(of({ weights: [1, 1, 1] }) > 1.5 * base);
  assert.ok(of({ weights: [9, 1] }) > 2.5 * base);
  assert.ok(Math.abs(of({ lift: -0.1 }) / base - 1) < 0.2);
});

test("what can be found in so many units is what needs so many", () => {
  const lift = smallestLift(usual, 20_000)!;
  const { units } = duration({ ...usual, lift, unitsPerDay: null });
  assert.ok(units <= 20_000 && units > 19_900, `${units}`);
  assert.ok(smallestLift(usual, 40_000)! < lift);
  assert.equal(smallestLift(usual, 3), null);
});
