/** What more than one room does atomically in the store: hold a lock for a time, and agree on a value. */
import { defineScript, type EmbeddedDb, type StoreScript } from "../script.ts";

const file = (name: string): URL => new URL(`./${name}.lua`, import.meta.url);

/** As Redis has it, whoever wrote it: a plain SET keeps bytes. Null: nothing. */
function text(db: EmbeddedDb, key: string): string | null {
  const value = db.get(key);
  return typeof value === "string" ? value : Buffer.isBuffer(value) ? value.toString() : null;
}

/**
 * Repeatable: sent again it only holds longer for the same holder, and who lost it meanwhile learns that. Whoever asks waits for the answer,
 * so no lock is taken for somebody who has gone on.
 */
export const LOCK: StoreScript = defineScript({
  name: "common:lock",
  lua: file("lock"),
  repeatable: true,
  embedded(db, [key = ""], [holder, holdMs]) {
    const held = text(db, key);
    if (held !== null && held !== String(holder)) return [0];
    db.set(key, String(holder), Number(holdMs));
    return [1];
  },
});

export const UNLOCK: StoreScript = defineScript({
  name: "common:unlock",
  lua: file("unlock"),
  repeatable: true,
  embedded(db, [key = ""], [holder]) {
    if (text(db, key) !== String(holder)) return [0];
    db.delete(key);
    return [1];
  },
});

export const AGREE: StoreScript = defineScript({
  name: "common:agree",
  lua: file("agree"),
  durable: true,
  repeatable: true,
  embedded(db, [key = ""], [proposal]) {
    const there = text(db, key);
    if (there !== null) return [there];
    db.set(key, String(proposal), null);
    return [String(proposal)];
  },
});

export const COMMON_SCRIPTS: readonly StoreScript[] = [LOCK, UNLOCK, AGREE];
