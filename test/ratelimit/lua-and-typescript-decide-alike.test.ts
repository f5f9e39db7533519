import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { ManualClock } from "../../runtime/clock.ts";
import { ALGORITHMS, EPOCH_MS } from "../../runtime/ratelimit/algorithms.ts";
import { HOLD } from "../../runtime/ratelimit/in-flight.ts";
import { type Ask, type AskedPolicy, REPLY_STRIDE, TAKE, takeArguments } from "../../runtime/ratelimit/take.ts";
import { createMemoryStore, defineScript, type Store, type StoreScript } from "../../runtime/store/store.ts";
import { startRedis } from "../store/redis-server.ts";
import { redisWorkers } from "../store/redis.ts";

const START_MS = EPOCH_MS + 25_000_000_000;
const HOLD_MS = 30_000;
const CLOCK = "{t}clock";

/** The script as it is, but for its clock, which is the last key's, and for lifetimes, which pass in the real world. */
function withClock({ name, embedded }: StoreScript, file: string): StoreScript {
  const text = readFileSync(new URL(`../../runtime/ratelimit/${file}`, import.meta.url), "utf8");
  const lua = text
    .replace('redis.call("TIME")', '(function() local s, us = string.match(redis.call("GET", KEYS[#KEYS]), "(%d+) (%d+)") return { s, us } end)()')
    .replace("for k = 1, #KEYS do", "for k = 1, #KEYS - 1 do")
    .replace(/string\.format\("%\.0f", (ttl|math\.max\(1, math\.ceil\(last - now\)\))\)/, 'string.format("%.0f", 600000 + $1)');
  assert.doesNotMatch(lua, /"TIME"/);
  assert.match(lua, /600000/);
  return defineScript({ name, lua, embedded });
}

const policies: fc.Arbitrary<AskedPolicy> = fc
  .record({
    algorithm: fc.constantFrom(...ALGORITHMS),
    limit: fc.integer({ min: 1, max: 40 }),
    windowMs: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 100, max: 20_000 })),
    capacity: fc.integer({ min: 1, max: 50 }),
    shadow: fc.boolean(),
    penalty: fc.option(fc.record({ after: fc.integer({ min: 1, max: 4 }), blockMs: fc.integer({ min: 1, max: 10_000 }) })),
  })
  .map(sound);

/** As `resolvePolicy` would have it. */
function sound(policy: AskedPolicy): AskedPolicy {
  if (policy.algorithm === "concurrency") return { ...policy, windowMs: 0, capacity: policy.limit, penalty: null };
  return policy.algorithm.endsWith("window") ? { ...policy, capacity: policy.limit } : policy;
}

interface Script {
  readonly policies: readonly AskedPolicy[];
  readonly steps: readonly {
    gapMs: number;
    holder: number;
    checks: readonly (readonly { limit: number; key: number; cost: number; more: number }[])[];
    release: number;
  }[];
}
const scripts: fc.Arbitrary<Script> = fc.record({
  policies: fc.array(policies, { minLength: 1, maxLength: 4 }),
  steps: fc.array(
    fc.record({
      gapMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 15_000 }), fc.constant(HOLD_MS), fc.constant(31_000)),
      holder: fc.constantFrom(1, 7, 8_007_199_254_740_991),
      checks: fc.array(
        fc.array(fc.record({ limit: fc.nat(3), key: fc.nat(1), cost: fc.nat(8), more: fc.oneof(fc.constant(0), fc.nat(10)) }), { minLength: 1, maxLength: 3 }),
        { minLength: 1, maxLength: 4 },
      ),
      release: fc.nat(3),
    }),
    { minLength: 1, maxLength: 25 },
  ),
});

test("the Lua of the limits and its TypeScript give the same answers, whatever is asked", { timeout: 120_000 }, async (t) => {
  const server = await startRedis();
  t.after(() => server.stop());
  const redis: Store = await redisWorkers(t, server.url)();
  const [take, hold] = [withClock(TAKE, "take.lua"), withClock(HOLD, "hold.lua")];
  let run = 0;
  let refusals = 0;
  let grants = 0;
  await fc.assert(
    fc.asyncProperty(scripts, async (script) => {
      run++;
      let nowMs = START_MS;
      const clock = new ManualClock(0, 0);
      clock.advance(START_MS);
      const memory = createMemoryStore({ clock: { now: () => nowMs, unixMs: () => nowMs, after: (ms, then) => clock.after(ms, then) } });
      const keyOf = (limit: number, key: number): string => `{t}${run}:${limit}:${key}`;
      for (const { gapMs, holder, checks, release } of script.steps) {
        nowMs += gapMs;
        await redis.set(CLOCK, `${Math.trunc(nowMs / 1000)} ${(nowMs % 1000) * 1000}`, { ttlMs: null });
        const asked = checks.map((check) => {
          const limits = new Map(check.map((ask) => [ask.limit % script.policies.length, ask]));
          return Array.from(limits, ([limit, { key, cost, more }]): Ask => {
            const policy = script.policies[limit]!;
            const units = Math.min(cost, policy.capacity);
            return { policy, key: keyOf(limit, key), cost: units, want: Math.min(units + more, policy.capacity) };
          });
        });
        const { keys, args } = takeArguments(asked, holder, HOLD_MS);
        const [inLua, inTypeScript] = [await redis.run(take, [...keys, CLOCK], args), await memory.run(TAKE, keys, args)];
        assert.deepEqual(inLua, inTypeScript);
        const codes = inLua.filter((_, i) => i % REPLY_STRIDE === 0).map(Number);
        refusals += codes.filter((code) => code < 0).length;
        grants += codes.filter((code) => code > 0).length;

        const running = script.policies.findIndex(({ algorithm }) => algorithm === "concurrency");
        if (running < 0) continue;
        const released = [keyOf(running, 0), keyOf(running, 1)];
        const words = [holder, HOLD_MS, "add", -release, release === 3 ? "set" : "add", release - 2];
        assert.deepEqual(await redis.run(hold, [...released, CLOCK], words), await memory.run(HOLD, released, words));
      }
    }),
    { numRuns: 400 },
  );
  assert.ok(refusals > 500 && grants > 500, `${refusals} refusals, ${grants} grants`);
});
