/** What the embedded store's process must know of decisions about experiments: by itself, so that it loads nothing else of this room. */
import { defineScript, type StoreScript } from "../../store/store.ts";

export const SET_LIVE: StoreScript = defineScript({
  name: "experiments:set-live",
  lua: new URL("./set-live.lua", import.meta.url),
  durable: true,
  embedded(db, [place], [version, text]) {
    const there = (db.get(place!) as string | undefined) ?? "";
    if ((there === "" ? "0" : String(Number.parseInt(there, 10))) !== String(version)) return [0, there];
    db.set(place!, String(text), null);
    return [1, String(text)];
  },
});
