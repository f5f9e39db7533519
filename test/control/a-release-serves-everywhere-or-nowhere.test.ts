import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import { KEYS, REPORT } from "../../runtime/control/scripts/scripts.ts";
import { createMemoryStore, type Store } from "../../runtime/store/store.ts";
import { startRedis } from "../store/redis-server.ts";
import { redisWorkers } from "../store/redis.ts";
import { member, packed, releaseOf, rolledOut, type Member } from "./fleet-of-followers.ts";
import { until } from "../support/until.ts";

const TWO = releaseOf("two").id;
const THREE = releaseOf("three").id;

/** `count` gateways that have all been seen. */
async function gateways(t: TestContext, store: Store, count: number): Promise<Member[]> {
  const members = Array.from({ length: count }, (_, i) => member(t, store, `gateway-${String(i).padStart(3, "0")}`));
  await until(async () => (await members[0]!.follower.board.look("", null)).gateways.length === count);
  return members;
}

function state(outcome: Awaited<ReturnType<typeof rolledOut>>): string {
  return "refused" in outcome ? outcome.refused : outcome.state;
}

test("what all have prepared becomes an epoch, and serves everywhere", async (t) => {
  const members = await gateways(t, createMemoryStore(), 3);
  const [leader] = members as [Member];
  await leader.shelf.put(packed("two"), {});
  const rollout = await rolledOut(leader, { release: TWO, base: 0 });
  assert.ok(!("refused" in rollout));
  assert.deepEqual([rollout.state, rollout.epoch, rollout.gateways.map((gateway) => gateway.state)], ["serving", 1, ["serving", "serving", "serving"]]);
  for (const one of members) assert.deepEqual([one.serves(), one.follower.epoch, one.told], [TWO, 1, [`prepare ${TWO}`, `activate ${TWO}`]]);
  assert.deepEqual(leader.audited.at(-1), {
    actor: "tester",
    action: "deploy",
    outcome: "done",
    reason: "",
    facts: { rollout: rollout.number, release: TWO, epoch: 1, tookMs: rollout.tookMs },
  });
});

test("one that rejects stops all: nothing is activated anywhere, and the reason is told", async (t) => {
  const members = await gateways(t, createMemoryStore(), 3);
  const [leader, second] = members as [Member, Member];
  second.refuseWith("rules/a.ts:3:1: it throws");
  await leader.shelf.put(packed("two"), {});
  const rollout = await rolledOut(leader, { release: TWO, base: 0 });
  assert.ok(!("refused" in rollout));
  assert.deepEqual([rollout.state, rollout.epoch, rollout.reason], ["rejected", 0, "gateway-001: rules/a.ts:3:1: it throws"]);
  await until(() => members.every((one) => one === second || one.told.at(-1) === "discard" || one.told.length === 0));
  for (const one of members) assert.deepEqual([one.serves(), one.follower.epoch, one.follower.report().state], [releaseOf("begun with").id, 0, "serving"]);
  assert.ok(!members.some(({ told }) => told.some((line) => line.startsWith("activate"))));
  assert.equal((await leader.follower.board.look("", null)).head, null);
  assert.deepEqual(second.audited[0], {
    actor: "gateway",
    action: "prepare",
    outcome: "refused",
    reason: "rules/a.ts:3:1: it throws",
    facts: { release: TWO, rollout: rollout.number },
  });
});

test("a rejected release is not remembered as current: the same one is asked about again, and taken when the cause is gone", async (t) => {
  const [leader] = (await gateways(t, createMemoryStore(), 1)) as [Member];
  await leader.shelf.put(packed("two"), {});
  leader.refuseWith("not today");
  assert.equal(state(await rolledOut(leader, { release: TWO, base: 0 })), "rejected");
  leader.refuseWith("");
  assert.equal(state(await rolledOut(leader, { release: TWO, base: 0 })), "serving");
  assert.equal(leader.serves(), TWO);
});

test("a dry run asks all, and changes nothing", async (t) => {
  const members = await gateways(t, createMemoryStore(), 2);
  const [leader] = members as [Member];
  await leader.shelf.put(packed("two"), {});
  const rollout = await rolledOut(leader, { release: TWO, base: 0, dryRun: true });
  assert.equal(state(rollout), "checked");
  await until(() => members.every(({ told }) => told.at(-1) === "discard"));
  for (const one of members) assert.deepEqual([one.serves(), one.follower.epoch], [releaseOf("begun with").id, 0]);
});

