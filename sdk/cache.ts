/** What rules say to the cache: about keys (`req.cacheKey`), about answers (`res.cache`), and values of their own (`ctx.cache`). */
import type { Duration, JsonValue } from "./units.ts";

/** What makes two requests different for the cache, beside URL and upstream. Adds to what the route says. */
export interface CacheKeyOptions {
  /** `false`: no parameter counts; or only some, or all but some. A `*` at the end stands for any rest: `"utm_*"`. Takes the place of the route's. */
  readonly query?: boolean | { readonly include?: readonly string[]; readonly exclude?: readonly string[] };
  /** Request headers whose values count. */
  readonly headers?: readonly string[];
  /** Cookies whose values count. */
  readonly cookies?: readonly string[];
  /** The rule's own words: `["variant-b"]`. Other words, another answer. */
  readonly parts?: readonly string[];
}

/** What becomes of an answer. What is left out is decided by the origin's headers and the route. */
export interface CacheDecision {
  /**
   * `true` stores it in spite of `no-store`, `private`, `Set-Cookie` (which is taken out) and `Authorization`, and of personal input that rules have read:
   * the rule answers for it. `false` does not store this one. `"uncacheable"` remembers for a while, too, that nothing can be stored here,
   * so that requests don't wait for each other.
   */
  readonly store?: boolean | "uncacheable";
  /** In place of what the origin says. */
  readonly lifetime?: Duration;
  /** How long it is served stale while it is fetched anew. */
  readonly staleWhileRevalidate?: Duration;
  /** How long it is served stale when the origin fails. */
  readonly staleIfError?: Duration;
  /** By which it can be purged; added to the origin's `Cache-Tag` and `Surrogate-Key`. Visible ASCII without commas. */
  readonly tags?: readonly string[];
}

export interface CachePutOptions {
  readonly lifetime: Duration;
  /** By which it can be purged. */
  readonly tags?: readonly string[];
}

/**
 * Values of rules in the cache: as quick as a hit, forgotten when memory is short, purged by tag like answers. For what must not be forgotten
 * take `ctx.kv`. Shared by all rules; at most `limits.crossingSize` (1 MiB) a value. Without a `cache` key in config every call rejects.
 *
 * @example
 * import { defineRule } from "sluice"
 * export default defineRule({
 *   async onRequest(req, ctx) {
 *     let flags = await ctx.cache.get<Record<string, boolean>>("flags")
 *     if (flags === null) {
 *       flags = (await (await ctx.fetch("https://flags.example.com/v1")).json()) as Record<string, boolean>
 *       await ctx.cache.put("flags", flags, { lifetime: "30s", tags: ["flags"] })
 *     }
 *     req.headers.set("x-new-cart", flags["newCart"] ? "yes" : "no")
 *   },
 * })
 */
export interface RuleCache {
  /** Null when there is none, or it is past its lifetime. */
  get<Value extends JsonValue = JsonValue>(key: string): Promise<Value | null>;
  put(key: string, value: JsonValue, options: CachePutOptions): Promise<void>;
  delete(key: string): Promise<void>;
}
