/** The memory tier with its two steps (a URL, then its variant), and with purges kept in mind. */
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Fields } from "../proxy/fields.ts";
import { type Entry, type EntryHead, type Slot, unionOf, Variants } from "./entry.ts";
import type { MemoryTier } from "./memory-tier.ts";
import { type Freshness, varyKey } from "./policy/policy.ts";
import { Purges } from "./purges.ts";

/** Long enough for any fetch that was under way. */
const MAX_INVALIDATED = 10_000;

export class Lookup {
  readonly purges = new Purges();
  /** Told when it became known, or known better, by what the answers of a URL vary. */
  onVariants: (primaryKey: string, variants: Variants) => void = () => undefined;
  readonly #memory: MemoryTier;
  /** What was invalidated last, and when: for answers that were on their way. */
  readonly #invalidated = new Map<string, number>();
  readonly #clock: Clock;

  constructor(memory: MemoryTier, clock: Clock) {
    this.#memory = memory;
    this.#clock = clock;
  }

  /** The key of the variant that this request selects, as far as it is known by what the answers vary. */
  keyFor(primaryKey: string, request: Fields): string {
    const slot = this.#memory.get(primaryKey);
    return slot?.kind === "variants" ? variantKey(primaryKey, slot, request) : primaryKey;
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

  /** Was it neither purged nor invalidated since the origin was asked? */
  holds(head: EntryHead): boolean {
    return this.purges.judge(head, head.generation) !== "gone" && (this.#invalidated.get(head.primaryKey) ?? -1) <= head.generation;
  }

  /** Puts an entry in its place and tells its key; null when it may not be kept: purged while it was fetched, too large, or varying by too much. */
  keep(entry: Entry, request: Fields): string | null {
    const { head } = entry;
    entry.checkedGeneration = this.purges.generation;
    if (!this.holds(head)) return null;
    if (this.purges.judge(head, head.generation) === "stale") soften(entry, this.#clock.unixMs());
    const key = this.place(head.primaryKey, head.varyNames, request);
    if (key === null) return null;
    return this.#memory.set(key, entry) ? key : null;
  }

  /** The key for an answer that varies by `names`; from now on requests are told apart by them. */
  place(primaryKey: string, names: readonly string[], request: Fields): string | null {
    const slot = this.#memory.get(primaryKey);
    const variants = slot?.kind === "variants" ? slot : null;
    const all = unionOf(variants?.names ?? NO_NAMES, names);
    if (all === null) return null;
    if (all.length === 0) return primaryKey;
    if (variants !== null && all === variants.names) return variantKey(primaryKey, variants, request);
    const grown = new Variants(all, variants?.salt ?? randomBytes(6).toString("base64url"));
    this.#memory.set(primaryKey, grown);
    this.onVariants(primaryKey, grown);
    return variantKey(primaryKey, grown, request);
  }

  /** What was stored for it, whatever it varied by, is out of date; also what is still on its way. */
  invalidate(primaryKey: string): void {
    this.#memory.delete(primaryKey);
    this.purges.generation++;
    this.#invalidated.delete(primaryKey);
    this.#invalidated.set(primaryKey, this.purges.generation);
    if (this.#invalidated.size > MAX_INVALIDATED) this.#invalidated.delete(this.#invalidated.keys().next().value!);
  }

  put(key: string, slot: Slot): void {
    this.#memory.set(key, slot);
  }
  delete(key: string): void {
    this.#memory.delete(key);
  }
}

const NO_NAMES: readonly string[] = [];

function variantKey(primaryKey: string, { names, salt }: Variants, request: Fields): string {
  return `${primaryKey}\0${salt}\0${varyKey(names, request)}`;
}

/** Purged softly: stale, and otherwise what it was. Without stale-while-revalidate of its own it gets none. */
export function soften(entry: Entry, nowMs: number): void {
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