test("who was away catches up when it is back; who is new starts behind nobody", async (t) => {
  const store = createMemoryStore();
  const [leader] = (await gateways(t, store, 1)) as [Member];
  await leader.shelf.put(packed("two"), {});
  assert.equal(state(await rolledOut(leader, { release: TWO, base: 0 })), "serving");
  const late = member(t, store, "late");
  await until(() => late.serves() === TWO);
  assert.deepEqual([late.follower.epoch, late.follower.report().state], [1, "serving"]);
});

test("a gateway that died without leaving is named, and holds nobody up", async (t) => {
  const store = createMemoryStore();
  const [leader] = (await gateways(t, store, 1)) as [Member];
  const report = { ...leader.follower.report(), host: "gone" };
  // As its last heartbeat would be after it has expired.
  const dead = createDead(store);
  await dead("dead", report);
  await leader.shelf.put(packed("two"), {});
  const rollout = await rolledOut(leader, { release: TWO, base: 0 });
  assert.ok(!("refused" in rollout));
  assert.deepEqual([rollout.state, rollout.gateways.map(({ name, state }) => `${name} ${state}`)], ["serving", ["dead away", "gateway-000 serving"]]);
});

test("a rollback does not wait until a gateway that has just died counts as away", async (t) => {
  const store = createMemoryStore();
  const [leader] = (await gateways(t, store, 1)) as [Member];
  for (const code of ["two", "three"]) await leader.shelf.put(packed(code), {});
  assert.equal(state(await rolledOut(leader, { release: TWO, base: 0 })), "serving");
  assert.equal(state(await rolledOut(leader, { release: THREE, base: 1 })), "serving");
  // Its last heartbeat was this moment; it would count as live for longer than this rollout may take.
  await store.run(REPORT, [KEYS.head, KEYS.proposal, KEYS.gateways], ["dead", JSON.stringify(leader.follower.report()), 4000, 600_000]);
  const rollout = await rolledOut(leader, { release: TWO, base: 2, kind: "rollback", timeoutMs: 3000 });
  assert.ok(!("refused" in rollout));
  assert.deepEqual([rollout.state, rollout.gateways.map(({ name, state }) => `${name} ${state}`)], ["serving", ["dead away", "gateway-000 serving"]]);
});

test("one that lives and does not vote ends the rollout at its deadline, and nothing is activated", async (t) => {
  const store = createMemoryStore();
  const [leader] = (await gateways(t, store, 1)) as [Member];
  await store.run(REPORT, [KEYS.head, KEYS.proposal, KEYS.gateways], ["mute", JSON.stringify(leader.follower.report()), 60_000, 60_000]);
  await leader.shelf.put(packed("two"), {});
  const rollout = await rolledOut(leader, { release: TWO, base: 0, timeoutMs: 300 });
  assert.ok(!("refused" in rollout));
  assert.deepEqual([rollout.state, rollout.reason, leader.follower.epoch], ["expired", "no vote in time from mute", 0]);
});

test("a deploy on an outdated base is refused with what is newer; so is a second one at the same time, and an unknown release", async (t) => {
  const store = createMemoryStore();
  const [leader] = (await gateways(t, store, 1)) as [Member];
  await leader.shelf.put(packed("two"), {});
  await leader.shelf.put(packed("three"), {});
  assert.equal(state(await rolledOut(leader, { release: TWO, base: 0, message: "the first" })), "serving");
  const outdated = await rolledOut(leader, { release: THREE, base: 0 });
  assert.ok("refused" in outdated && outdated.refused === "outdated");
  assert.deepEqual([outdated.newer?.epoch, outdated.newer?.release, outdated.newer?.by, outdated.newer?.message], [1, TWO, "tester", "the first"]);
  const [one, other] = await Promise.all([rolledOut(leader, { release: THREE, base: 1 }), rolledOut(leader, { release: TWO, base: 1 })]);
  assert.deepEqual([state(one), state(other)].sort(), ["running", "serving"]);
  assert.equal(state(await rolledOut(leader, { release: "0123456789ab", base: 2 })), "unknown");
});

