import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { ManualClock } from "../../../runtime/clock.ts";
import { COUNT, READ_COUNTS } from "../../../runtime/experiments/count/scripts/scripts.ts";
import { readEntry, type UnitEntry } from "../../../runtime/experiments/count/unit-entry.ts";
import { createMemoryStore, defineScript, type Store, type StoreReply } from "../../../runtime/store/store.ts";
import { startRedis } from "../../store/redis-server.ts";
import { redisWorkers } from "../../store/redis.ts";

const CLOCK = "{r}clock";
const WAIT_MS = 1000;
const LIFE_MS = 3_600_000;

/** The script as it is, but for its clock, which stands in the last key. */
function withClock() {
  const text = readFileSync(new URL("../../../runtime/experiments/count/scripts/count.lua", import.meta.url), "utf8");
  const lua = text.replace(
    'redis.call("TIME")',
    '(function() local s, us = string.match(redis.call("GET", KEYS[#KEYS]), "(%d+) (%d+)") return { s, us } end)()',
  );
  assert.doesNotMatch(lua, /"TIME"/);
  return defineScript({ name: COUNT.name, lua, embedded: COUNT.embedded });
}

/** A bucket's units and entries. */
const dump = defineScript({
  name: "test:dump",
  lua: `return redis.call("HGETALL", KEYS[1])`,
  embedded: (db, [key]) => Object.entries((db.get(key!) as Record<string, string> | undefined) ?? {}).flat(),
});

const goal = fc.constantFrom("buy", "cart");
const atMs = fc.integer({ min: 0, max: 3000 });
const events = fc.oneof(
  fc.tuple(fc.constantFrom(0, 1), atMs, fc.constantFrom(0, 1), fc.constantFrom(-1, 3, 17)).map((words) => `x ${words.join(" ")}`),
  atMs.map((at) => `e ${at}`),
  fc.tuple(goal, atMs, fc.constantFrom(500, 10_000)).map((words) => `c ${words.join(" ")}`),
  fc
    .tuple(
      fc.constantFrom("paid"),
      fc.oneof(atMs, fc.integer({ min: 0, max: 200_000 })),
      fc.constant(1_000_000),
      fc.constantFrom(10, 19.99, -2.5, 0),
      fc.constantFrom("-", "a", "b"),
      fc.constantFrom("-", "v1", "v2", "~v1"),
    )
    .map((words) => `v ${words.join(" ")}`),
  // With a pre-period, some of whoever does not take part.
  fc
    .tuple(
      fc.constantFrom("spent", "score"),
      fc.oneof(atMs, fc.integer({ min: 0, max: 60_000 })),
      fc.constantFrom(-1, 500, 1_000_000),
      fc.constantFrom(0.1, 19.99, -2.5, 0, 7),
      fc.constantFrom("-", "-", "a", "b"),
      fc.constantFrom("-", "-", "v1", "~v1"),
      fc.constantFrom(1600, 20_000),
    )
    .map((words) => `v ${words.join(" ")}`),
);
const batches = fc.array(
  fc.record({
    gapMs: fc.constantFrom(0, 5, 400, 1500),
    worker: fc.constantFrom("one", "two"),
    again: fc.boolean(),
    lost: fc.nat(3),
    events: fc.array(fc.tuple(fc.constantFrom("u1", "u2", "u3", "u4", "u5"), events), { minLength: 1, maxLength: 8 }),
  }),
  { minLength: 1, maxLength: 12 },
);

function record(reply: StoreReply): Record<string, string> {
  return Object.fromEntries(Array.from({ length: reply.length / 2 }, (_, i) => [String(reply[2 * i]), String(reply[2 * i + 1])]));
}
const numbers = (reply: StoreReply): Record<string, number> =>
  Object.fromEntries(
    Object.entries(record(reply))
      .map(([name, text]) => [name, Number(text)] as const)
      .filter(([, count]) => count !== 0)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
const entries = (reply: StoreReply): [string, UnitEntry][] =>
  Object.entries(record(reply))
    .map(([unit, text]) => [unit, readEntry(text)] as [string, UnitEntry])
    .sort(([a], [b]) => (a < b ? -1 : 1));

test("the Lua of counting and its TypeScript count alike, whatever comes, in whatever order, and however often", { timeout: 120_000 }, async (t) => {
  const server = await startRedis();
  t.after(() => server.stop());
  const redis: Store = await redisWorkers(t, server.url)();
  const count = withClock();
  let run = 0;
  const met = new Set<string>();
  await fc.assert(
    fc.asyncProperty(batches, fc.constantFrom(2, 40, 1000), async (script, most) => {
      run++;
      let nowMs = Date.UTC(2026, 0, 1);
      const clock = new ManualClock();
      const memory = createMemoryStore({ clock: { now: () => nowMs, unixMs: () => nowMs, after: (ms, then) => clock.after(ms, then) } });
      const key = (name: string): string => `{r}${run}:${name}`;
      const sent = { one: 0, two: 0 };
      const lost = { one: 0, two: 0 };
      for (const { gapMs, worker, again, lost: more, events: batch } of script) {
        nowMs += gapMs;
        await redis.set(CLOCK, `${Math.trunc(nowMs / 1000)} ${(nowMs % 1000) * 1000}`, { ttlMs: null });
        const name = worker;
        lost[name] += more;
        const keys = [key("counts"), key(worker), key("bucket")];
        const args = [most, LIFE_MS, WAIT_MS, lost[name], 0, lost[name], ...batch.map(([unit, event]) => `${++sent[name]} 1 ${unit} ${event}`)];
        for (let i = 0; i < (again ? 2 : 1); i++) {
          const [inLua, inTypeScript] = [await redis.run(count, [...keys, CLOCK], args), await memory.run(COUNT, keys, args)];
          assert.deepEqual(inLua, inTypeScript);
          assert.deepEqual(inLua, [i === 0 ? batch.length : 0]);
        }
      }
      const counts = numbers(await memory.run(READ_COUNTS, [key("counts")], []));
      assert.deepEqual(numbers(await redis.run(READ_COUNTS, [key("counts")], [])), counts);
      assert.deepEqual(entries(await redis.run(dump, [key("bucket")], [])), entries(await memory.run(dump, [key("bucket")], [])));
      for (const name of Object.keys(counts)) met.add(name.replace(/:\d+$/, ""));
    }),
    { numRuns: 400 },
  );
  for (const name of [
    "units",
    "errors",
    "latency:0",
    "goal:0:buy",
    "sum:1:paid",
    "squares:1:paid",
    "full",
    "late",
    "repeated",
    "crossed",
    "lost:goals",
    "lost:errors",
    "lost:past",
    "x:0:spent",
    "xx:1:score",
    "xy:0:spent",
    "xy:1:score",
  ])
    assert.ok(met.has(name), `${name} was met: ${[...met].join(" ")}`);
});
