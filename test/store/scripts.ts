/** Scripts for the tests of this folder: known to the test's own store process. */
import { defineScript, type StoreScript } from "../../runtime/store/store.ts";

export const append: StoreScript = defineScript({
  name: "test:append",
  // KEYS[1] a text; ARGV[1] what comes to its end, ARGV[2] its lifetime in ms (0: none).
  lua: `
    local now = redis.call("APPEND", KEYS[1], ARGV[1])
    if tonumber(ARGV[2]) > 0 then redis.call("PEXPIRE", KEYS[1], ARGV[2]) end
    return { now, redis.call("GET", KEYS[1]), false }`,
  embedded(db, [key], [text, ttlMs]) {
    const now = `${(db.get(key!) as string | undefined) ?? ""}${text}`;
    db.set(key!, now, Number(ttlMs) > 0 ? Number(ttlMs) : null);
    return [Buffer.byteLength(now), now, null];
  },
});

export const lastingAdd: StoreScript = defineScript({
  name: "test:lasting-add",
  // KEYS[1], KEYS[2] counters of one tag; ARGV[1] what is added to both.
  lua: `return { redis.call("INCRBY", KEYS[1], ARGV[1]), redis.call("INCRBY", KEYS[2], ARGV[1]) }`,
  embedded: (db, keys, [by]) =>
    keys.map((key) => {
      const now = Number(db.get(key) ?? 0) + Number(by);
      db.set(key, now, null);
      return now;
    }),
  durable: true,
});

export const throwing: StoreScript = defineScript({
  name: "test:throwing",
  lua: `return redis.error_reply("ERR on purpose")`,
  embedded: () => {
    throw new Error("on purpose");
  },
});

/** Known to nobody's process. */
export const unknown: StoreScript = defineScript({ name: "test:unknown", lua: "return {}", embedded: () => [] });

export const TEST_SCRIPTS: readonly StoreScript[] = [append, lastingAdd, throwing];
