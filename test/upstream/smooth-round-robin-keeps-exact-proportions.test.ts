import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { smoothWeightedRoundRobin } from "../../runtime/upstream/balance.ts";

const target = (weight: number, name = "", resolved = true) => ({ weight, name, resolved });

test("the published example of the algorithm: weights 5, 1, 1 give a a b a c a a", () => {
  const balancer = smoothWeightedRoundRobin([target(5, "a"), target(1, "b"), target(1, "c")]);
  const order = Array.from({ length: 14 }, () => balancer.pick(null, null)!.name).join("");
  assert.equal(order, "aabacaaaabacaa");
});

test("over each full cycle every target gets exactly its weight", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 4 }), (weights, cycles) => {
      const targets = weights.map((weight) => target(weight));
      const balancer = smoothWeightedRoundRobin(targets);
      const cycle = weights.reduce((sum, weight) => sum + weight, 0);
      fc.pre(cycle > 0);
      for (let c = 0; c < cycles; c++) {
        const counts = targets.map(() => 0);
        for (let i = 0; i < cycle; i++) counts[targets.indexOf(balancer.pick(null, null)!)]!++;
        assert.deepEqual(counts, weights);
      }
    }),
  );
});

test("picks of one target are spread: no prefix strays from the ideal by the number of targets", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 2, maxLength: 8 }), (weights) => {
      const targets = weights.map((weight) => target(weight));
      const balancer = smoothWeightedRoundRobin(targets);
      const cycle = weights.reduce((sum, weight) => sum + weight, 0);
      const counts = targets.map(() => 0);
      for (let i = 1; i <= cycle; i++) {
        counts[targets.indexOf(balancer.pick(null, null)!)]!++;
        for (const [at, weight] of weights.entries()) assert.ok(Math.abs(counts[at]! - (i * weight) / cycle) < targets.length);
      }
    }),
  );
});

test("no target is picked twice for one request, and each one comes once before null", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.boolean()), { minLength: 1, maxLength: 8 }), (parts) => {
      const targets = parts.map(([weight, resolved]) => target(weight, "", resolved));
      const balancer = smoothWeightedRoundRobin(targets);
      const tried: typeof targets = [];
      for (let next = balancer.pick(null, null); next !== null; next = balancer.pick(null, tried)) {
        assert.ok(!tried.includes(next));
        assert.ok(next.weight > 0);
        tried.push(next);
      }
      assert.equal(tried.length, targets.filter(({ weight }) => weight > 0).length);
    }),
  );
});

test("a target whose name does not resolve comes only when no other is left", () => {
  const dead = target(100, "dead", false);
  const alive = target(1, "alive");
  const balancer = smoothWeightedRoundRobin([dead, alive]);
  for (let i = 0; i < 5; i++) assert.equal(balancer.pick(null, null), alive);
  assert.equal(balancer.pick(null, [alive]), dead);
});
