/** Tier two, in the store: what one worker fetched, for all others, and the lock under which it is fetched once. */
import { createHash, randomBytes } from "node:crypto";
import { asGatewayError } from "../errors.ts";
import { AGREE, LOCK, UNLOCK } from "../store/store.ts";
import type { CacheParts } from "./cache.ts";
import type { CacheCounts } from "./counters.ts";
import { type Entry, Marker, type Slot } from "./entry.ts";
import { decodeSlot, encodeSlot, ForgedError, UNSHARED } from "./entry-codec.ts";

/** How long a URL too large for the store is fetched without asking it. */
const UNSHARED_MS = 60_000;
const KEY_PLACE = "cache:signing-key";

export interface Claim {
  /** Whoever holds the lock fetches. */
  readonly locked: boolean;
  readonly slot: Slot | null;
}

export class SharedTier {
  readonly #parts: CacheParts;
  readonly #counts: CacheCounts;
  readonly #holder = randomBytes(9).toString("base64url");
  #signingKey: Buffer | null;
  #agreeing: Promise<void> | null = null;
  /** Purges are known: what lies in the store can be judged. */
  trusted = false;

  constructor(parts: CacheParts, counts: CacheCounts) {
    this.#parts = parts;
    this.#counts = counts;
    const { secret } = parts.config;
    this.#signingKey = secret === "" ? null : createHash("sha256").update(`sluice cache entry\n${secret}`).digest();
    if (this.#signingKey === null) void this.agree();
  }

  get usable(): boolean {
    return this.trusted && this.#signingKey !== null && this.#parts.store.health().state === "ready";
  }

  /** Without a secret in config, gateways take the key that was first there. */
  agree(): Promise<void> {
    if (this.#parts.config.secret !== "") return Promise.resolve();
    this.#agreeing ??= this.#parts.store
      .run(AGREE, [KEY_PLACE], [randomBytes(32).toString("hex")])
      .then(
        ([value]) => void (this.#signingKey = Buffer.from(String(value), "hex")),
        // Tried again when the store is back.
        () => void this.#counts.sharedFailures++,
      )
      .finally(() => (this.#agreeing = null));
    return this.#agreeing;
  }

  /**
   * Asks for the lock, then for what is there: in this order, because whoever held the lock wrote before it gave it back.
   * A store that fails is as good as none: then everyone fetches.
   */
  async claim(key: string, generation: number): Promise<Claim> {
    const { store, config } = this.#parts;
    const place = placeOf(key);
    try {
      const [[locked], bytes] = await Promise.all([store.run(LOCK, [place.lock], [this.#holder, config.lockTimeoutMs]), store.get(place.slot)]);
      const slot = bytes === null ? null : await this.#decoded(bytes, place.slot, generation);
      if (slot?.kind === "entry") this.#counts.sharedHits++;
      else this.#counts.sharedMisses++;
      return { locked: locked === 1, slot };
    } catch (thrown) {
      this.#failed(thrown);
      return { locked: true, slot: null };
    }
  }

  async read(key: string, generation: number): Promise<Slot | null> {
    const place = placeOf(key);
    try {
      const bytes = await this.#parts.store.get(place.slot);
      return bytes === null ? null : await this.#decoded(bytes, place.slot, generation);
    } catch (thrown) {
      this.#failed(thrown);
      return null;
    }
  }

  async #decoded(bytes: Buffer, storeKey: string, generation: number): Promise<Slot | null> {
    try {
      return await decodeSlot(bytes, storeKey, this.#signingKey!, generation, this.#parts.config.maxObjectBytes);
    } catch (thrown) {
      this.#counts.sharedForged++;
      const reason = thrown instanceof ForgedError ? thrown.message : String(thrown);
      // One line for all until the next: a store full of them must not fill the log.
      if (this.#counts.sharedForged === 1 || this.#counts.sharedForged % 1000 === 0)
        this.#parts.warn("cache-entry-forged", { reason, count: this.#counts.sharedForged });
      void this.agree();
      await this.#parts.store.delete([storeKey]);
      return null;
    }
  }

  /** For others to have. Never rejects: a store that fails is told by its own health. */
  async write(key: string, slot: Slot): Promise<void> {
    const { store, config, clock } = this.#parts;
    const { maxObjectBytes, lifetimeMs, compress } = config.shared!;
    const place = placeOf(key);
    const nowMs = clock.unixMs();
    const small = slot.kind !== "entry" || slot.body.length <= maxObjectBytes;
    const written = small ? slot : new Marker(nowMs + UNSHARED_MS, UNSHARED, 0);
    const ttlMs = Math.ceil(Math.min(lifetimeMs, lastsMs(written, nowMs, lifetimeMs)));
    if (ttlMs <= 0) return;
    try {
      await store.set(place.slot, await encodeSlot(written, place.slot, this.#signingKey!, compress), { ttlMs });
      this.#counts.sharedWrites++;
    } catch (thrown) {
      this.#failed(thrown);
    }
  }

  async release(key: string): Promise<void> {
    try {
      await this.#parts.store.run(UNLOCK, [placeOf(key).lock], [this.#holder]);
    } catch (thrown) {
      // It ends by itself.
      this.#failed(thrown);
    }
  }

  async delete(key: string): Promise<void> {
    try {
      await this.#parts.store.delete([placeOf(key).slot]);
    } catch (thrown) {
      this.#failed(thrown);
    }
  }

  #failed(thrown: unknown): void {
    this.#counts.sharedFailures++;
    const error = asGatewayError(thrown);
    if (error.code === "INTERNAL") this.#parts.warn("cache-store-defect", { reason: error.detail });
  }
}

/** Both with one {tag}, so that Redis Cluster keeps them, and their order, on one node. Hashed: keys hold what clients wrote, at any length. */
function placeOf(key: string): { readonly lock: string; readonly slot: string } {
  const tag = createHash("sha256").update(key).digest("base64url").slice(0, 32);
  return { lock: `cache:{${tag}}:lock`, slot: `cache:{${tag}}:slot` };
}

/** As long as it may be of any use: fresh, stale and servable, or, with a validator, a day longer for validation. */
function lastsMs(slot: Slot, nowMs: number, lifetimeMs: number): number {
  if (slot.kind === "marker") return slot.untilMs - nowMs;
  if (slot.kind === "variants") return lifetimeMs;
  const { freshUntilMs, staleWhileRevalidateUntilMs, staleIfErrorUntilMs } = slot.freshness;
  const usefulUntilMs = Math.max(freshUntilMs, staleWhileRevalidateUntilMs, Math.min(staleIfErrorUntilMs, nowMs + lifetimeMs));
  return usefulUntilMs - nowMs + (hasValidator(slot) ? VALIDATED_MS : 0);
}

const VALIDATED_MS = 3_600_000;

function hasValidator({ head }: Entry): boolean {
  return head.fields.has("etag") || head.fields.has("last-modified");
}
