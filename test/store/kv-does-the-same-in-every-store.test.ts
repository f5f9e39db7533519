import assert from "node:assert/strict";
import { after, test, type TestContext } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import { GatewayError } from "../../runtime/errors.ts";
import { KV_MAX_VALUE_BYTES, KvCall, kvCall, type KvReply } from "../../runtime/store/kv/kv.ts";
import { createMemoryStore, type Store } from "../../runtime/store/store.ts";
import { startEmbedded } from "./embedded.ts";
import { redisWorkers } from "./redis.ts";
import { startRedis } from "./redis-server.ts";

const redis = await startRedis();
after(() => redis.stop());

/** Another worker's store on the same place, and a way to let time pass. */
interface Place {
  open(): Promise<Store>;
  pass(ms: number): Promise<void>;
}
const pass = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));
const places: Readonly<Record<string, (t: TestContext) => Promise<Place>>> = {
  async memory() {
    const clock = new ManualClock();
    const store = createMemoryStore({ clock });
    return { open: async () => store, pass: async (ms) => clock.advance(ms) };
  },
  async embedded(t) {
    const { connect } = await startEmbedded(t);
    return { open: async () => connect(), pass };
  },
  async redis(t) {
    return { open: redisWorkers(t, redis.url), pass };
  },
};

let calls = 0;

/** As the service does: arguments checked, each call with an id of its own unless one is given. */
function kv(store: Store, call: object, id = `call-${++calls}`): Promise<KvReply> {
  return kvCall(store, KvCall.parse({ ...((call as { op: string }).op === "set" ? { ttl: null, ifVersion: null } : {}), ...call }), id);
}
const get = async (store: Store, key: string): Promise<unknown> => {
  const { json } = (await kv(store, { op: "get", key })) as { json: string };
  return json === "" ? null : (JSON.parse(json) as unknown);
};
const increment = (store: Store, key: string, by = 1, ttl: string | null = null, id?: string) => kv(store, { op: "increment", key, by, ttl }, id);

