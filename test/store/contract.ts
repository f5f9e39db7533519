/** What every store does, whichever it is. Each store of `open` is one worker's; all of them share one place. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import { AGREE, LOCK, type Store, type StoreEvent, UNLOCK } from "../../runtime/store/store.ts";
import { append, lastingAdd, throwing } from "./scripts.ts";
import { until } from "../support/until.ts";

export interface Place {
  /** Another worker's store on the same place. */
  open(): Promise<Store>;
  /** Lets the store's own time pass. */
  pass(ms: number): Promise<void>;
}

async function failure(promise: Promise<unknown>): Promise<GatewayError> {
  const thrown: unknown = await promise.then(
    () => assert.fail("it was carried out"),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof GatewayError, String(thrown));
  return thrown;
}

export function storeContract(name: string, place: (t: TestContext) => Promise<Place>, traits: { readonly sharedByAll: boolean }): void {
  const testStore = (what: string, body: (store: Store, place: Place) => Promise<void>): void => {
    test(`${name}: ${what}`, async (t) => {
      const here = await place(t);
      await body(await here.open(), here);
    });
  };

  testStore("keeps bytes exactly, and knows what is absent", async (store) => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    assert.equal(await store.get("k"), null);
    await store.set("k", bytes, { ttlMs: null });
    await store.set("text", "žluťoučký 🐴", { ttlMs: 60_000 });
    await store.set("empty", new Uint8Array(), { ttlMs: null });
    assert.deepEqual(await store.get("k"), bytes);
    assert.deepEqual(await store.getMany(["text", "none", "empty"]), [Buffer.from("žluťoučký 🐴"), null, Buffer.alloc(0)]);
    assert.deepEqual(await store.getMany([]), []);
    assert.equal(await store.delete(["k", "none", "text"]), 2);
    assert.equal(await store.get("k"), null);
    assert.equal(await store.delete([]), 0);
  });

  testStore("ends lifetimes, and a value without one outlives them", async (store, { pass }) => {
    await store.set("short", "1", { ttlMs: 80 });
    await store.set("long", "1", { ttlMs: 60_000 });
    await store.set("ever", "1", { ttlMs: 50 });
    await store.set("ever", "2", { ttlMs: null });
    await pass(150);
    assert.deepEqual(await store.getMany(["short", "long", "ever"]), [null, Buffer.from("1"), Buffer.from("2")]);
  });

  testStore("runs scripts with their replies, numbers as numbers and null as null", async (store, { pass }) => {
    assert.deepEqual(await store.run(append, ["{a}log"], ["one ", 0]), [4, "one ", null]);
    assert.deepEqual(await store.run(append, ["{a}log"], ["two", 80]), [7, "one two", null]);
    assert.deepEqual(await store.get("{a}log"), Buffer.from("one two"));
    await pass(150);
    assert.deepEqual(await store.run(append, ["{a}log"], ["new", 0]), [3, "new", null]);
    assert.deepEqual(await store.run(append, ["{a}log"], [" €\n\u0000", 0]), [9, "new €\n\u0000", null]);
  });

  testStore("runs each script whole: a thousand at once lose no count", async (store, { open }) => {
    const others = traits.sharedByAll ? [await open(), await open()] : [];
    const stores = [store, ...others];
    const runs = Array.from({ length: 1000 }, (_, i) => stores[i % stores.length]!.run(lastingAdd, ["{n}a", "{n}b"], [1]));
    for (const [a, b] of await Promise.all(runs)) assert.equal(a, b);
    assert.deepEqual(await store.run(lastingAdd, ["{n}a", "{n}b"], [0]), [1000, 1000]);
  });

  testStore("keeps the order of one worker's calls", async (store) => {
    await Promise.all(Array.from({ length: 50 }, (_, i) => store.run(append, ["order"], [`${i};`, 0])));
    assert.equal(String(await store.get("order")), Array.from({ length: 50 }, (_, i) => `${i};`).join(""));
  });

  testStore("holds a lock for one at a time, who may take it anew or give it back", async (store, { pass }) => {
    const takes = async (who: string, holdMs: number) => (await store.run(LOCK, ["lock"], [who, holdMs]))[0];
    const givesBack = async (who: string) => (await store.run(UNLOCK, ["lock"], [who]))[0];
    assert.deepEqual([await takes("a", 60_000), await takes("b", 60_000), await takes("a", 60_000)], [1, 0, 1]);
    assert.deepEqual([await givesBack("b"), await takes("b", 60_000), await givesBack("a"), await takes("b", 60_000)], [0, 0, 1, 1]);
    assert.equal(await takes("b", 80), 1, "for a shorter time as well");
    await pass(150);
    assert.deepEqual([await givesBack("b"), await takes("a", 60_000), await takes("b", 60_000)], [0, 1, 0], "its time is over");
  });

  testStore("agrees on what was proposed first, until that is deleted", async (store) => {
    const agree = async (proposal: string) => (await store.run(AGREE, ["key"], [proposal]))[0];
    assert.deepEqual([await agree("first"), await agree("second")], ["first", "first"]);
    await store.delete(["key"]);
    await store.set("key", "plain", { ttlMs: null });
    assert.equal(await agree("third"), "plain", "whoever wrote it");
  });

  testStore("refuses keys of different tags, wherever it runs, and tells of a script that failed", async (store) => {
    const stray = await failure(store.run(lastingAdd, ["{a}x", "{b}x"], [1]));
    assert.deepEqual([stray.code, /different \{tags\}/.test(stray.detail)], ["INTERNAL", true]);
    assert.equal((await failure(store.run(lastingAdd, [], [1]))).code, "INTERNAL");
    assert.match((await failure(store.run(throwing, ["k"], []))).detail, /on purpose/);
    assert.deepEqual(await store.run(lastingAdd, ["{a}x", "{a}y"], [2]), [2, 2], "and goes on");
  });

  testStore("brings what is published to every subscriber, in order, once", async (store, { open }) => {
    const other = traits.sharedByAll ? await open() : store;
    const heard: [string, StoreEvent][] = [];
    const subscriptions = [
      store.subscribe("purge", (event) => void heard.push(["first", event])),
      other.subscribe("purge", (event) => void heard.push(["second", event])),
      other.subscribe("other", (event) => void heard.push(["other", event])),
    ];
    await Promise.all(subscriptions.map(({ ready }) => ready));
    for (let i = 0; i < 20; i++) await (i % 2 === 0 ? store : other).publish("purge", `${i} ž\n`);
    await until(() => heard.length >= 40);
    const messages = Array.from({ length: 20 }, (_, i) => ({ type: "message", message: `${i} ž\n` }));
    for (const name of ["first", "second"])
      assert.deepEqual(
        heard.filter(([who]) => who === name).map(([, event]) => event),
        messages,
      );
    subscriptions[0]!.close();
    await other.publish("purge", "last");
    await until(() => heard.length >= 41);
    assert.deepEqual(heard.slice(40), [["second", { type: "message", message: "last" }]]);
  });

  testStore("counts workers and gateways, and says how it is", async (store, { open }) => {
    await store.get("k");
    await until(() => store.liveMembers() === 1);
    assert.equal(store.liveGateways(), 1);
    const { state, reason, calls, failures, timeouts } = store.health();
    assert.deepEqual([state, reason, calls > 0, failures, timeouts], ["ready", "", true, 0, 0]);
    if (!traits.sharedByAll) return;
    const other = await open();
    await until(() => store.liveMembers() === 2 && other.liveMembers() === 2);
    await other.close();
    await until(() => store.liveMembers() === 1);
  });

  testStore("once closed refuses, and fails what was under way", async (store) => {
    const states: string[] = [];
    store.onHealth(({ state }) => void states.push(state));
    const late = store.run(append, ["k"], ["x", 0]);
    await Promise.all([late.catch((error: unknown) => assert.equal((error as GatewayError).code, "STORE_UNAVAILABLE")), store.close()]);
    assert.equal((await failure(store.get("k"))).code, "STORE_UNAVAILABLE");
    assert.deepEqual(states, ["unavailable"]);
    await store.close();
  });
}