test("epochs only grow: a head that is sent again is refused, audited once, and put right in the store", async (t) => {
  const store = createMemoryStore();
  const [leader] = (await gateways(t, store, 1)) as [Member];
  for (const [i, code] of ["two", "three"].entries()) {
    await leader.shelf.put(packed(code), {});
    assert.equal(state(await rolledOut(leader, { release: releaseOf(code).id, base: i })), "serving");
  }
  const history = (await leader.shelf.list()).history;
  const { epoch, ...old } = history.at(-1)!;
  await store.set(KEYS.head, `${epoch} ${JSON.stringify(old)}`, { ttlMs: null });
  await leader.follower.look();
  await leader.follower.look();
  assert.deepEqual([leader.serves(), leader.follower.epoch], [THREE, 2]);
  assert.deepEqual(
    leader.audited.filter(({ outcome }) => outcome === "refused").map(({ reason }) => reason),
    ["replayed epoch 1: this gateway is at 2"],
  );
  assert.equal((await leader.follower.board.look("", null)).head?.epoch, 2);
});

test("an emptied store is given back what serves, and the next epoch is higher than any before", async (t) => {
  const store = createMemoryStore();
  const [leader] = (await gateways(t, store, 1)) as [Member];
  await leader.shelf.put(packed("two"), {});
  assert.equal(state(await rolledOut(leader, { release: TWO, base: 0 })), "serving");
  await store.delete([...Object.values(KEYS), `control:release:${TWO}`, `control:maps:${TWO}`]);
  await leader.follower.look();
  assert.deepEqual(
    (await leader.shelf.list()).releases.map(({ id }) => id),
    [TWO],
  );
  await leader.shelf.put(packed("three"), {});
  const next = await rolledOut(leader, { release: THREE, base: 1 });
  assert.ok(!("refused" in next));
  assert.deepEqual([next.state, next.epoch], ["serving", 2]);
});

test("a store that is away changes nothing; what was missed is caught up with", async (t) => {
  const store = createMemoryStore();
  const [leader, second] = (await gateways(t, store, 2)) as [Member, Member];
  await leader.shelf.put(packed("two"), {});
  store.fail(new GatewayError("STORE_UNAVAILABLE", "away"));
  await leader.follower.look();
  assert.equal(leader.serves(), releaseOf("begun with").id);
  store.fail(null);
  assert.equal(state(await rolledOut(leader, { release: TWO, base: 0 })), "serving");
  assert.equal(second.serves(), TWO);
});

test("a hundred gateways on a real Redis converge within five seconds; ten that are dead are named and hold nobody up", async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const open = redisWorkers(t, redis.url);
  const stores = await Promise.all(Array.from({ length: 10 }, () => open()));
  const members = Array.from({ length: 100 }, (_, i) => member(t, stores[i % stores.length]!, `gateway-${String(i).padStart(3, "0")}`));
  const [leader] = members as [Member];
  await until(async () => (await leader.follower.board.look("", null)).gateways.length === 100);
  const dead = createDead(stores[0]!);
  for (let i = 0; i < 10; i++) await dead(`dead-${i}`, leader.follower.report());
  await leader.shelf.put(packed("two"), {});
  const rollout = await rolledOut(leader, { release: TWO, base: 0 });
  assert.ok(!("refused" in rollout));
  assert.deepEqual([rollout.state, members.filter((one) => one.serves() === TWO).length], ["serving", 100]);
  assert.equal(rollout.gateways.filter(({ state, name }) => state === "away" && name.startsWith("dead-")).length, 10);
  t.diagnostic(`100 gateways through one Redis: ${rollout.tookMs} ms`);
  members[70]!.refuseWith("no");
  await leader.shelf.put(packed("three"), {});
  assert.equal(state(await rolledOut(leader, { release: THREE, base: 1 })), "rejected");
  assert.ok(members.every((one) => one.serves() === TWO));
});

/** Enters a gateway whose last sign of life is over. */
function createDead(store: Store): (name: string, report: object) => Promise<void> {
  return async (name, report) => {
    await store.run(REPORT, [KEYS.head, KEYS.proposal, KEYS.gateways], [name, JSON.stringify(report), -1, 600_000]);
  };
}
