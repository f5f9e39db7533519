import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import { LimitsUnderTest } from "./limits-under-test.ts";

test("a burst passes at once, then one request for each part of the window", async () => {
  const limits = new LimitsUnderTest();
  const rate = { rate: "10/1s", burst: 5 };
  assert.equal(await limits.allowed(20, "api", rate), 5);
  limits.clock.advance(99);
  assert.equal(await limits.allowed(1, "api", rate), 0);
  limits.clock.advance(1);
  assert.equal(await limits.allowed(2, "api", rate), 1);
  limits.clock.advance(10_000);
  assert.equal(await limits.allowed(20, "api", rate), 5);
});

test("without a burst the rate's number may come at once", async () => {
  const limits = new LimitsUnderTest();
  assert.equal(await limits.allowed(10, "api", { rate: "3/1m" }), 3);
});

test("the answer tells what is left, when all is there again, and when to come back", async () => {
  const limits = new LimitsUnderTest();
  const ask = limits.ask("api", { rate: "2/10s" });
  assert.deepEqual((await limits.check(ask)).results, [{ allowed: true, remaining: 1, resetMs: 5000, retryAfterMs: 0, reason: "ok" }]);
  await limits.check(ask);
  limits.clock.advance(1000);
  const refused = await limits.check(ask);
  assert.equal(refused.allowed, false);
  assert.deepEqual(refused.results, [{ allowed: false, remaining: 0, resetMs: 9000, retryAfterMs: 4000, reason: "over" }]);
});

test("keys count apart, and a cost counts as many", async () => {
  const limits = new LimitsUnderTest();
  assert.equal(await limits.allowed(3, "api", { rate: "10/1m" }, { key: "a", cost: 4 }), 2);
  assert.equal(await limits.allowed(1, "api", { rate: "10/1m" }, { key: "a", cost: 2 }), 1);
  assert.equal(await limits.allowed(3, "api", { rate: "10/1m" }, { key: "b", cost: 5 }), 2);
});

test("a cost of 0 takes nothing and tells how things stand", async () => {
  const limits = new LimitsUnderTest();
  const look = async () => (await limits.check(limits.ask("api", { rate: "2/1m" }, { cost: 0 }))).results[0];
  assert.equal((await look())?.remaining, 2);
  await limits.allowed(2, "api", { rate: "2/1m" });
  assert.deepEqual([(await look())?.remaining, (await look())?.allowed], [0, true]);
});

test("a request that one limit refuses takes nothing of the others", async () => {
  const limits = new LimitsUnderTest();
  const ask = (name: string, rate: string, key: string) => limits.ask(name, { rate }, { key, group: "both" });
  const both = () => limits.check(ask("each", "100/1m", "me"), ask("all", "1/1m", "everyone"));
  assert.equal((await both()).allowed, true);
  for (let i = 0; i < 5; i++) assert.equal((await both()).allowed, false);
  const left = await limits.check(limits.ask("each", { rate: "100/1m" }, { key: "me", group: "both", cost: 0 }));
  assert.equal(left.results[0]?.remaining, 99);
});

test("checks of one turn are one call to the store", async () => {
  const limits = new LimitsUnderTest();
  await Promise.all(Array.from({ length: 50 }, (_, i) => limits.check(limits.ask("api", { rate: "100/1m" }, { key: `k${i % 7}` }))));
  assert.equal(limits.calls, 1);
});

test("a key that is known to be refused is refused without asking, until its time has come", async () => {
  const limits = new LimitsUnderTest();
  const rate = { rate: "1/1m" };
  await limits.allowed(2, "api", rate);
  const before = limits.calls;
  limits.clock.advance(30_000);
  const known = await limits.check(limits.ask("api", rate));
  assert.deepEqual(known.results, [{ allowed: false, remaining: 0, resetMs: 30_000, retryAfterMs: 30_000, reason: "over" }]);
  assert.equal(limits.calls, before);
  assert.equal(limits.charged.at(-1)?.by, "known");
  limits.clock.advance(30_000);
  assert.equal(await limits.allowed(1, "api", rate), 1);
});

test("a dear request that is known to be refused does not stand in the way of a cheap one", async () => {
  const limits = new LimitsUnderTest();
  assert.equal(await limits.allowed(1, "api", { rate: "10/1m" }, { cost: 8 }), 1);
  assert.equal(await limits.allowed(1, "api", { rate: "10/1m" }, { cost: 5 }), 0);
  assert.equal(await limits.allowed(1, "api", { rate: "10/1m" }, { cost: 2 }), 1);
});

test("a higher rate counts at once, also for a key that is known to be refused", async () => {
  const limits = new LimitsUnderTest();
  assert.equal(await limits.allowed(2, "api", { rate: "1/1h" }), 1);
  assert.equal(await limits.allowed(2, "api", { rate: "3000/1h" }), 0);
  limits.clock.advance(1200);
  assert.equal(await limits.allowed(2, "api", { rate: "1/1h" }), 0);
  assert.equal(await limits.allowed(2, "api", { rate: "3000/1h" }), 1);
});

