import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LEASE_MS, largestLease } from "../../runtime/ratelimit/leases.ts";
import { LimitsUnderTest } from "./limits-under-test.ts";

const RATE = { rate: "1000/1s", mode: "leased" as const };

test("most requests of a busy key need no answer from the store", async () => {
  const limits = new LimitsUnderTest();
  let allowed = 0;
  for (let ms = 0; ms < 1000; ms++) {
    limits.clock.advance(1);
    if ((await limits.check(limits.ask("api", RATE))).allowed) allowed++;
  }
  assert.equal(allowed, 1000);
  assert.ok(limits.calls <= 40, `${limits.calls} calls for 1000 requests`);
});

test("a quiet key leases no more than it asks for", async () => {
  const limits = new LimitsUnderTest();
  for (let i = 0; i < 10; i++) {
    await limits.check(limits.ask("api", { rate: "100/1h", mode: "leased" }));
    limits.clock.advance(10_000);
  }
  const left = await limits.check(limits.ask("api", { rate: "100/1h", mode: "leased" }, { cost: 0 }));
  assert.ok(left.results[0]!.remaining >= 90, `${left.results[0]!.remaining}`);
});

test("units that were leased and not used in time are not used later", async () => {
  const limits = new LimitsUnderTest();
  for (let i = 0; i < 20; i++) await limits.check(limits.ask("api", RATE));
  const before = limits.calls;
  limits.clock.advance(LEASE_MS);
  await limits.check(limits.ask("api", RATE));
  assert.equal(limits.calls, before + 1);
});

test("who waits for the same lease asks once, and is served in order", async () => {
  const limits = new LimitsUnderTest();
  const decisions = await Promise.all(Array.from({ length: 30 }, () => limits.check(limits.ask("api", { rate: "20/1h", mode: "leased" }))));
  assert.equal(decisions.filter(({ allowed }) => allowed).length, 20);
  assert.ok(decisions.slice(0, 20).every(({ allowed }) => allowed));
  assert.ok(limits.calls <= 3, `${limits.calls} calls`);
});

test("when another limit refuses, the leased units go back to the lease", async () => {
  const limits = new LimitsUnderTest();
  const both = () =>
    limits.check(limits.ask("api", { rate: "20/1h", mode: "leased" }, { group: "g" }), limits.ask("strict", { rate: "1/1h" }, { group: "g", key: "x" }));
  assert.equal((await both()).allowed, true);
  for (let i = 0; i < 50; i++) assert.equal((await both()).allowed, false);
  const decisions = await Promise.all(Array.from({ length: 30 }, () => limits.check(limits.ask("api", { rate: "20/1h", mode: "leased" }, { group: "g" }))));
  assert.equal(decisions.filter(({ allowed }) => allowed).length, 19);
});

test("over any span of time, with several workers, at most burst + rate × span + workers × largest lease are admitted", async () => {
  const traffic = fc.record({
    limit: fc.integer({ min: 1, max: 200 }),
    burst: fc.integer({ min: 1, max: 200 }),
    workers: fc.integer({ min: 1, max: 4 }),
    // In each step: how long nothing happens, which worker is asked, and how often.
    steps: fc.array(
      fc.record({
        gapMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 600 })),
        worker: fc.nat(3),
        requests: fc.nat(40),
      }),
      {
        minLength: 1,
        maxLength: 40,
      },
    ),
  });
  await fc.assert(
    fc.asyncProperty(traffic, async ({ limit, burst, workers, steps }) => {
      const first = new LimitsUnderTest();
      const all = [first, ...Array.from({ length: workers - 1 }, () => new LimitsUnderTest({ beside: first }))];
      const input = { rate: `${limit}/1s`, burst, mode: "leased" as const };
      const lease = largestLease(first.policy("api", input));
      const admitted: { atMs: number; units: number }[] = [];
      for (const { gapMs, worker, requests } of steps) {
        first.clock.advance(gapMs);
        admitted.push({ atMs: first.clock.now(), units: await all[worker % workers]!.allowed(requests, "api", input) });
      }
      for (let from = 0; from < admitted.length; from++) {
        let units = 0;
        for (let to = from; to < admitted.length; to++) {
          units += admitted[to]!.units;
          const spanMs = admitted[to]!.atMs - admitted[from]!.atMs;
          assert.ok(units <= burst + (limit * spanMs) / 1000 + workers * lease + 1e-6, `${units} in ${spanMs} ms`);
        }
      }
    }),
    { numRuns: 100 },
  );
});

test("a key that is over its limit is asked for again after a pause, and no unit is lost meanwhile", async () => {
  const limits = new LimitsUnderTest();
  let allowed = 0;
  for (let ms = 0; ms < 2000; ms++) {
    limits.clock.advance(1);
    allowed += await limits.allowed(10, "api", RATE);
  }
  assert.ok(allowed >= 2900 && allowed <= 3000, `${allowed} of 20,000; the burst of 1,000 and two seconds at 1,000 were to be had`);
  assert.ok(limits.calls < 600, `${limits.calls} calls for 20,000 requests`);
});
