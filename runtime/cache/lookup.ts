/** The memory tier with its two steps (a URL, then its variant), and with purges kept in mind. */
import type { Clock } from "../clock.ts";
import type { Fields } from "../proxy/fields.ts";
import { type Entry, type Slot, unionOf, Variants } from "./entry.ts";
import type { MemoryTier } from "./memory-tier.ts";
import { type Freshness, varyKey } from "./policy/policy.ts";
import { Purges } from "./purges.ts";

export class Lookup {
  readonly purges = new Purges();
  readonly #memory: MemoryTier;
  readonly #clock: Clock;

  constructor(memory: MemoryTier, clock: Clock) {
    this.#memory = memory;
    this.#clock = clock;
  }

  /** The key of the variant that this request selects, as far as it is known by what the answers vary. */
  keyFor(primaryKey: string, request: Fields): string {
    const slot = this.#memory.get(primaryKey);
    return slot?.kind === "variants" ? variantKey(primaryKey, slot.names, request) : primaryKey;
  }

  /** What is stored there and may be looked at. */
  find(key: string, nowMs: number): Slot | undefined {
    const slot = this.#memory.get(key);
    if (slot === undefined || slot.kind === "variants") return undefined;
    if (slot.kind === "marker") return slot.untilMs > nowMs ? slot : undefined;
    if (slot.checkedGeneration === this.purges.generation) return slot;
    return this.#judged(key, slot, nowMs);
  }

  #judged(key: string, entry: Entry, nowMs: number): Entry | undefined {
    const judgement = this.purges.judge(entry.head, entry.checkedGeneration);
    entry.checkedGeneration = this.purges.generation;
    if (judgement === "gone") {
      this.#memory.delete(key);
      return undefined;
    }
    if (judgement === "stale") soften(entry, nowMs);
    return entry;
  }

  /** Puts an entry in its place and tells its key; null when it may not be kept: purged while it was fetched, too large, or varying by too much. */
  keep(entry: Entry, request: Fields): string | null {
    const { head } = entry;
    const judgement = this.purges.judge(head, head.generation);
    entry.checkedGeneration = this.purges.generation;
    if (judgement === "gone") return null;
    if (judgement === "stale") soften(entry, this.#clock.unixMs());
    const key = this.place(head.primaryKey, head.varyNames, request);
    if (key === null) return null;
    return this.#memory.set(key, entry) ? key : null;
  }

  /** The key for an answer that varies by `names`; from now on requests are told apart by them. */
  place(primaryKey: string, names: readonly string[], request: Fields): string | null {
    const slot = this.#memory.get(primaryKey);
    const known = slot?.kind === "variants" ? slot.names : NO_NAMES;
    const all = unionOf(known, names);
    if (all === null) return null;
    if (all.length === 0) return primaryKey;
    if (all !== known) this.#memory.set(primaryKey, new Variants(all));
    return variantKey(primaryKey, all, request);
  }

  put(key: string, slot: Slot): void {
    this.#memory.set(key, slot);
  }
  delete(key: string): void {
    this.#memory.delete(key);
  }
}

const NO_NAMES: readonly string[] = [];

export function variantKey(primaryKey: string, names: readonly string[], request: Fields): string {
  return `${primaryKey}\0${varyKey(names, request)}`;
}

/** Purged softly: stale, and otherwise what it was. Without stale-while-revalidate of its own it gets none. */
function soften(entry: Entry, nowMs: number): void {
  const { freshness } = entry;
  if (freshness.freshUntilMs <= nowMs) return;
  const softened: Freshness = {
    ...freshness,
    freshUntilMs: nowMs,
    staleWhileRevalidateUntilMs: freshness.staleWhileRevalidateUntilMs > freshness.freshUntilMs ? freshness.staleWhileRevalidateUntilMs : nowMs,
    staleIfErrorUntilMs: Math.max(freshness.staleIfErrorUntilMs, nowMs),
  };
  entry.freshness = softened;
  entry.servedSecond = -1;
}