test("a limit in shadow counts and refuses nobody, and does not keep another from counting", async () => {
  const limits = new LimitsUnderTest();
  const asks = () => limits.check(limits.ask("old", { rate: "5/1m" }, { group: "g" }), limits.ask("new", { rate: "1/1m", shadow: true }, { group: "g" }));
  assert.equal((await asks()).allowed, true);
  const second = await asks();
  assert.equal(second.allowed, true);
  assert.deepEqual([second.results[0]?.remaining, second.results[1]?.reason], [3, "shadow"]);
  const third = await asks();
  assert.deepEqual([third.allowed, third.results[1]?.reason], [true, "shadow"]);
  assert.deepEqual(
    limits.charged.filter(({ limit }) => limit === "new").map(({ reason, by }) => `${reason} ${by}`),
    ["ok store", "shadow store", "shadow known"],
  );
});

test("who goes on after refusals is blocked for as long as the penalty says", async () => {
  const limits = new LimitsUnderTest();
  const strict = { rate: "1/1s", penalty: { after: 3, block: "10m" } };
  const ask = limits.ask("login", strict);
  assert.equal((await limits.check(ask)).allowed, true);
  assert.equal((await limits.check(ask)).results[0]?.reason, "over");
  assert.equal((await limits.check(ask)).results[0]?.reason, "over");
  const third = (await limits.check(ask)).results[0];
  assert.deepEqual([third?.reason, third?.retryAfterMs], ["penalty", 600_000]);
  limits.clock.advance(599_999);
  assert.equal((await limits.check(ask)).results[0]?.reason, "penalty");
  limits.clock.advance(1);
  assert.equal((await limits.check(ask)).allowed, true);
});

test("refusals that lie further apart than a window lead to no penalty", async () => {
  const limits = new LimitsUnderTest();
  const ask = limits.ask("login", { rate: "1/1s", penalty: { after: 2, block: "10m" } });
  for (let i = 0; i < 5; i++) {
    assert.equal((await limits.check(ask)).allowed, true);
    assert.equal((await limits.check(ask)).results[0]?.reason, "over");
    limits.clock.advance(1001);
  }
});

test("a penalty holds on every gateway", async () => {
  const one = new LimitsUnderTest();
  const other = new LimitsUnderTest({ beside: one });
  const strict = { rate: "1/1s", penalty: { after: 1, block: "10m" } };
  await one.allowed(2, "login", strict);
  one.clock.advance(5000);
  assert.equal((await other.check(other.ask("login", strict))).results[0]?.reason, "penalty");
});

test("what runs at once is bounded over all gateways, and comes free when it is done", async () => {
  const one = new LimitsUnderTest();
  const other = new LimitsUnderTest({ beside: one });
  const two = { rate: "2", algorithm: "concurrency" as const };
  const first = await one.check(one.ask("reports", two));
  assert.equal((await other.check(other.ask("reports", two))).allowed, true);
  const refused = await one.check(one.ask("reports", two));
  assert.deepEqual([refused.allowed, refused.release, refused.results[0]?.retryAfterMs], [false, null, 1000]);
  first.release!();
  await one.settled();
  assert.equal((await other.check(other.ask("reports", two))).allowed, true);
  assert.equal((await one.check(one.ask("reports", two))).allowed, false);
});

test("what a dead worker held comes free; what a living one holds stays, however long", async () => {
  const dead = new LimitsUnderTest();
  const living = new LimitsUnderTest({ beside: dead });
  const two = { rate: "2", algorithm: "concurrency" as const };
  await dead.check(dead.ask("reports", two));
  await living.check(living.ask("reports", two));
  dead.limiter.close();
  for (let i = 0; i < 6; i++) {
    living.clock.advance(10_000);
    await living.settled();
  }
  assert.equal(await living.allowed(2, "reports", two), 1);
});

test("a count that was lost with the store's memory is told anew", async () => {
  const limits = new LimitsUnderTest();
  const two = { rate: "2", algorithm: "concurrency" as const };
  const ask = limits.ask("reports", two);
  await limits.check(ask);
  await limits.store.delete([ask.key]);
  limits.clock.advance(10_000);
  await limits.settled();
  assert.equal(await limits.allowed(3, "reports", two), 1);
});

test("what could not be given back is given back with the next sign of life", async () => {
  const limits = new LimitsUnderTest();
  const one = { rate: "1", algorithm: "concurrency" as const };
  const held = await limits.check(limits.ask("reports", one));
  limits.store.fail(new GatewayError("STORE_UNAVAILABLE", "away"));
  held.release!();
  await limits.settled();
  limits.store.fail(null);
  limits.clock.advance(10_000);
  await limits.settled();
  limits.clock.advance(2000);
  assert.equal(await limits.allowed(2, "reports", one), 1);
});
