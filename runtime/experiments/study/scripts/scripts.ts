/** What studying experiments does atomically in the store: in Lua for Redis, and the same for the embedded store. */
import { defineScript, type StoreScript } from "../../../store/store.ts";

const file = (name: string): URL => new URL(`./${name}.lua`, import.meta.url);

export const NOTE: StoreScript = defineScript({
  name: "experiments:note",
  lua: file("note"),
  durable: true,
  embedded(db, [key = ""], [line, kept]) {
    const lines = [...((db.get(key) as string[] | undefined) ?? [])];
    if (line !== "") {
      lines.push(String(line));
      lines.splice(0, lines.length - Number(kept));
      db.set(key, lines, null);
    }
    return lines;
  },
});

export const STUDY_SCRIPTS: readonly StoreScript[] = [NOTE];
