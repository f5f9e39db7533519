import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  ABANDON,
  ADVANCE,
  COMMIT,
  COUNT,
  REPLACE_SHADOW,
  INDEX,
  KEYS,
  LIST,
  PROPOSE,
  REPORT,
  RESTORE,
  VOTE,
  VOTES,
} from "../../runtime/control/scripts/scripts.ts";
import { createMemoryStore, type Store, type StoreReply } from "../../runtime/store/store.ts";
import { startRedis, type RedisServer } from "../store/redis-server.ts";
import { redisWorkers } from "../store/redis.ts";

let redis: RedisServer;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

const { head, proposal, gateways, votes, number, history, releases, counts } = KEYS;

/** Numbers that begin with the store's time are told apart only as "time". */
function timeless(reply: StoreReply): unknown[] {
  return reply.map((value) =>
    typeof value === "number" && value > 1e12 ? "time" : typeof value === "string" ? value.replaceAll(/\b1[78]\d{11}\b/g, "time") : value,
  );
}

async function story(store: Store): Promise<unknown[]> {
  const told: unknown[] = [];
  const run = async (...call: Parameters<Store["run"]>): Promise<StoreReply> => {
    const reply = await store.run(...call);
    told.push(timeless(reply));
    return reply;
  };
  const report = (name: string, json: string, lifeMs: number) => run(REPORT, [head, proposal, gateways], [name, json, lifeMs, 60_000]);
  await report("", "", 0);
  await report("a", '{"epoch":0}', 5000);
  await run(PROPOSE, [head, proposal, number, votes], [3, "{}", 5000]);
  const [, first] = await run(PROPOSE, [head, proposal, number, votes], [0, '{"release":"x y"}', 5000]);
  await run(PROPOSE, [head, proposal, number, votes], [0, "{}", 5000]);
  await report("", "", 0);
  await run(VOTE, [proposal, votes], [7, "a", "PREPARED"]);
  await run(VOTE, [proposal, votes], [Number(first), "a", "REJECTED because of it"]);
  await run(VOTES, [votes], []);
  await run(COMMIT, [head, proposal, history], [7, 0, "{}", 2, 0]);
  await run(COMMIT, [head, proposal, history], [Number(first), 4, '{"release":"early"}', 2, 3]);
  await run(COMMIT, [head, proposal, history], [Number(first), 4, '{"release":"x"}', 2, 0]);
  await run(COMMIT, [head, proposal, history], [Number(first), 4, '{"release":"x"}', 2, 0]);
  const [, second] = await run(PROPOSE, [head, proposal, number, votes], [5, "{}", 5000]);
  assert.ok(Number(second) > Number(first), "numbers only grow");
  await run(VOTES, [votes], []);
  await run(ABANDON, [proposal], [Number(first)]);
  await run(ABANDON, [proposal], [Number(second)]);
  const [, third] = await run(PROPOSE, [head, proposal, number, votes], [5, "{}", 5000]);
  await run(COMMIT, [head, proposal, history], [Number(third), 0, '{"release":"late"}', 2, 4]);
  await run(ABANDON, [proposal], [Number(third)]);
  const [, expired] = await run(PROPOSE, [head, proposal, number, votes], [5, "{}", 0]);
  await report("a", "{}", 0);
  await run(PROPOSE, [head, proposal, number, votes], [5, "{}", 5000]);
  await run(VOTE, [proposal, votes], [Number(expired), "a", "PREPARED"]);
  await run(RESTORE, [head, history], [5, '{"release":"old"}', 2]);
  await run(RESTORE, [head, history], [9, '{"release":"kept"}', 2]);
  await run(RESTORE, [head, history], [10, '{"release":"kept too"}', 2]);
  await run(ADVANCE, [head, history, number], [9, '{"release":"late"}', 2]);
  await run(ADVANCE, [head, history, number], [10, '{"release":"next","note":"{"}', 3]);
  await run(ADVANCE, [head, history, number], [10, '{"release":"again"}', 3]);
  await run(COUNT, [counts], ["a", '{"n":1}', 5000, 60_000]);
  await run(COUNT, [counts], ["b two", '{"n":2}', 5000, 0]);
  await run(COUNT, [counts], ["a", '{"n":3}', -10_000, 60_000]);
  await run(COUNT, [counts], ["b two", '{"n":4}', 5000, 5000]);
  await run(COUNT, [counts], ["b two", '{"n":5}', -10, 60_000]);
  await run(REPLACE_SHADOW, ["shadow"], ['{"tag":"a"', "{}"]);
  await run(REPLACE_SHADOW, ["shadow"], ["", '{"tag":"c"}']);
  await run(REPLACE_SHADOW, ["shadow"], ["", '{"tag":"d"}']);
  await store.set("shadow", '{"tag":"a","share":1}', { ttlMs: null });
  await run(REPLACE_SHADOW, ["shadow"], ['{"tag":"b"', "{}"]);
  await run(REPLACE_SHADOW, ["shadow"], ['{"tag":"a"', '{"tag":""}']);
  told.push(String(await store.get("shadow")));
  await run(INDEX, [releases], ["one", '{"n":1}', 2]);
  await run(INDEX, [releases], ["two", '{"n":2}', 2, "one"]);
  await run(INDEX, [releases], ["three", '{"n":3}', 2, "one"]);
  await run(INDEX, [releases], ["one", '{"n":4}', 2]);
  await run(LIST, [releases, history], []);
  await run(REPORT, [head, proposal, gateways], ["forgotten", "{}", -10, 0]);
  await report("b", "{}", 5000);
  return told;
}

test("the Lua and its TypeScript tell the same story", async (t) => {
  const [inMemory, inRedis] = await Promise.all([story(createMemoryStore()), redisWorkers(t, redis.url)().then(story)]);
  assert.deepEqual(inRedis, inMemory);
  assert.deepEqual(inMemory.at(-3), [
    2,
    'three {"n":3}',
    'one {"n":4}',
    '11 {"rollout":time,"release":"next","note":"{"}',
    '10 {"release":"kept too"}',
    '9 {"release":"kept"}',
  ]);
});
