import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ManualClock, systemClock } from "../../runtime/clock.ts";
import { type Recording, Recordings } from "../../runtime/observe/recordings/recordings.ts";
import { createMemoryStore, type Store } from "../../runtime/store/store.ts";
import { type RedisServer, startRedis } from "../store/redis-server.ts";
import { redisWorkers } from "../store/redis.ts";

const HOUR_MS = 3_600_000;
let redis: RedisServer;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

function line(target: string, atUnixMs: number): string {
  return JSON.stringify({
    id: "~1",
    atUnixMs,
    release: "0123456789ab",
    method: "GET",
    scheme: "http",
    host: "shop.example.com",
    target,
    headers: [],
    hasBody: false,
    draws: [],
    variants: {},
    origin: null,
    cached: null,
    calls: [],
    decided: { status: 200, answeredBy: "upstream", upstream: "shop", changed: [] },
  } satisfies Recording);
}

/** What every store does alike. `atMs`: a moment in the middle of a stretch. */
async function story(store: Store, atMs: number): Promise<unknown[]> {
  let nowMs = atMs;
  const recordings = new Recordings(
    () => store,
    () => nowMs,
  );
  const targets = async (count: number): Promise<string[]> => (await recordings.last(count)).recordings.map(({ target }) => target);
  await recordings.append([line("/1", nowMs), line("/2", nowMs + 1)]);
  await recordings.append(["{no recording", line("/3", nowMs + 2)]);
  nowMs += 6 * HOUR_MS;
  await recordings.append([line("/4", nowMs)]);
  const told: unknown[] = [await targets(10), await targets(2), (await recordings.last(10)).unreadable];
  await recordings.append(Array.from({ length: 2_100 }, (_, i) => line(`/many/${i}`, nowMs + i)));
  const many = await targets(10_000);
  told.push(many.length, many.at(-1)!);
  await recordings.purge();
  return [...told, await targets(10)];
}

test("recordings come back in order, are bounded, and are gone when they are purged: in memory as in Redis", async (t) => {
  const nowMs = systemClock.unixMs();
  const memory = createMemoryStore({ clock: systemClock });
  t.after(() => memory.close());
  const shared = await redisWorkers(t, redis.url)();
  const expected = [["/1", "/2", "/3", "/4"], ["/3", "/4"], 1, 2_003, "/many/2099", []];
  assert.deepEqual(await story(memory, nowMs), expected);
  assert.deepEqual(await story(shared, nowMs), expected);

  const recordings = new Recordings(
    () => shared,
    () => nowMs,
  );
  await recordings.append([line("/", nowMs)]);
  const [key] = (await redis.askAll("KEYS", "*recordings*")).match(/\S*recordings:\d+/) ?? [];
  const leftMs = Number((await redis.ask("PTTL", key!)).replace(":", ""));
  assert.ok(leftMs > 17 * HOUR_MS && leftMs <= 24 * HOUR_MS, `${key} ends in ${leftMs} ms`);
});

test("nothing is older than a day", async (t) => {
  const clock = new ManualClock();
  const memory = createMemoryStore({ clock });
  t.after(() => memory.close());
  const recordings = new Recordings(
    () => memory,
    () => clock.unixMs(),
  );
  for (let hour = 0; hour < 60; hour++) {
    await recordings.append([line(`/${hour}`, clock.unixMs())]);
    const { recordings: kept } = await recordings.last(1_000);
    assert.ok(kept.length >= Math.min(hour + 1, 18), `${kept.length} at hour ${hour}`);
    assert.ok(kept.every(({ atUnixMs }) => clock.unixMs() - atUnixMs <= 24 * HOUR_MS));
    clock.advance(HOUR_MS);
  }
  clock.advance(24 * HOUR_MS);
  assert.deepEqual((await recordings.last(10)).recordings, []);
});