for (const [name, place] of Object.entries(places)) {
  const testKv = (what: string, body: (store: Store, place: Place) => Promise<void>): void => {
    test(`${name}: ${what}`, async (t) => {
      const here = await place(t);
      await body(await here.open(), here);
    });
  };

  testKv("what one worker sets another gets, whatever JSON it is and whatever the key", async (store, { open }) => {
    const other = await open();
    for (const key of ["plain", "with {braces}", "ünï\ncode 🐴", "k".repeat(512)]) {
      const value = { list: [1, null, "line\nbreak"], key };
      await kv(store, { op: "set", key, json: JSON.stringify(value) });
      assert.deepEqual(await get(other, key), value);
    }
    assert.equal(await get(store, "absent"), null);
  });

  testKv("a value ends with its lifetime, and a new one has a lifetime of its own", async (store, here) => {
    await kv(store, { op: "set", key: "a", json: "1", ttl: "80ms" });
    await kv(store, { op: "set", key: "b", json: "1", ttl: "80ms" });
    await kv(store, { op: "set", key: "b", json: "2" });
    assert.equal(await get(store, "a"), 1);
    await here.pass(150);
    assert.deepEqual([await get(store, "a"), await get(store, "b")], [null, 2]);
  });

  testKv("of many who compare and set at once, one wins", async (store, { open }) => {
    const stores = [store, await open(), await open()];
    assert.deepEqual(await kv(store, { op: "set", key: "seat", json: "1", ifVersion: "x" }), { stored: false, version: "" });
    const first = await Promise.all(stores.map((each, i) => kv(each, { op: "set", key: "seat", json: String(i), ifVersion: "" })));
    assert.equal(first.filter((reply) => (reply as { stored: boolean }).stored).length, 1);
    const { version } = (await kv(store, { op: "get", key: "seat" })) as { version: string };
    for (const reply of first) assert.equal((reply as { version: string }).version, version);
    const second = await Promise.all(stores.map((each) => kv(each, { op: "set", key: "seat", json: "7", ifVersion: version })));
    assert.equal(second.filter((reply) => (reply as { stored: boolean }).stored).length, 1);
    assert.deepEqual(await kv(store, { op: "delete", key: "seat", ifVersion: version }), { deleted: false });
    assert.deepEqual(await kv(store, { op: "delete", key: "seat", ifVersion: null }), { deleted: true });
    assert.deepEqual(await kv(store, { op: "delete", key: "seat", ifVersion: null }), { deleted: false });
    await kv(store, { op: "set", key: "seat", json: "7" });
    assert.deepEqual(
      await kv(store, { op: "set", key: "seat", json: "8", ifVersion: version }),
      { stored: false, version: ((await kv(store, { op: "get", key: "seat" })) as { version: string }).version },
      "a version never comes back",
    );
  });

  testKv("counters lose nothing, keep the lifetime they began with, and refuse what is no number", async (store, here) => {
    const other = await here.open();
    await Promise.all(Array.from({ length: 200 }, (_, i) => increment(i % 2 === 0 ? store : other, "n", i % 2 === 0 ? 3 : -1)));
    assert.equal(await get(store, "n"), 200);
    await increment(store, "short", 1, "80ms");
    assert.deepEqual(await increment(store, "short", 1, "1h"), { sum: 2 });
    await here.pass(150);
    assert.deepEqual(await increment(store, "short", 5), { sum: 5 });
    await kv(store, { op: "set", key: "text", json: '"five"' });
    const refused = (key: string, by: number) =>
      assert.rejects(increment(store, key, by), (error) => error instanceof GatewayError && error.code === "SERVICE_REFUSED");
    await refused("text", 1);
    await kv(store, { op: "set", key: "most", json: String(Number.MAX_SAFE_INTEGER) });
    await refused("most", 1);
    assert.equal(await get(store, "most"), Number.MAX_SAFE_INTEGER);
    assert.deepEqual(await increment(store, "most", -1), { sum: Number.MAX_SAFE_INTEGER - 1 });
  });

  testKv("a call that is sent twice is carried out once", async (store) => {
    assert.deepEqual(await increment(store, "n", 2, null, "again"), { sum: 2 });
    assert.deepEqual(await increment(store, "n", 2, null, "again"), { sum: 2 });
    const set = () => kv(store, { op: "set", key: "v", json: "1", ifVersion: "" }, "same");
    assert.deepEqual(
      [await set(), await set()],
      [
        { stored: true, version: "same" },
        { stored: true, version: "same" },
      ],
    );
  });

  testKv("64 KiB fit, one byte more is told as too large", async (store) => {
    const most = JSON.stringify("é".repeat((KV_MAX_VALUE_BYTES - 2) / 2));
    assert.equal(Buffer.byteLength(most), KV_MAX_VALUE_BYTES);
    await kv(store, { op: "set", key: "large", json: most });
    assert.equal(JSON.stringify(await get(store, "large")), most);
    await assert.rejects(kv(store, { op: "set", key: "large", json: `${most.slice(0, -1)}x"` }), {
      code: "KV_TOO_LARGE",
      detail: /65537 bytes as JSON, at most 65536/,
    });
    assert.equal(JSON.stringify(await get(store, "large")), most);
  });
}

test("arguments that make no sense are refused with what was expected", () => {
  const told = (call: object): string =>
    KvCall.safeParse(call)
      .error?.issues.map(({ message }) => message)
      .join() ?? "";
  assert.match(told({ op: "get", key: "" }), /at least one character/);
  assert.match(told({ op: "get", key: "k".repeat(513) }), /at most 512 characters/);
  assert.match(told({ op: "set", key: "k", json: "1", ttl: "0s", ifVersion: null }), /a lifetime such as "30s"/);
  assert.match(told({ op: "set", key: "k", json: "1", ttl: "99999d", ifVersion: null }), /at most ten years/);
  assert.match(told({ op: "increment", key: "k", by: 0.5, ttl: null }), /whole number/);
  assert.notEqual(told({ op: "list", key: "k" }), "");
});
