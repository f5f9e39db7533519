import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SET_LIVE } from "../../../runtime/experiments/live/scripts.ts";
import { createMemoryStore, type Store } from "../../../runtime/store/store.ts";
import { redisWorkers } from "../../store/redis.ts";
import { type RedisServer, startRedis } from "../../store/redis-server.ts";

let redis: RedisServer;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

async function story(store: Store): Promise<unknown[]> {
  const live = (version: number, text: string) => store.run(SET_LIVE, ["live"], [version, text]);
  return [
    await live(3, "4 {}"),
    await live(0, '1 {"a":1}'),
    await live(0, "1 {}"),
    await live(1, '12 {"a":2}'),
    await live(1, "13 {}"),
    await live(12, "13 {}"),
  ];
}

test("the scripts of experiments do the same in every store", async (t) => {
  assert.deepEqual(await story(await redisWorkers(t, redis.url)()), await story(createMemoryStore()));
});
