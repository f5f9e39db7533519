import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import type { AuditFacts } from "../../runtime/control/audit.ts";
import { ReleaseShelf } from "../../runtime/control/release-shelf.ts";
import { Shadowing } from "../../runtime/control/shadow.ts";
import { addedUp, type ShadowStatus } from "../../runtime/proxy/shadow-status.ts";
import { createMemoryStore, type Store } from "../../runtime/store/store.ts";
import { packed, releaseOf, UNSIGNED } from "./fleet-of-followers.ts";

interface Seat {
  readonly shadowing: Shadowing;
  readonly audited: AuditFacts[];
  /** Tags in the order in which they came; "" for the end. */
  readonly told: string[];
  serving: string;
  epoch: number;
  refuses: string;
}

function statusOf(tag: string, counts: Partial<ShadowStatus>): ShadowStatus {
  return {
    tag,
    release: "",
    against: "",
    share: 1,
    compared: 0,
    equal: 0,
    different: 0,
    failed: 0,
    notCompared: 0,
    dropped: 0,
    kinds: [],
    examples: [],
    ...counts,
  };
}

function seat(t: TestContext, store: Store, clock: ManualClock, gateway: string, counts: Partial<ShadowStatus> = {}): Seat {
  const audited: AuditFacts[] = [];
  const told: string[] = [];
  const shelf = new ReleaseShelf(
    () => store,
    () => UNSIGNED,
    () => clock.unixMs(),
  );
  const shadowing = new Shadowing({
    gateway,
    store,
    shelf,
    clock,
    gateways: () => ["one", "two"],
    serving: () => made.serving,
    epoch: () => made.epoch,
    seat: {
      play(tag, _share, taken) {
        if (taken !== null && made.refuses !== "") return Promise.reject(new Error(made.refuses));
        told.push(tag);
        return Promise.resolve();
      },
      compared: () => (told.at(-1) ? statusOf(told.at(-1)!, counts) : null),
    },
    audit: (facts) => void audited.push(facts),
    log: () => undefined,
  });
  t.after(() => shadowing.close());
  const made: Seat = { shadowing, audited, told, serving: releaseOf("serving").id, epoch: 1, refuses: "" };
  return made;
}

async function begun({ shadowing }: Seat, release: string, share: number): Promise<string> {
  const terms = await shadowing.begin(release, share, "somebody");
  assert.ok(typeof terms === "object", JSON.stringify(terms));
  return terms.tag;
}

/** A store that gateways share, and the shelf in it. */
function stage(t: TestContext) {
  const clock = new ManualClock();
  const store = createMemoryStore({ clock });
  t.after(() => store.close());
  const shelf = new ReleaseShelf(
    () => store,
    () => UNSIGNED,
    () => clock.unixMs(),
  );
  return { clock, store, shelf };
}

test("every gateway plays the shadow that stands in the store, says what came of it, and stops when it is over", async (t) => {
  const { clock, store, shelf } = stage(t);
  const one = seat(t, store, clock, "one", { compared: 5, equal: 4, different: 1, kinds: [{ kind: "status", exchanges: 1 }] });
  const two = seat(t, store, clock, "two", { compared: 2, equal: 1, different: 1, kinds: [{ kind: "status", exchanges: 1 }], dropped: 3 });
  const { entry } = await shelf.put(packed("next"), {});

  assert.equal(await one.shadowing.begin("0123456789ab", 0.5, "somebody"), "unknown", "nobody knows that one");
  assert.equal(await one.shadowing.begin(one.serving, 0.5, "somebody"), "serving", "that one serves: there is nothing to compare");
  const tag = await begun(one, entry.id, 0.5);
  assert.deepEqual(
    one.shadowing.seen.gateways.map(({ gateway, state }) => [gateway, state]),
    [
      ["one", "comparing"],
      ["two", "awaited"],
    ],
  );
  await two.shadowing.look();
  const { gateways } = two.shadowing.seen;
  assert.deepEqual([one.told, two.told], [[tag], [tag]]);
  const sum = addedUp(gateways.flatMap(({ compared }) => compared ?? []))!;
  assert.deepEqual([sum.compared, sum.equal, sum.different, sum.dropped, sum.kinds], [7, 5, 2, 3, [{ kind: "status", exchanges: 2 }]]);

  two.refuses = 'secret "jwtKey" is not in this gateway\'s config';
  const again = await begun(one, entry.id, 1);
  await two.shadowing.look();
  await one.shadowing.look();
  assert.deepEqual(
    one.shadowing.seen.gateways.map(({ gateway, state, reason }) => [gateway, state, reason]),
    [
      ["one", "comparing", ""],
      ["two", "refused", two.refuses],
    ],
    "one that can't play it says so, and holds up nobody",
  );
  assert.deepEqual([one.told.at(-1), two.told.at(-1)], [again, ""]);

  one.serving = entry.id;
  await one.shadowing.look();
  await two.shadowing.look();
  assert.deepEqual([one.shadowing.seen.terms, two.shadowing.seen.terms, one.told.at(-1)], [null, null, ""], "what serves is no shadow any more");
  assert.equal(await two.shadowing.end("somebody"), false);
  assert.deepEqual(
    one.audited.map(({ actor, action, reason }) => [actor, action, reason]),
    [
      ["somebody", "shadow", ""],
      ["somebody", "shadow", ""],
      ["gateway", "shadow off", "it serves now"],
    ],
  );
});

