import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { CanaryPolicy } from "../../runtime/control/canary/canary.ts";
import { promoted, stepped, takenBack } from "../../runtime/control/canary/canary.ts";
import type { OwnCounts } from "../../runtime/control/canary/steward.ts";
import type { Rollout } from "../../runtime/control/rollouts.ts";
import { type ArmCounts, NO_COUNTS } from "../../runtime/observe/canary-counts.ts";
import { COMMIT, KEYS, RESTORE } from "../../runtime/control/scripts/scripts.ts";
import { createMemoryStore, type Store } from "../../runtime/store/store.ts";
import { member, type Member, packed, rolledOut } from "./fleet-of-followers.ts";
import { DEFAULTS } from "./simulated-canary.ts";
import { until } from "../support/until.ts";

const POLICY: CanaryPolicy = { ...DEFAULTS, steps: [500, 2500, 10_000], stepMs: 0, minimumUnits: 100 };
const [OLD, NEW] = [packed("old"), packed("new")];

function side(units: number, exceptions = 0): ArmCounts {
  return { ...NO_COUNTS, units, requests: units, exceptions, latencies: NO_COUNTS.latencies.map((_, i) => (i === 50 ? units : 0)) };
}
/** As each gateway counted it at whatever step is on. */
const fine = (step: number): OwnCounts => ({ counts: { step, idleMs: 0, canary: side(60), current: side(600) }, missing: "" });
const throwing = (step: number): OwnCounts => ({ counts: { step, idleMs: 0, canary: side(60, 30), current: side(600) }, missing: "" });

const STEP = { by: "gateway", message: "no worse", because: "last-step", picture: null } as const;

interface Stage {
  readonly store: Store;
  readonly members: readonly Member[];
  /** What each gateway counts from now on. */
  count(by: (step: number) => OwnCounts): void;
  /** All judge once more, one after another. */
  tend(): Promise<void>;
  epoch(): number;
}

/** "old" serves on all of them. */
async function stage(t: TestContext, names: readonly string[], over = (store: Store): Store => store): Promise<Stage> {
  const store = over(createMemoryStore());
  let counts: (step: number) => OwnCounts = () => ({ counts: null, missing: "" });
  const members = names.map((name) => member(t, store, name, { counts: (step) => counts(step) }));
  const [first] = members;
  await first!.shelf.put(OLD, {});
  await first!.shelf.put(NEW, {});
  await until(async () => (await first!.follower.board.look("", null)).gateways.length === names.length);
  const deployed = (await rolledOut(first!, { release: OLD.release.id, base: 0 })) as Rollout;
  assert.equal(deployed.state, "serving");
  return {
    store,
    members,
    count: (by) => void (counts = by),
    async tend() {
      for (const { follower } of members) await follower.look();
      for (const { steward } of members) await steward.tend();
      // Whoever led first did not know what the others counted.
      for (const { steward } of members) await steward.tend();
      for (const { follower } of members) await follower.look();
    },
    epoch: () => members[0]!.follower.epoch,
  };
}

const begin = async (leader: Member): Promise<Rollout> => (await rolledOut(leader, { release: NEW.release.id, base: 1, canary: POLICY })) as Rollout;

test("all gateways prepare a canary, run it beside what serves, and go through its steps together", { timeout: 60_000 }, async (t) => {
  const { members, store, count, tend } = await stage(t, ["a", "b"]);
  const [a, b] = members as [Member, Member];
  const begun = await begin(a);
  assert.deepEqual([begun.state, begun.kind, begun.epoch], ["serving", "canary", 2]);
  for (const { serves, canary } of members)
    assert.deepEqual([serves(), canary()?.release, canary()?.share, canary()?.step], [OLD.release.id, NEW.release.id, 500, 2]);
  assert.deepEqual(a.canary(), b.canary());
  assert.deepEqual(
    a.told.filter((said) => said.startsWith("prepare")),
    [`prepare ${OLD.release.id}`, `prepare ${NEW.release.id}`],
  );
  assert.deepEqual(await rolledOut(b, { release: OLD.release.id, base: 2 }), { refused: "canary", canary: a.follower.seen.head!.canary });

  count(fine);
  await tend();
  await until(() => members.every(({ canary }) => canary()?.share === 2500));
  // One that comes now takes part at this step.
  const late = member(t, store, "late", { counts: fine });
  await until(() => late.canary()?.share === 2500);
  assert.equal(late.serves(), OLD.release.id);
  await late.close();
  await tend();
  await until(() => members.every(({ serves, canary }) => serves() === NEW.release.id && canary() === null));
  assert.deepEqual(a.told.slice(-2), [`canary ${NEW.release.id} 2500`, `promote ${NEW.release.id}`]);
  const { ended, kind } = a.follower.seen.head!;
  assert.deepEqual([kind, ended?.outcome, ended?.because, ended?.pictures.length], ["promotion", "promoted", "last-step", 2]);
  assert.equal(a.kept()!.head.epoch, 4);
});

