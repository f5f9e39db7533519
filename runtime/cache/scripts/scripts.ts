/** What the cache does atomically in the store: each script in Lua for Redis, and the same for the embedded store. */
import { defineScript, type StoreScript } from "../../store/store.ts";

const file = (name: string): URL => new URL(`./${name}.lua`, import.meta.url);

export const PURGE: StoreScript = defineScript({
  name: "cache:purge",
  lua: file("purge"),
  durable: true,
  embedded(db, [lastKey, logKey, droppedKey], [text, kept], nowMs) {
    const last = Number(db.get(lastKey!) ?? 0);
    const number = Math.max(last + 1, Math.floor(nowMs));
    db.set(lastKey!, number, null);
    const log = [...((db.get(logKey!) as string[] | undefined) ?? []), `${number} ${text}`];
    while (log.length > Number(kept)) db.set(droppedKey!, Number.parseInt(log.shift()!, 10), null);
    db.set(logKey!, log, null);
    return [number, last];
  },
});

export const PURGE_LOG: StoreScript = defineScript({
  name: "cache:purge-log",
  lua: file("purge-log"),
  repeatable: true,
  embedded: (db, [lastKey, logKey, droppedKey]) => [
    Number(db.get(lastKey!) ?? 0),
    Number(db.get(droppedKey!) ?? 0),
    ...((db.get(logKey!) as string[] | undefined) ?? []),
  ],
});

export const ACKNOWLEDGE: StoreScript = defineScript({
  name: "cache:acknowledge",
  lua: file("acknowledge"),
  embedded(db, [key], [more, ttlMs]) {
    const count = Number(db.get(key!) ?? 0) + Number(more);
    if (Number(more) > 0) db.set(key!, count, Number(ttlMs));
    return [count];
  },
});

export const CACHE_SCRIPTS: readonly StoreScript[] = [PURGE, PURGE_LOG, ACKNOWLEDGE];
