/** `ctx.kv`: small values that rules share, on one gateway and on all that use the same store. */
import type { Duration, JsonValue } from "./units.ts";

export interface KvSetOptions {
  /** How long the value lives, from now on. Left out: until it is deleted. */
  readonly ttl?: Duration;
  /** Stores only when this is still the version; `""`: only when nothing is there. Left out: whatever is there. */
  readonly ifVersion?: string;
}

export interface KvDeleteOptions {
  /** Deletes only when this is still the version. */
  readonly ifVersion?: string;
}

export interface KvIncrementOptions {
  /** What to add, a whole number; 1 by default. */
  readonly by?: number;
  /** How long a counter lives that this call begins. One that is there keeps its own lifetime. Left out: until it is deleted. */
  readonly ttl?: Duration;
}

/** A value and the version that `ifVersion` compares. */
export interface KvEntry<Value> {
  readonly value: Value;
  readonly version: string;
}

/** What `set` did. */
export interface KvStored {
  /** False when another version was there than `ifVersion` says. */
  readonly stored: boolean;
  /** The one that is there now; `""` when nothing is. */
  readonly version: string;
}

/**
 * Small shared values with a lifetime: flags, sessions, counters. All rules share one set of keys, on every gateway with the same store;
 * with the embedded store they survive a restart of the gateway.
 *
 * When: in every phase, any number of times within the bound on service calls. A call is carried out once, even when the sandbox is lost
 * while it runs. Each is atomic; two of them are not: compare versions where that matters.
 *
 * Keys are 1 to 512 characters. Values are what JSON carries, at most 64 KiB as JSON. A value above it rejects with `KV_TOO_LARGE`; a store
 * that is away with `STORE_UNAVAILABLE`, or `STORE_TIMEOUT` after `store.timeout` (then the call may have been carried out). A rejection that the rule
 * does not catch counts as its failure.
 *
 * @example
 * import { defineRule, respond } from "sluice"
 * export default defineRule({
 *   when: { path: "/signup" },
 *   async onRequest(req, ctx) {
 *     const attempts = await ctx.kv.increment(`signups:${ctx.client.address}`, { ttl: "1h" })
 *     if (attempts > 20) return respond(429, "come back later")
 *   },
 * })
 *
 * @example
 * import { defineRule } from "sluice"
 * interface Seats { readonly left: number }
 * export default defineRule({
 *   when: { method: "POST", path: "/seats" },
 *   async onRequest(req, ctx) {
 *     for (let attempt = 0; attempt < 5; attempt++) {
 *       const seats = await ctx.kv.getWithVersion<Seats>("seats")
 *       const left = (seats?.value.left ?? 100) - 1
 *       const { stored } = await ctx.kv.set("seats", { left }, { ifVersion: seats?.version ?? "" })
 *       if (stored) break
 *     }
 *   },
 * })
 */
export interface Kv {
  /** The value, or null when there is none (any more). */
  get<Value = JsonValue>(key: string): Promise<Value | null>;
  /** The value and its version, or null when there is none. */
  getWithVersion<Value = JsonValue>(key: string): Promise<KvEntry<Value> | null>;
  set(key: string, value: unknown, options?: KvSetOptions): Promise<KvStored>;
  /** True when something was deleted. */
  delete(key: string, options?: KvDeleteOptions): Promise<boolean>;
  /** Adds to a whole number and resolves with the sum; a key that is not there counts from 0. Rejects with `SERVICE_REFUSED` when something else is there. */
  increment(key: string, options?: KvIncrementOptions): Promise<number>;
}
