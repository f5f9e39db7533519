import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import { LimitsUnderTest } from "./limits-under-test.ts";

const AWAY = new GatewayError("STORE_UNAVAILABLE", "away");

describe("while the store is away", () => {
  test("a local limit is divided by the live workers, and counted here", async () => {
    const limits = new LimitsUnderTest({ members: 4 });
    limits.store.fail(AWAY);
    const decision = await limits.check(limits.ask("api", { rate: "100/1m" }));
    assert.deepEqual([decision.allowed, decision.degraded, decision.results[0]?.remaining], [true, "local", 24]);
    assert.equal(await limits.allowed(100, "api", { rate: "100/1m" }), 24);
    limits.clock.advance(2400);
    assert.equal(await limits.allowed(5, "api", { rate: "100/1m" }), 1);
    assert.deepEqual(limits.degraded, [true]);
  });

  test("a part is never below one unit", async () => {
    const limits = new LimitsUnderTest({ members: 10 });
    limits.store.fail(AWAY);
    for (const algorithm of ["gcra", "token-bucket", "fixed-window", "sliding-window", "concurrency"] as const) {
      const rate = algorithm === "concurrency" ? "3" : "3/1m";
      assert.equal(await limits.allowed(5, algorithm, { rate, algorithm }), 1, algorithm);
    }
    assert.equal(await limits.allowed(2, "dear", { rate: "30/1m" }, { cost: 20 }), 1, "a cost above the part");
  });

  test("an open limit lets everything pass, a closed one nothing", async () => {
    const limits = new LimitsUnderTest();
    limits.store.fail(AWAY);
    const open = await limits.check(limits.ask("open", { rate: "1/1m", onStoreLoss: "open" }));
    assert.deepEqual([open.allowed, open.degraded], [true, "open"]);
    assert.equal(await limits.allowed(50, "open", { rate: "1/1m", onStoreLoss: "open" }), 50);
    const closed = await limits.check(limits.ask("closed", { rate: "1/1m", onStoreLoss: "closed" }));
    assert.deepEqual([closed.allowed, closed.degraded, closed.results[0]?.reason], [false, "closed", "store"]);
  });

  test("a closed limit in shadow refuses nobody", async () => {
    const limits = new LimitsUnderTest();
    limits.store.fail(AWAY);
    assert.equal((await limits.check(limits.ask("closed", { rate: "1/1m", onStoreLoss: "closed", shadow: true }))).allowed, true);
  });

  test("a closed limit beside a local one refuses, and the local one loses nothing", async () => {
    const limits = new LimitsUnderTest();
    limits.store.fail(AWAY);
    const local = () => limits.ask("local", { rate: "1/1m" }, { group: "g" });
    const closed = limits.ask("closed", { rate: "9/1m", onStoreLoss: "closed" }, { group: "g" });
    for (let i = 0; i < 3; i++) assert.equal((await limits.check(local(), closed)).allowed, false);
    assert.equal((await limits.check(local())).allowed, true);
  });

  test("leased limits and penalties go on too", async () => {
    const limits = new LimitsUnderTest();
    limits.store.fail(AWAY);
    assert.equal(await limits.allowed(5, "leased", { rate: "3/1m", mode: "leased" }), 3);
    const strict = limits.ask("strict", { rate: "1/1s", penalty: { after: 1, block: "1m" } });
    await limits.check(strict);
    await limits.check(strict);
    limits.clock.advance(30_000);
    assert.equal((await limits.check(strict)).results[0]?.reason, "penalty");
  });

  test("what runs at once stays bounded: what was counted in the store counts here", async () => {
    const limits = new LimitsUnderTest();
    const two = { rate: "2", algorithm: "concurrency" as const };
    const held = await limits.check(limits.ask("reports", two));
    limits.store.fail(AWAY);
    const other = await limits.check(limits.ask("reports", two));
    assert.equal(other.allowed, true);
    assert.equal((await limits.check(limits.ask("reports", two))).allowed, false);
    held.release!();
    assert.equal((await limits.check(limits.ask("reports", two))).allowed, true);
    assert.equal(limits.limiter.status().inFlight, 2);
  });

  test("one call in a while asks whether it is back, and all others wait for nothing", async () => {
    const limits = new LimitsUnderTest();
    limits.store.fail(AWAY);
    await limits.allowed(10, "api", { rate: "1000/1m" });
    const before = limits.calls;
    for (let ms = 0; ms < 2000; ms += 10) {
      limits.clock.advance(10);
      await limits.allowed(10, "api", { rate: "1000/1m" });
    }
    const probes = limits.calls - before;
    assert.ok(probes >= 4 && probes <= 16, `${probes} probes in 2 s`);
  });
});

describe("when the store is back", () => {
  test("keys return to it one after another, in another order in each worker, and all of them within two seconds", async () => {
    const one = new LimitsUnderTest({ random: () => 0.2 });
    const other = new LimitsUnderTest({ beside: one, random: () => 0.7 });
    one.store.fail(AWAY);
    one.store.fail(null);
    const asked = async (limits: LimitsUnderTest): Promise<boolean[]> => {
      const decisions = await Promise.all(Array.from({ length: 200 }, (_, i) => limits.check(limits.ask("api", { rate: "1000/1m" }, { key: `key-${i}` }))));
      return decisions.map(({ degraded }) => degraded === null);
    };
    const returned = (answers: readonly boolean[]): number => answers.filter(Boolean).length;
    one.clock.advance(100);
    const early = await asked(one);
    assert.ok(returned(early) < 40, `${returned(early)} of 200 after 0.1 s`);
    one.clock.advance(900);
    const [half, otherHalf] = [await asked(one), await asked(other)];
    assert.ok(returned(half) > 60 && returned(half) < 140, `${returned(half)} of 200 after 1 s`);
    assert.ok(
      half.every((is, i) => is || !early[i]),
      "none goes back and forth",
    );
    assert.ok(half.filter((is, i) => is !== otherHalf[i]).length > 40, "the workers differ");
    one.clock.advance(1000);
    assert.equal(returned(await asked(one)), 200);
    assert.deepEqual(one.degraded, [true, false]);
  });

  test("a closed limit is counted again at once", async () => {
    const limits = new LimitsUnderTest();
    limits.store.fail(AWAY);
    const ask = limits.ask("closed", { rate: "5/1m", onStoreLoss: "closed" });
    assert.equal((await limits.check(ask)).allowed, false);
    limits.store.fail(null);
    assert.equal((await limits.check(ask)).allowed, true);
  });
});
