/** Recordings in the store: lists that end by themselves, in Lua for Redis and the same for the embedded store. */
import { defineScript, type EmbeddedDb, type StoreScript } from "../../store/store.ts";

const file = (name: string): URL => new URL(`./${name}.lua`, import.meta.url);

function list(db: EmbeddedDb, key: string | undefined): readonly string[] {
  return (db.get(key!) as readonly string[] | undefined) ?? [];
}

export const APPEND: StoreScript = defineScript({
  name: "recordings:append",
  lua: file("append"),
  embedded(db, [key], [expiresUnixMs, kept, ...recordings], nowMs) {
    const all = [...list(db, key), ...recordings.map(String)].slice(-Number(kept));
    const ttlMs = Number(expiresUnixMs) - nowMs;
    if (ttlMs <= 0) db.delete(key!);
    else db.set(key!, all, ttlMs);
    return [ttlMs <= 0 ? 0 : all.length];
  },
});

export const LAST: StoreScript = defineScript({
  name: "recordings:last",
  lua: file("last"),
  repeatable: true,
  embedded: (db, [key], [count]) => list(db, key).slice(-Number(count)),
});

export const RECORDING_SCRIPTS: readonly StoreScript[] = [APPEND, LAST];
