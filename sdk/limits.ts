/** Rate limits: the options that config and `ctx.limit` share, and what a rule gets to know. */
import type { Duration } from "./units.ts";

/**
 * So many in so long a time: `"100/1m"`, `"5/1s"`. Without a time, for `algorithm: "concurrency"`, so many at once: `"20"`.
 *
 * @example
 * import type { Rate } from "sluice"
 * const perMinute: Rate = "100/1m"
 */
export type Rate = `${number}/${Duration}` | `${number}`;

/**
 * How a limit counts.
 *
 * - `"gcra"` (the default; generic cell rate algorithm, ITU-T I.371): smooth. A burst at once, then evenly at the rate.
 * - `"token-bucket"`: decides as `"gcra"` does; kept as a number of tokens.
 * - `"sliding-window"`: no more than the rate in the window that ends now, where the window before counts as if it had come evenly.
 * - `"fixed-window"`: counts from one round time to the next. Up to twice the rate around the change.
 * - `"concurrency"`: how many run at once, until each exchange is over. A gateway that is killed gives back what it held within 30 s.
 */
export type LimitAlgorithm = "gcra" | "sliding-window" | "fixed-window" | "token-bucket" | "concurrency";

/** What limits of routes and of rules have in common. */
export interface RateLimitOptions {
  readonly rate: Rate;
  /** `"gcra"` by default. */
  readonly algorithm?: LimitAlgorithm;
  /** How many may come at once, for `"gcra"` and `"token-bucket"`. The rate's number by default. In any span of time at most burst + rate × span pass. */
  readonly burst?: number;
  /**
   * `"exact"` (the default) asks the store for each request. `"leased"` takes units in advance, at most a twentieth of the burst for each worker, so that most
   * requests need no answer from the store: in any span of time at most burst + rate × span + workers × largest lease pass (workers of all gateways
   * together). Units that are leased and not used within 250 ms are lost; a key that is out of units is asked for again after 10 ms at the earliest.
   * Not for `"concurrency"`, and not with `penalty`.
   */
  readonly mode?: "exact" | "leased";
  /** Counts, and refuses nobody; metrics say what it would have done. False by default. */
  readonly shadow?: boolean;
  /**
   * While the store can't be reached: `"local"` (the default) lets each worker count its part of the limit for itself (limit ÷ live gateways, at least one
   * unit each), `"open"` lets everything pass, `"closed"` refuses. Such answers carry `Sluice-Degraded: limits;mode=…`. When the store is back, keys
   * return to it one after another within 2 s.
   */
  readonly onStoreLoss?: "local" | "open" | "closed";
  /**
   * For who goes on and on: after that many refusals (10 by default), each within a window of the last, the key is refused for as long as `block` says,
   * whatever the rate would allow. None by default.
   */
  readonly penalty?: { readonly after?: number; readonly block: Duration };
}

/**
 * A part of the key under which requests of a route count.
 *
 * - `"address"`: the client's address; IPv6 by its /64 network. `{ address: { ipv4: 24, ipv6: 56 } }` takes other lengths.
 * - `"path"`, `"host"`: as the client sent them, the path without query.
 * - `{ header }`, `{ cookie }`: its value, kept as a digest. Requests without it count together.
 */
export type LimitKey =
  | "address"
  | "path"
  | "host"
  | { readonly address: { readonly ipv4?: number; readonly ipv6?: number } }
  | { readonly header: string }
  | { readonly cookie: string };

/** A limit in config: on a route (`routes[].limits`) or on everything (`rateLimits`). */
export interface RouteLimitOptions extends RateLimitOptions {
  /** Letters, digits, `.`, `_` and `-`, at most 64: names it in fields, metrics and the store. Routes that name the same limit share its counts. */
  readonly name: string;
  /** `["address"]` by default. `[]`: all requests count together. */
  readonly key?: readonly LimitKey[];
  /** Units that one request takes. 1 by default. */
  readonly cost?: number;
}

/** What `ctx.limit` takes. */
export interface LimitCallOptions extends RateLimitOptions {
  /** Who counts: a user, an API key, a claim of a token, … Keys above 64 characters or with unusual ones are kept as digests. */
  readonly key: string;
  /** Units to take; 1 by default. 0 takes nothing and tells how things stand. */
  readonly cost?: number;
}

/** What `ctx.limit` found. */
export interface LimitResult {
  readonly allowed: boolean;
  /** Units left. */
  readonly remaining: number;
  /** Milliseconds until all units are there again. */
  readonly resetMs: number;
  /** Milliseconds after which the same call may be allowed; 0 when it is now. */
  readonly retryAfterMs: number;
  /** `"ok"`; `"over"` the rate; under a `"penalty"`; `"shadow"`: would have been refused; `"store"`: could not be counted, and `onStoreLoss` is `"closed"`. */
  readonly reason: "ok" | "over" | "penalty" | "shadow" | "store";
  /** `ratelimit` and `ratelimit-policy` (draft-ietf-httpapi-ratelimit-headers), and `retry-after` when refused: for `respond`, or to set on the response. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Charges a limit. Gateways that share a store share its counts, and so do rules that use the same name. Never throws because a limit is reached: the
 * rule decides.
 *
 * When: in every phase, any number of times within the bound on service calls; each call counts. Called again after a lost sandbox, it counts once.
 * Options that make no sense (a rate that is none, a cost above the burst) reject with `SERVICE_REFUSED`.
 *
 * @param name Letters, digits, `.`, `_` and `-`, at most 64. Write it as a literal: names are labels of metrics.
 *
 * @example
 * import { defineRule, respond } from "sluice"
 * export default defineRule({
 *   when: { path: "/api/*" },
 *   async onRequest(req, ctx) {
 *     const user = req.headers.get("x-user") ?? ctx.client.address
 *     const limit = await ctx.limit("per-user", { key: user, rate: "100/1m", burst: 20 })
 *     if (!limit.allowed) return respond(429, "slow down", limit.headers)
 *   },
 * })
 *
 * @example
 * import { defineRule, respond } from "sluice"
 * export default defineRule({
 *   when: { path: "/reports/*" },
 *   async onRequest(req, ctx) {
 *     const cost = req.query.has("full") ? 10 : 1
 *     const limit = await ctx.limit("reports", { key: req.host, rate: "60/1h", cost, mode: "exact", onStoreLoss: "closed", penalty: { after: 5, block: "10m" } })
 *     if (!limit.allowed) return respond(limit.reason === "store" ? 503 : 429, limit.reason, limit.headers)
 *     const running = await ctx.limit("reports-at-once", { key: req.host, rate: "2", algorithm: "concurrency" })
 *     if (!running.allowed) return respond(429, "two at a time", running.headers)
 *   },
 * })
 */
export type Limit = (name: string, options: LimitCallOptions) => Promise<LimitResult>;
