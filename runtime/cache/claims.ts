/** Before a worker asks the origin: has another one the answer, or is another one fetching it? */
import type { CacheParts } from "./cache.ts";
import type { Asking } from "./engine.ts";
import { UNSHARED } from "./entry-codec.ts";
import type { Entry, Slot } from "./entry.ts";
import type { Outcome } from "./flight.ts";
import { type Lookup, soften } from "./lookup.ts";
import { decide } from "./policy/policy.ts";
import type { Claim, SharedTier } from "./shared-tier.ts";

/** Between two looks at what another worker fetches: short at first, for origins that answer at once. */
const FIRST_LOOK_MS = 4;
const LONGEST_LOOK_MS = 40;
/** Variants found while looking for variants: more is a store that lies. */
const MAX_STEPS = 4;

type Found = Outcome | "variants" | "unshared" | null;

export class Claims {
  readonly #parts: CacheParts;
  readonly #lookup: Lookup;
  readonly #shared: SharedTier;

  constructor(parts: CacheParts, lookup: Lookup, shared: SharedTier) {
    this.#parts = parts;
    this.#lookup = lookup;
    this.#shared = shared;
  }

  /**
   * What is in the store already, or comes there while another worker fetches; null: fetch it (`asking.lockKey` says under which lock).
   * One who holds the lock for too long is not waited for.
   */
  async take(asking: Asking): Promise<Outcome | null> {
    const { clock, config, random } = this.#parts;
    const untilMs = clock.now() + config.lockTimeoutMs;
    let pauseMs = FIRST_LOOK_MS;
    for (let steps = 0; ;) {
      const { generation } = this.#lookup.purges;
      const claim = await this.#shared.claim(asking.key, generation);
      const found = claim.slot === null ? null : this.#judge(asking, claim.slot);
      if (found === "variants" && steps++ < MAX_STEPS) {
        if (claim.locked) void this.#shared.release(asking.key);
        asking.key = this.#lookup.keyFor(asking.primaryKey, asking.exchange.fields);
        continue;
      }
      if (found !== null && typeof found === "object") {
        if (claim.locked) void this.#shared.release(asking.key);
        return found;
      }
      if (this.#mayFetch(asking, claim, found)) return null;
      if (clock.now() >= untilMs) return null;
      await new Promise<void>((resolve) => void clock.after(pauseMs * (0.75 + random() / 2), resolve));
      pauseMs = Math.min(pauseMs * 1.6, LONGEST_LOOK_MS);
    }
  }

  #mayFetch(asking: Asking, claim: Claim, found: Found): boolean {
    // Too large for the store: each worker for itself.
    if (found === "unshared") {
      if (claim.locked) void this.#shared.release(asking.key);
      return true;
    }
    if (claim.locked) asking.lockKey = asking.key;
    return claim.locked;
  }

  #judge(asking: Asking, slot: Slot): Found {
    const nowMs = this.#parts.clock.unixMs();
    switch (slot.kind) {
      case "variants": {
        const before = asking.key;
        this.#lookup.put(asking.primaryKey, slot);
        return this.#lookup.keyFor(asking.primaryKey, asking.exchange.fields) === before ? null : "variants";
      }
      case "marker":
        if (slot.untilMs <= nowMs) return null;
        if (slot.reason === UNSHARED) return "unshared";
        this.#lookup.put(asking.key, slot);
        return { kind: "alone", reason: slot.reason };
      case "entry":
        return this.#promote(asking, slot, nowMs);
    }
  }

  /** Into this worker's memory, when it is of use; one that is stale serves for validation. */
  #promote(asking: Asking, entry: Entry, nowMs: number): Outcome | null {
    const { head } = entry;
    // A hash that two keys share, or an entry that somebody moved: the signature covers the place, this the key.
    if (head.primaryKey !== asking.primaryKey) return null;
    if (asking.entry !== null && asking.entry.head.requestAtMs >= head.requestAtMs) return null;
    const judgement = this.#lookup.purges.judgeShared(head, head.purgeSequence);
    if (judgement === "gone") return null;
    if (judgement === "stale") soften(entry, nowMs);
    const key = this.#lookup.keep(entry, asking.exchange.fields);
    if (key === null) return null;
    const verdict = decide(asking.terms, entry.freshness, nowMs);
    if (verdict === "hit" || verdict === "stale-allowed") return { kind: "stored", key, entry, fwdStatus: 0 };
    asking.entry = entry;
    return null;
  }
}