test("a breach takes it back at once, everywhere, with reason, counts and interval on record; nothing is decided twice", { timeout: 60_000 }, async (t) => {
  const { members, count, tend, epoch } = await stage(t, ["a", "b", "c"]);
  await begin(members[0]!);
  count(throwing);
  await Promise.all([tend(), ...members.map(({ steward }) => steward.tend())]);
  await until(() => members.every(({ canary }) => canary() === null));
  await tend();
  assert.equal(epoch(), 3);
  for (const { serves, told } of members) {
    assert.equal(serves(), OLD.release.id);
    assert.equal(told.filter((said) => said === "end canary").length, 1);
  }
  const { ended, kind, release } = members[0]!.follower.seen.head!;
  assert.deepEqual([kind, release, ended?.outcome, ended?.because], ["canary-end", OLD.release.id, "rolled-back", "breach"]);
  const [picture] = ended!.pictures;
  const exceptions = picture!.metrics.find(({ metric }) => metric === "exceptions")!;
  assert.ok(picture!.canary.units >= 60 && exceptions.increase!.low > exceptions.limit);
  const audited = members.flatMap(({ audited }) => audited).filter(({ action }) => action === "canary rollback");
  assert.equal(audited.length, 1);
  assert.match(audited[0]!.reason, /^exceptions: 50 % of the clients instead of 0 %, at least [\d.]+ % more/);
  assert.match(String(audited[0]!.facts["metrics"]), /exceptions: 50 %/);
  const rollout = members.flatMap(({ rollouts }) => rollouts.all).find((one) => one.kind === "canary-end");
  assert.equal(rollout?.ended?.outcome, "rolled-back");
});

test("a canary that one gateway cannot take runs nowhere", { timeout: 60_000 }, async (t) => {
  const { members, epoch } = await stage(t, ["a", "b"]);
  members[1]!.refuseWith("it lacks a secret");
  const begun = await begin(members[0]!);
  assert.deepEqual([begun.state, begun.reason, epoch()], ["rejected", "b: it lacks a secret", 1]);
  assert.ok(members.every(({ canary }) => canary() === null));
});

test("whoever asks promotes it, takes its next step, or takes it back; a rollback to another release replaces it", { timeout: 60_000 }, async (t) => {
  const { members } = await stage(t, ["a"]);
  const [a] = members as [Member];
  await begin(a);
  const dry = (await rolledOut(a, { release: NEW.release.id, base: 2, kind: "rollback", dryRun: true })) as Rollout;
  assert.equal(dry.state, "checked");
  const back = await a.rollouts.change({
    epoch: null,
    by: "me",
    make: (head, canary, nowUnixMs) => takenBack(head, canary, { by: "me", message: "no", nowUnixMs, because: "asked", picture: null }),
  });
  assert.ok(!("refused" in back));
  await until(() => a.canary() === null);
  assert.deepEqual(await a.rollouts.change({ epoch: null, by: "me", make: () => null }), { refused: "no-canary" });
  const again = (await rolledOut(a, { release: NEW.release.id, base: 3, canary: POLICY })) as Rollout;
  assert.equal(again.state, "serving");
  const replaced = (await rolledOut(a, { release: NEW.release.id, base: 4, kind: "rollback" })) as Rollout;
  assert.deepEqual([replaced.state, replaced.ended?.outcome, a.serves(), a.canary()], ["serving", "replaced", NEW.release.id, null]);
  assert.deepEqual(await rolledOut(a, { release: NEW.release.id, base: 5, canary: POLICY }), {
    refused: "incomparable",
    found: `${NEW.release.id}, which serves already`,
    expected: "a change in rules or config, to compare with what serves",
  });
});

