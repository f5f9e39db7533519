/** The scripts of `ctx.kv`. An entry is `VERSION\nJSON` in one string; a version is the id of the call that wrote it, so none comes twice. */
import { defineScript, type EmbeddedDb, type StoreScript } from "../script.ts";

interface Held {
  readonly version: string;
  readonly json: string;
}

export function readEntry(text: string): Held {
  const end = text.indexOf("\n");
  return { version: text.slice(0, end), json: text.slice(end + 1) };
}

function held(db: EmbeddedDb, key: string): Held | null {
  const text = db.get(key);
  return typeof text === "string" ? readEntry(text) : null;
}

const WHOLE_NUMBER = /^-?\d+$/;

/** ARGV: version, JSON, ttlMs (0: none), conditional (0, 1), expected version. */
export const kvSet: StoreScript = defineScript({
  name: "kv:set",
  lua: new URL("./set.lua", import.meta.url),
  durable: true,
  repeatable: true,
  embedded(db, [key = ""], [version, json, ttlMs, conditional, expected]) {
    const there = held(db, key)?.version ?? "";
    if (there === version) return [1, there];
    if (conditional === 1 && there !== expected) return [0, there];
    db.set(key, `${version}\n${json}`, ttlMs === 0 ? null : Number(ttlMs));
    return [1, String(version)];
  },
});

/** ARGV: conditional (0, 1), expected version. */
export const kvDelete: StoreScript = defineScript({
  name: "kv:delete",
  lua: new URL("./delete.lua", import.meta.url),
  durable: true,
  embedded(db, [key = ""], [conditional, expected]) {
    const there = held(db, key);
    if (there === null || (conditional === 1 && there.version !== expected)) return [0];
    db.delete(key);
    return [1];
  },
});

/** ARGV: version, what is added, ttlMs of a new one (0: none). */
export const kvIncrement: StoreScript = defineScript({
  name: "kv:increment",
  lua: new URL("./increment.lua", import.meta.url),
  durable: true,
  repeatable: true,
  embedded(db, [key = ""], [version, by, ttlMs], nowMs) {
    const there = held(db, key);
    if (there === null) {
      db.set(key, `${version}\n${by}`, ttlMs === 0 ? null : Number(ttlMs));
      return [String(by)];
    }
    if (!WHOLE_NUMBER.test(there.json)) return [""];
    if (there.version === version) return [there.json];
    const sum = Number(there.json) + Number(by);
    if (!Number.isSafeInteger(sum)) return [""];
    const endsMs = db.expiresAtMs(key);
    db.set(key, `${version}\n${sum}`, endsMs === Infinity ? null : endsMs - nowMs);
    return [String(sum)];
  },
});

export const KV_SCRIPTS: readonly StoreScript[] = [kvSet, kvDelete, kvIncrement];
