/** `ctx.cache`: values of rules, kept as entries among the answers: same memory, same tier two, same purges by tag. */
import type { CacheParts } from "./cache.ts";
import type { CacheCounts } from "./counters.ts";
import { Entry } from "./entry.ts";
import { Fields } from "../proxy/fields.ts";
import type { Lookup } from "./lookup.ts";
import type { PurgeBoard } from "./purge-board.ts";
import type { SharedTier } from "./shared-tier.ts";
import { isTag } from "./tags.ts";

export interface Values {
  /** JSON, or "" when there is none. */
  get(key: string): Promise<string>;
  put(key: string, json: string, lifetimeMs: number, tags: readonly string[]): Promise<void>;
  delete(key: string): Promise<void>;
}

/** No upstream's name holds a line feed: these keys are no request's. */
const PREFIX = "\nrule value\n";
const NO_FIELDS: readonly string[] = [];

export function createValues(parts: CacheParts, lookup: Lookup, counts: CacheCounts, shared: SharedTier | null, board: PurgeBoard | null): Values {
  const { clock } = parts;
  const fresh = (entry: Entry | null): string => (entry !== null && entry.freshness.freshUntilMs > clock.unixMs() ? entry.body.toString("utf8") : "");
  return {
    async get(name) {
      const key = PREFIX + name;
      const slot = lookup.find(key, clock.unixMs());
      if (slot?.kind === "entry") {
        const json = fresh(slot);
        if (json !== "") return json;
      }
      if (shared?.usable !== true) return "";
      const found = await shared.read(key, lookup.purges.generation);
      if (found?.kind !== "entry" || lookup.purges.judgeShared(found.head, found.head.purgeSequence) !== "valid") return "";
      return lookup.keep(found, EMPTY) === null ? "" : fresh(found);
    },
    async put(name, json, lifetimeMs, tags) {
      const key = PREFIX + name;
      const nowMs = clock.unixMs();
      const untilMs = nowMs + lifetimeMs;
      const entry = new Entry(
        {
          primaryKey: key,
          varyNames: NO_FIELDS,
          status: 200,
          fields: new Fields(),
          freshness: {
            bornAtMs: nowMs,
            freshUntilMs: untilMs,
            staleWhileRevalidateUntilMs: untilMs,
            staleIfErrorUntilMs: untilMs,
            staleAllowed: false,
            immutable: false,
          },
          tags: tags.filter(isTag),
          place: "",
          publicPlace: "",
          generation: lookup.purges.generation,
          purgeSequence: board?.known ?? -1,
          requestAtMs: nowMs,
        },
        Buffer.from(json),
      );
      // Other workers forget what they hold.
      board?.changed(key);
      lookup.keep(entry, EMPTY);
      counts.stored++;
      if (shared?.usable === true) await shared.write(key, entry);
    },
    async delete(name) {
      const key = PREFIX + name;
      lookup.delete(key);
      board?.changed(key);
      if (shared?.usable === true) await shared.delete(key);
    },
  };
}

const EMPTY = new Fields();
