/** Known failures of other tools, each by the number under which somebody met it. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import { ConfigError, resolveConfig } from "../../runtime/config/config.ts";
import type { OwnCounts } from "../../runtime/control/canary/steward.ts";
import { Order } from "../../runtime/control/release-shapes.ts";
import type { Rollout } from "../../runtime/control/rollouts.ts";
import { type ArmCounts, NO_COUNTS } from "../../runtime/observe/canary-counts.ts";
import { createMemoryStore } from "../../runtime/store/store.ts";
import { member, type Member, packed, rolledOut } from "./fleet-of-followers.ts";
import { DEFAULTS } from "./simulated-canary.ts";
import { until } from "../support/until.ts";

const [OLD, NEW] = [packed("old"), packed("new")];
const POLICY = { ...DEFAULTS, steps: [500, 2500, 10_000], stepMs: 0, minimumUnits: 100 };

function side(units: number, more: Partial<ArmCounts> = {}): ArmCounts {
  return { ...NO_COUNTS, units, requests: units, latencies: NO_COUNTS.latencies.map((_, i) => (i === 50 ? units : 0)), ...more };
}
const fine = (step: number): OwnCounts => ({ counts: { step, idleMs: 0, canary: side(600), current: side(6000) }, missing: "" });

/** One gateway with a canary beside what serves; `counts` may change as it likes. */
async function withCanary(t: TestContext, counts: (step: number) => OwnCounts): Promise<{ gateway: Member; judged: () => Promise<string> }> {
  const store = createMemoryStore();
  const gateway = member(t, store, "a", { counts });
  await gateway.shelf.put(OLD, {});
  await gateway.shelf.put(NEW, {});
  await rolledOut(gateway, { release: OLD.release.id, base: 0 });
  const begun = (await rolledOut(gateway, { release: NEW.release.id, base: 1, canary: POLICY })) as Rollout;
  assert.equal(begun.state, "serving");
  return {
    gateway,
    async judged() {
      await gateway.follower.look();
      await gateway.steward.tend();
      await gateway.follower.look();
      const view = gateway.steward.view();
      return view === null ? "over" : `${view.canary.steps[view.canary.at]! / 100}% ${view.picture?.verdict ?? ""}: ${view.picture?.reason ?? ""}`;
    },
  };
}

test("flagger #1011: a canary does not advance after its traffic has stopped", async (t) => {
  let idleMs: number | null = 10;
  const { judged, gateway } = await withCanary(t, (step) => ({ counts: { ...fine(step).counts!, idleMs }, missing: "" }));
  await judged();
  assert.equal(gateway.canary()?.share, 2500);
  idleMs = 30_000;
  for (let i = 0; i < 5; i++) assert.equal(await judged(), "25% hold: traffic on the canary has stopped");
  idleMs = null;
  assert.equal(await judged(), "25% hold: traffic on the canary has stopped");
});

test("flagger #1801: failures beyond the limit are not passed over, at whatever step, whatever else is missing", async (t) => {
  let failures = 0;
  let missing = "";
  const { judged, gateway } = await withCanary(t, (step) => ({ counts: { step, idleMs: 0, canary: side(600, { failures }), current: side(6000) }, missing }));
  await judged();
  assert.equal(gateway.canary()?.share, 2500);
  [failures, missing] = [200, "one worker is silent"];
  await judged();
  await until(() => gateway.canary() === null);
  assert.deepEqual([gateway.serves(), gateway.follower.seen.head!.ended?.because], [OLD.release.id, "breach"]);
});

test("flagger #1581: a misnamed metric is an error that names the nearest, not a check that always passes", () => {
  const config = { upstreams: { a: { targets: ["http://127.0.0.1:9"] } }, releases: { canary: { limits: { exeptions: "1%" } } } };
  assert.throws(
    () => resolveConfig(config, { baseDir: "/", file: "" }),
    (error) => error instanceof ConfigError && /releases\.canary\.limits\.exeptions.*exceptions/s.test(error.message),
  );
  const order = { release: "0".repeat(12), base: 1, canary: { ...POLICY, limits: { ...POLICY.limits, exeptions: 0.01 } } };
  assert.equal(Order.safeParse(order).success, false);
  const { cpu: _, ...lacking } = POLICY.limits;
  assert.equal(Order.safeParse({ ...order, canary: { ...POLICY, limits: lacking } }).success, false);
});

test("argo-rollouts #4479: a canary whose every measurement fails is no success", async (t) => {
  let counts: (step: number) => OwnCounts = () => ({ counts: null, missing: "no counts from worker 1" });
  const { judged, gateway } = await withCanary(t, (step) => counts(step));
  assert.equal(await judged(), "5% hold: gateway a: no counts from worker 1");
  counts = (step) => ({ counts: { step, idleMs: 0, canary: side(Number.NaN), current: side(Number.NaN) }, missing: "" });
  // NaN does not even cross JSON: it arrives as null.
  for (let i = 0; i < 3; i++) assert.match(await judged(), /^5% hold: cannot be measured: exceptions, timeouts, errors, latencyP95, cpu$/);
  counts = (step) => ({ counts: { step: step + 1, idleMs: 0, canary: side(600), current: side(600) }, missing: "" });
  assert.match(await judged(), /^5% hold: gateway a has counted nothing at this step$/);
  assert.equal(gateway.canary()?.share, 500);
});

test("envoy #39891: what a gateway has accepted is not reported as applied before its listeners answer with it", async (t) => {
  const store = createMemoryStore();
  let trouble = "127.0.0.1:8080 answered 200 on release 000000000000";
  const gateway = member(t, store, "a", { probe: () => trouble });
  await gateway.shelf.put(NEW, {});
  const order = { release: NEW.release.id, base: 0, kind: "deploy", dryRun: false, by: "tester", message: "", timeoutMs: 10_000 } as const;
  const begun = (await gateway.rollouts.begin(order)) as Rollout;
  await until(() => begun.gateways.some(({ state }) => state === "behind"));
  assert.deepEqual([begun.state, gateway.serves(), begun.gateways[0]!.reason], ["active", NEW.release.id, trouble]);
  assert.equal(gateway.follower.report().state, "behind");
  trouble = "";
  gateway.rollouts.close();
  await until(() => begun.state === "incomplete");
});

test("opa #2220: a release that could not be taken is not remembered as the current one, and is taken when it can be", async (t) => {
  const store = createMemoryStore();
  const leader = member(t, store, "a");
  const first = member(t, store, "b");
  await leader.shelf.put(OLD, {});
  await leader.shelf.put(NEW, {});
  await until(async () => (await leader.follower.board.look("", null)).gateways.length === 2);
  await rolledOut(leader, { release: OLD.release.id, base: 0 });
  await first.close();
  await rolledOut(leader, { release: NEW.release.id, base: 1 });

  const clock = new ManualClock();
  const again = member(t, store, "b", { clock, begun: first.kept() });
  again.refuseWith("it lacks a secret");
  await until(() => again.follower.report().state === "behind");
  const { epoch, release, reason } = again.follower.report();
  assert.deepEqual([epoch, release, reason], [1, OLD.release.id, `release ${NEW.release.id}: it lacks a secret`]);
  assert.equal(again.kept()!.head.epoch, 1);
  again.refuseWith("");
  clock.advance(5000);
  await until(async () => {
    await again.follower.look();
    return again.serves() === NEW.release.id;
  });
  assert.deepEqual([again.follower.epoch, again.kept()!.head.epoch], [2, 2]);
});
