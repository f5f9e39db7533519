/** What stands in the cache: an answer, or the word that there is none to be stored, or how the answers of a URL vary. */
import type { Fields } from "../proxy/fields.ts";
import type { Freshness } from "./policy/policy.ts";

/** Everything but the body; known when the origin's head is there. */
export interface EntryHead {
  readonly primaryKey: string;
  readonly varyNames: readonly string[];
  readonly status: number;
  readonly fields: Fields;
  readonly freshness: Freshness;
  readonly tags: readonly string[];
  /** Where purges by URL and prefix look: as keyed, and as the client that filled it asked. */
  readonly place: string;
  readonly publicPlace: string;
  /** How far purges had come when the origin was asked: in this worker, and over all gateways. */
  readonly generation: number;
  readonly purgeSequence: number;
  readonly requestAtMs: number;
}

/** Per entry, beside body and texts. Measured with 100,000 entries of six fields: 1,500 to 1,950 bytes of heap with the texts, which are 190. */
const OVERHEAD_BYTES = 1500;

export class Entry {
  readonly kind = "entry";
  readonly head: EntryHead;
  readonly body: Buffer;
  readonly sizeBytes: number;
  /** Becomes stale earlier than the origin said when purged softly. */
  freshness: Freshness;
  /** Purges up to here have been looked at. */
  checkedGeneration: number;
  /** Somebody refreshes it; others need not before then. */
  refreshNotBeforeMs = 0;
  /** The response head as it leaves, made anew once a second: everything but the request's own fields. */
  servedSecond = -1;
  served: Fields | null = null;

  constructor(head: EntryHead, body: Buffer) {
    this.head = head;
    this.body = body;
    this.freshness = head.freshness;
    this.checkedGeneration = head.generation;
    let textBytes = head.primaryKey.length * 2;
    for (const text of head.fields.list) textBytes += text.length;
    for (const tag of head.tags) textBytes += tag.length;
    // Twice: as stored, and as served.
    this.sizeBytes = body.length + textBytes * 2 + OVERHEAD_BYTES;
  }
}

/** Answers to this key can't be stored or shared: ask the origin at once, wait for nobody. */
export class Marker {
  readonly kind = "marker";
  readonly untilMs: number;
  readonly reason: string;
  readonly generation: number;
  constructor(untilMs: number, reason: string, generation: number) {
    this.untilMs = untilMs;
    this.reason = reason;
    this.generation = generation;
  }
}

/** Answers vary: the names of the selecting fields, of all answers seen so far together. */
export class Variants {
  readonly kind = "variants";
  readonly names: readonly string[];
  /** Part of the variants' keys: with another salt, variants from before an invalidation are out of reach for good. */
  readonly salt: string;
  constructor(names: readonly string[], salt: string) {
    this.names = names;
    this.salt = salt;
  }
}

export type Slot = Entry | Marker | Variants;

export function sizeOf(slot: Slot, key: string): number {
  return slot.kind === "entry" ? slot.sizeBytes : 300 + key.length * 2;
}

const MAX_VARY_NAMES = 32;

/** Null: more than anyone would mean. */
export function unionOf(a: readonly string[], b: readonly string[]): readonly string[] | null {
  if (b.every((name) => a.includes(name))) return a;
  const union = [...new Set([...a, ...b])].sort();
  return union.length > MAX_VARY_NAMES ? null : union;
}
