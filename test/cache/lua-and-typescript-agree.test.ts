import assert from "node:assert/strict";
import { test } from "node:test";
import { CACHE_SCRIPTS } from "../../runtime/cache/scripts/scripts.ts";
import { createMemoryStore, type Store, type StoreArgument } from "../../runtime/store/store.ts";
import { startRedis } from "../store/redis-server.ts";
import { redisWorkers } from "../store/redis.ts";

const PURGE_KEYS = ["{p}last", "{p}log", "{p}dropped"];
/** What is asked, and which numbers of the reply are the clock's. */
const STEPS: readonly (readonly [name: string, keys: readonly string[], args: readonly StoreArgument[], clock?: boolean])[] = [
  ["cache:purge-log", PURGE_KEYS, []],
  ["cache:purge", PURGE_KEYS, ["one", 2], true],
  ["cache:purge", PURGE_KEYS, ["two {} é", 2], true],
  ["cache:purge", PURGE_KEYS, ["three", 2], true],
  ["cache:purge-log", PURGE_KEYS, [], true],
  ["cache:acknowledge", ["ack"], [0, 1000]],
  ["cache:acknowledge", ["ack"], [1, 1000]],
  ["cache:acknowledge", ["ack"], [1, 1000]],
  ["cache:acknowledge", ["ack"], [0, 1000]],
];

async function replies(store: Store): Promise<unknown[]> {
  const all: unknown[] = [];
  for (const [name, keys, args, clock = false] of STEPS) {
    const script = CACHE_SCRIPTS.find((each) => each.name === name)!;
    const reply = await store.run(script, keys, args);
    all.push(clock ? reply.map((value) => (typeof value === "number" ? "number" : String(value).replace(/^\d+ /, "number "))) : reply);
  }
  return all;
}

test("every script replies the same on a real Redis", async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const store = await redisWorkers(t, redis.url)();
  assert.deepEqual(await replies(store), await replies(createMemoryStore()));
});

test("numbers of purges grow, also over a flush", async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const store = await redisWorkers(t, redis.url)();
  const purge = CACHE_SCRIPTS.find(({ name }) => name === "cache:purge")!;
  const [before] = await store.run(purge, PURGE_KEYS, ["x", 10]);
  await redis.ask("FLUSHALL");
  const [after, last] = await store.run(purge, PURGE_KEYS, ["y", 10]);
  assert.ok(Number(after) >= Number(before));
  assert.equal(last, 0);
});
