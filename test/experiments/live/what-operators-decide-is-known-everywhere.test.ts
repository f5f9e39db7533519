import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { ManualClock } from "../../../runtime/clock.ts";
import { GatewayError } from "../../../runtime/errors.ts";
import { type LiveBoard, type LiveEntry, LiveWatch, readLive, setLive } from "../../../runtime/experiments/live/live.ts";
import { createMemoryStore, type Store } from "../../../runtime/store/store.ts";

const STOPPED: LiveEntry = { state: { kind: "stopped" }, reason: "checkout fails", by: "guardrail", atUnixMs: 5 };

function watching(t: TestContext, store: Store, clock: ManualClock): { readonly told: LiveBoard[]; readonly warned: string[]; readonly ready: Promise<void> } {
  const told: LiveBoard[] = [];
  const warned: string[] = [];
  const watch = new LiveWatch({ store, clock, onChange: (board) => void told.push(board), warn: (text) => void warned.push(text) });
  t.after(() => watch.close());
  return { told, warned, ready: watch.ready };
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};

test("a decision reaches every worker at once, with its reason", async (t) => {
  const [clock, store] = [new ManualClock(), createMemoryStore()];
  const workers = [watching(t, store, clock), watching(t, store, clock)];
  await Promise.all(workers.map(({ ready }) => ready));
  assert.deepEqual((await setLive(store, "hero", STOPPED, null)).outcome, "changed");
  await turns();
  for (const { told } of workers) assert.deepEqual([told.at(-1)?.version, told.at(-1)?.entries.get("hero")], [1, STOPPED]);
});

test("a word that was lost is made up for by a look, within two seconds", async (t) => {
  const [clock, store] = [new ManualClock(), createMemoryStore()];
  const deaf: Store = { ...store, subscribe: () => ({ ready: Promise.resolve(), close: () => undefined }) };
  const { told, ready } = watching(t, deaf, clock);
  await ready;
  await setLive(store, "hero", STOPPED, null);
  await turns();
  assert.equal(told.length, 0);
  clock.advance(2000);
  await turns();
  assert.equal(told.at(-1)?.entries.get("hero")?.state.kind, "stopped");
});

test("who decides by an outdated board is told so, and those who don't care both get through", async () => {
  const store = createMemoryStore();
  const { version } = await readLive(store);
  await setLive(store, "hero", STOPPED, version);
  const late = await setLive(store, "hero", { ...STOPPED, state: { kind: "running" } }, version);
  assert.deepEqual([late.outcome, late.board.version, late.board.entries.get("hero")?.state.kind], ["conflict", 1, "stopped"]);
  await Promise.all([setLive(store, "a", STOPPED, null), setLive(store, "b", STOPPED, null)]);
  assert.deepEqual([...(await readLive(store)).entries.keys()].sort(), ["a", "b", "hero"]);
});

test("while the store is away what is known stays, and is told once", async (t) => {
  const [clock, store] = [new ManualClock(), createMemoryStore()];
  const { told, warned, ready } = watching(t, store, clock);
  await ready;
  await setLive(store, "hero", STOPPED, null);
  await turns();
  store.fail(new GatewayError("STORE_UNAVAILABLE", "gone"));
  for (let i = 0; i < 5; i++) {
    clock.advance(1000);
    await turns();
  }
  assert.equal(told.at(-1)?.entries.get("hero")?.state.kind, "stopped");
  assert.equal(warned.length, 1);
});

test("a decision outlives a store that loses it the moment after, with whoever decided and with whoever heard of it", async (t) => {
  const [clock, store] = [new ManualClock(), createMemoryStore()];
  const hand = new LiveWatch({ store, clock, onChange: () => undefined, warn: assert.fail });
  t.after(() => hand.close());
  await hand.ready;
  const lost = async (): Promise<void> => {
    await store.delete(["experiments:live"]);
    assert.equal((await readLive(store)).version, 0);
    clock.advance(1000);
    await turns();
  };
  await hand.set("hero", STOPPED, null);
  await lost();
  assert.equal((await readLive(store)).entries.get("hero")?.state.kind, "stopped");

  const worker = watching(t, store, clock);
  await worker.ready;
  // Of this one nobody hears but by the message: the store has it no longer when they look.
  const forgetful: Store = {
    ...store,
    async publish(topic, message) {
      await store.delete(["experiments:live"]);
      await store.publish(topic, message);
    },
  };
  await setLive(forgetful, "price", STOPPED, null);
  await turns();
  assert.deepEqual([...worker.told.at(-1)!.entries.keys()].sort(), ["hero", "price"]);
  assert.deepEqual([...(await readLive(store)).entries.keys()].sort(), ["hero", "price"]);
});

test("two decisions under one version, before and after a failover, both hold; of one experiment the later one", async (t) => {
  const [clock, store] = [new ManualClock(), createMemoryStore()];
  const [one, two] = [watching(t, store, clock), watching(t, store, clock)];
  await Promise.all([one.ready, two.ready]);
  const write = (version: number, entries: object): Promise<unknown> => store.set("experiments:live", `${version} ${JSON.stringify(entries)}`, { ttlMs: null });
  const look = async (): Promise<void> => {
    clock.advance(1000);
    await turns();
  };
  await write(5, { hero: STOPPED, price: { ...STOPPED, atUnixMs: 9 } });
  await look();
  // The replica has never heard of it, and somebody has decided upon what it knew.
  await write(5, { hero: { ...STOPPED, state: { kind: "shipped", variant: "bold" }, atUnixMs: 7 }, price: STOPPED });
  await look();
  await look();
  const { version, entries } = await readLive(store);
  assert.deepEqual([version, entries.get("hero")?.state.kind, entries.get("price")?.atUnixMs], [6, "shipped", 9]);
  for (const { told } of [one, two]) assert.deepEqual([told.at(-1)?.version, told.at(-1)?.entries], [6, entries]);
  const writes = version;
  await look();
  assert.equal((await readLive(store)).version, writes, "then all agree, and nobody writes any more");
});

test("a decision is later than the one it takes the place of, whatever the clock of the gateway says", async () => {
  const store = createMemoryStore();
  await setLive(store, "hero", { ...STOPPED, atUnixMs: 100 }, null);
  await setLive(store, "hero", { ...STOPPED, state: { kind: "running" }, atUnixMs: 50 }, null);
  const { state, atUnixMs } = (await readLive(store)).entries.get("hero")!;
  assert.deepEqual([state.kind, atUnixMs], ["running", 101]);
});

test("a store that was emptied does not bring a stopped experiment back to life", async (t) => {
  const [clock, store] = [new ManualClock(), createMemoryStore()];
  const { told, ready } = watching(t, store, clock);
  await ready;
  await setLive(store, "hero", STOPPED, null);
  await turns();
  await store.delete(["experiments:live"]);
  clock.advance(1000);
  await turns();
  assert.equal((await readLive(store)).entries.get("hero")?.state.kind, "stopped");
  assert.equal(told.length, 1);
});
