import assert from "node:assert/strict";
import { test } from "node:test";
import { policyMember, retryAfterSeconds, stateMember } from "../../runtime/ratelimit/fields.ts";
import { type LimitInput, resolvePolicy } from "../../runtime/ratelimit/policy.ts";

function policy(input: LimitInput) {
  const resolved = resolvePolicy("per-user", "config", input);
  assert.ok("policy" in resolved);
  return resolved.policy;
}
const result = { allowed: true, remaining: 3, resetMs: 1200, retryAfterMs: 0, reason: "ok" } as const;

test("a policy names its quota and its window in whole seconds", () => {
  assert.equal(policyMember(policy({ rate: "100/1m" })), '"per-user";q=100;w=60');
  assert.equal(policyMember(policy({ rate: "100/1m", burst: 10 })), '"per-user";q=100;w=60');
  assert.equal(policyMember(policy({ rate: "5/100ms" })), '"per-user";q=50;w=1');
  assert.equal(policyMember(policy({ rate: "3/1.5s" })), '"per-user";q=4;w=2');
  assert.equal(policyMember(policy({ rate: "20", algorithm: "concurrency" })), '"per-user";q=20;qu="concurrent-requests"');
});

test("a state names what is left, and the seconds until there is more", () => {
  assert.equal(stateMember(policy({ rate: "100/1m" }), result), '"per-user";r=3;t=2');
  assert.equal(
    stateMember(policy({ rate: "100/1m" }), { ...result, allowed: false, remaining: 0, retryAfterMs: 60_001, reason: "over" }),
    '"per-user";r=0;t=61',
  );
  assert.equal(stateMember(policy({ rate: "20", algorithm: "concurrency" }), result), '"per-user";r=3');
});

test("nobody is told to come back in no time", () => {
  assert.deepEqual([retryAfterSeconds(1), retryAfterSeconds(1000), retryAfterSeconds(1001)], [1, 1, 2]);
});

test("options that make no sense are told, all at once", () => {
  const wrong = (input: LimitInput): string[] => {
    const resolved = resolvePolicy("x", "rule", input);
    return "problems" in resolved ? resolved.problems.map(({ at }) => at) : [];
  };
  assert.deepEqual(wrong({ rate: "100" }), ["rate"]);
  assert.deepEqual(wrong({ rate: "0/1m" }), ["rate"]);
  assert.deepEqual(wrong({ rate: "1e3/1m" }), ["rate"]);
  assert.deepEqual(wrong({ rate: "100/0s" }), ["rate"]);
  assert.deepEqual(wrong({ rate: "1001/1ms" }), ["rate"]);
  assert.deepEqual(wrong({ rate: "9999999999/1d" }), ["rate"]);
  assert.deepEqual(wrong({ rate: "20/1m", algorithm: "concurrency" }), ["rate"]);
  assert.deepEqual(wrong({ rate: "20", algorithm: "concurrency", burst: 3, mode: "leased", penalty: { block: "1m" } }), ["burst", "mode", "penalty"]);
  assert.deepEqual(wrong({ rate: "x", burst: 0.5, penalty: { after: 0, block: "1m" } }), ["rate", "burst", "penalty"]);
  assert.deepEqual(wrong({ rate: "10/1m", algorithm: "fixed-window", burst: 3 }), ["burst"]);
  assert.deepEqual(wrong({ rate: "10/1m", mode: "leased", penalty: { block: "1m" } }), ["penalty"]);
  assert.deepEqual(wrong({ rate: "10/1m", penalty: { block: "soon" } }), ["penalty"]);
});