test("a gateway that starts while a shadow is played plays it too, and one whose store is away goes on", async (t) => {
  const { clock, store, shelf } = stage(t);
  const { entry } = await shelf.put(packed("next"), {});
  const one = seat(t, store, clock, "one");
  await one.shadowing.begin(entry.id, 1, "somebody");
  const two = seat(t, store, clock, "two");
  await two.shadowing.look();
  assert.deepEqual(two.told, one.told);
  const away = seat(t, { ...store, get: () => Promise.reject(new Error("away")) }, clock, "two");
  await away.shadowing.look();
  assert.deepEqual([away.told, away.shadowing.seen.terms], [[], null]);
});

test("a gateway that lags behind ends no shadow of what it still serves, and one that looked late ends none that came after", async (t) => {
  const { clock, store, shelf } = stage(t);
  const { entry } = await shelf.put(packed("next"), {});
  const { entry: other } = await shelf.put(packed("other"), {});
  const one = seat(t, store, clock, "one");
  one.epoch = 2;
  const late = seat(t, store, clock, "late");
  late.serving = entry.id;
  const tag = await begun(one, entry.id, 1);
  await late.shadowing.look();
  await one.shadowing.look();
  assert.equal(one.shadowing.seen.terms?.tag, tag, "it still serves what the others have left");
  assert.deepEqual(late.told, []);
  late.serving = one.serving;
  await late.shadowing.look();
  assert.deepEqual(late.told, [tag]);

  // Between its look and its word somebody begins another one.
  let meanwhile: (() => Promise<unknown>) | null = () => one.shadowing.begin(other.id, 1, "somebody");
  const slow = seat(
    t,
    {
      ...store,
      async get(key) {
        const there = await store.get(key);
        const happens = key === "control:shadow" ? meanwhile : null;
        meanwhile = null;
        await happens?.();
        return there;
      },
    },
    clock,
    "slow",
  );
  [slow.serving, slow.epoch] = [entry.id, 3];
  await slow.shadowing.look();
  await one.shadowing.look();
  assert.equal(one.shadowing.seen.terms?.release, other.id);
});

test("a store that loses a shadow is given it back by whoever plays it; one that has ended stays so", async (t) => {
  const { clock, store, shelf } = stage(t);
  const { entry } = await shelf.put(packed("next"), {});
  const [one, two] = [seat(t, store, clock, "one"), seat(t, store, clock, "two")];
  const tag = await begun(one, entry.id, 1);
  await two.shadowing.look();
  await store.delete(["control:shadow"]);
  const late = seat(t, store, clock, "late");
  await late.shadowing.look();
  assert.deepEqual(late.told, []);
  await two.shadowing.look();
  for (const { shadowing } of [one, late]) await shadowing.look();
  for (const { told } of [one, two, late]) assert.deepEqual(told, [tag], "and plays on as before");

  assert.equal(await one.shadowing.end("somebody"), true);
  for (const { shadowing } of [two, late, one]) await shadowing.look();
  for (const { told, shadowing } of [one, two, late]) assert.deepEqual([told.at(-1), shadowing.seen.terms], ["", null]);
  const again = await begun(two, entry.id, 1);
  await one.shadowing.look();
  assert.deepEqual([one.told.at(-1), two.told.at(-1)], [again, again]);
});