test("with the store away everybody goes on as they were, and nothing advances; a restart finds the canary on its disk", { timeout: 60_000 }, async (t) => {
  const { members, store, count, tend, epoch } = await stage(t, ["a"]);
  const [a] = members as [Member];
  await begin(a);
  count(fine);
  const kept = a.kept();
  assert.equal(kept?.canary?.release.release.id, NEW.release.id);
  await store.close();
  await tend();
  assert.deepEqual([epoch(), a.canary()?.share], [2, 500]);
  const emptied = createMemoryStore();
  const restarted = member(t, emptied, "a", { begun: kept, counts: fine });
  // It gives the store back what stands, and the canary to whoever comes.
  await until(() => restarted.canary()?.share === 500);
});

test(
  "what happens between preparing and committing: a rollback goes on top of a canary's step, a deploy for another head is refused",
  { timeout: 60_000 },
  async (t) => {
    let meanwhile: (() => Promise<unknown>) | null = null;
    const { members, store } = await stage(t, ["a"], (plain) => ({
      ...plain,
      async run(script, keys, args) {
        const happens = script === COMMIT ? meanwhile : null;
        if (happens !== null) {
          meanwhile = null;
          await happens();
        }
        return plain.run(script, keys, args);
      },
    }));
    const a = members[0]!;
    await begin(a);
    meanwhile = () => a.rollouts.change({ epoch: 2, by: "gateway", make: (head, canary, nowUnixMs) => stepped(head, canary, { ...STEP, nowUnixMs }) });
    const back = (await rolledOut(a, { release: OLD.release.id, base: 2, kind: "rollback" })) as Rollout;
    assert.deepEqual([back.state, back.epoch, back.ended?.outcome], ["serving", 4, "replaced"]);
    assert.deepEqual([a.serves(), a.canary()], [OLD.release.id, null]);

    // Somebody knew of an epoch that the store had lost.
    const kept = { ...a.kept()!.head, release: NEW.release.id, digest: NEW.digest, kind: "deploy", by: "ann", message: "mend", canary: null };
    meanwhile = () => store.run(RESTORE, [KEYS.head, KEYS.history], [9, JSON.stringify(kept), 100]);
    const late = (await rolledOut(a, { release: NEW.release.id, base: 4 })) as Rollout;
    assert.deepEqual([late.state, late.epoch], ["outdated", 0]);
    assert.match(late.reason, /^it was prepared for epoch 4, and meanwhile there is epoch 9: release [0-9a-f]{12} by ann, "mend"$/);
    assert.deepEqual(a.audited.at(-1)?.outcome, "refused");
    const next = (await rolledOut(a, { release: OLD.release.id, base: 9 })) as Rollout;
    assert.deepEqual([next.state, next.epoch], ["serving", 10]);
  },
);

test("a store that has lost a promotion gives its epoch to nothing else: what gateways know comes back first", { timeout: 60_000 }, async (t) => {
  const { members, store } = await stage(t, ["a", "b"]);
  const [a, b] = members as [Member, Member];
  await begin(a);
  const before = (await store.get(KEYS.head))!;
  const facts = { by: "tester", message: "", because: "asked", picture: null } as const;
  await a.rollouts.change({ epoch: 2, by: "tester", make: (_head, canary, nowUnixMs) => promoted(canary, { ...facts, nowUnixMs }) });
  await until(() => members.every(({ serves, follower }) => serves() === NEW.release.id && follower.epoch === 3));
  // A replica takes over that has not heard of it, and somebody takes the canary back that it tells of.
  await store.set(KEYS.head, before, { ttlMs: null });
  const back = await b.rollouts.change({ epoch: null, by: "tester", make: (head, canary, nowUnixMs) => takenBack(head, canary, { ...facts, nowUnixMs }) });
  assert.deepEqual(back, { refused: "no-canary" });
  const { head } = await a.follower.board.look("", null);
  assert.deepEqual([head?.epoch, head?.kind, a.serves(), b.serves()], [3, "promotion", NEW.release.id, NEW.release.id]);
});
