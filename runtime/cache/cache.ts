/** The door of the cache room: asked once per exchange, between onRequest and the origin; answers from memory, from the store, or with what the origin says. */
import type { Clock } from "../clock.ts";
import type { CacheConfig, RouteCacheConfig } from "../config/resolved.ts";
import type { GatewayResponse } from "../proxy/reply.ts";
import type { Store } from "../store/store.ts";
import type { CacheCounts } from "./counters.ts";
import { Engine } from "./engine.ts";
import type { KeyedRequest, KeyShape } from "./key.ts";
import type { StoreOptions, Timing, Verdict } from "./policy/policy.ts";
import type { Values } from "./values.ts";
import type { PurgeOrder } from "./purges.ts";
import type { Fields } from "../proxy/fields.ts";
import type { RuleRead } from "./privacy.ts";

export type { PurgeOrder } from "./purges.ts";
export { placeOfUrl } from "./purges.ts";
export { isTag } from "./tags.ts";
export { cacheSeries } from "./counters.ts";
export { type KeyShape, PLAIN_SHAPE, withShape } from "./key.ts";
export type { RuleRead } from "./privacy.ts";

/** A route's word on caching, made when config is swapped in. */
export interface RoutePolicy {
  readonly options: StoreOptions;
  readonly honourClient: boolean;
  readonly shape: KeyShape;
}

/** One exchange as the cache sees it: the request after onRequest, and how to ask the origin. */
export interface CacheExchange extends KeyedRequest {
  readonly policy: RoutePolicy;
  /** The policy's, with what rules added. */
  readonly shape: KeyShape;
  /** "" but for canaries, previews and shadows: what they fill nobody else may see. */
  readonly partition: string;
  /** The others that are in use: what an unsafe request changes is out of date in them too. Left out: none. */
  readonly otherPartitions?: readonly string[];
  /**
   * Other keys under which what a URL has may be kept, for visitors of other variants: an unsafe request puts them out of date too. `target`: of the request,
   * or what its answer points at. Null: too many to be told one by one. Left out: none.
   */
  readonly otherForms?: (target: string) => readonly CacheForm[] | null;
  /** As the client asked, before rules rewrote it. */
  readonly publicAuthority: string;
  readonly publicTarget: string;
  /** What rules read in onRequest. */
  readonly reads: readonly RuleRead[];
  /** Is there a rule that may have the answer stored all the same (`cacheability: "yes"`)? */
  readonly mayDecide: boolean;
  /**
   * onOriginRequest → upstream → onOriginResponse, for whoever waits: goes on when this client leaves. Resolves with an answer that
   * tells of an error rather than reject.
   */
  lead(fields: Fields): Promise<OriginAnswer>;
  /** Whatever `lead` needs stays until the returned function is called, also when this client has its answer and left. */
  hold(): () => void;
  /** The same for this client alone. */
  pass(): Promise<GatewayResponse>;
}

export interface CacheForm {
  readonly target: string;
  readonly upstream: string;
  readonly shape: KeyShape;
}

export interface OriginAnswer {
  readonly response: GatewayResponse;
  /** What rules decided about it. */
  readonly decision: CacheDecision | null;
  /** What rules read in all phases before the cache. */
  readonly reads: readonly RuleRead[];
  readonly timing: Timing;
}

/** `res.cache()`, of all rules together; what a member leaves out is the route's. */
export interface CacheDecision {
  readonly cacheability?: "yes" | "no" | "uncacheable";
  readonly lifetimeMs?: number;
  readonly staleWhileRevalidateMs?: number;
  readonly staleIfErrorMs?: number;
  readonly tags?: readonly string[];
}

export interface CacheStatusReport {
  readonly counts: CacheCounts;
  readonly entries: number;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly evictions: number;
}

export interface PurgeReport {
  /** Workers of all gateways that said they have done it, and how many there are. */
  readonly done: number;
  readonly members: number;
  /** Why not everywhere; "" when all have. */
  readonly reason: string;
}

export interface Cache {
  /** Answers at once from memory, else in a promise. Rejects only with what `pass` rejects with, or with a `GatewayError`. */
  ask(exchange: CacheExchange): GatewayResponse | Promise<GatewayResponse>;
  /** What `ask` would do, without its being done. Looks at the memory of this worker alone. */
  peek(exchange: CacheExchange): CachePeek;
  /** `ctx.cache`. */
  readonly values: Values;
  /** On every gateway; resolves when no worker serves what was purged any more, or at the deadline with the reason. */
  purge(order: PurgeOrder): Promise<PurgeReport>;
  /** On this worker alone: for when the store can't carry it to the others. */
  purgeHere(order: PurgeOrder): void;
  status(): CacheStatusReport;
  close(): void;
}

export interface KeptAnswer {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Buffer;
  readonly tags: readonly string[];
  readonly varyNames: readonly string[];
  readonly freshUntilMs: number;
}

export interface CachePeek {
  readonly decision: Verdict | "pass" | "invalidate";
  readonly why: string;
  /** What the answer is or would be kept under; "" when it is not. */
  readonly key: string;
  /** What would be served from here. */
  readonly response: GatewayResponse | null;
}

export interface CacheParts {
  readonly config: CacheConfig;
  readonly store: Store;
  readonly clock: Clock;
  /** Are there other workers, here or on other gateways? Alone, the store is not asked. */
  readonly shares: boolean;
  /** From 0 up to, not including, 1: spreads expiry and retries. */
  readonly random: () => number;
  readonly warn: (event: string, facts: Readonly<Record<string, unknown>>) => void;
}

export function createCache(parts: CacheParts): Cache {
  return new Engine(parts);
}

/** The answers in this worker's memory that a URL has, as clients or the origin know it (a `placeOf`). Looks at all of them: for rule tests. */
export function keptOf(cache: Cache, place: string): readonly KeptAnswer[] {
  return cache instanceof Engine ? cache.kept(place) : [];
}

export function routePolicyOf(config: RouteCacheConfig): RoutePolicy {
  return {
    options: {
      defaultMs: config.defaultMs,
      heuristicLimitMs: config.heuristicLimitMs,
      statusMs: new Map(config.statusMs),
      lifetimeMs: -1,
      cacheability: "origin",
      staleWhileRevalidateMs: config.staleWhileRevalidateMs,
      staleIfErrorMs: config.staleIfErrorMs,
      maxMs: config.maxMs,
      hitForMissMs: config.hitForMissMs,
      setCookie: config.setCookie,
    },
    honourClient: config.honourClient,
    shape: { query: config.key.query, headers: config.key.headers, cookies: config.key.cookies, parts: [] },
  };
}
