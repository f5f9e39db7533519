/** Routes of a config: compiled when they are swapped in with a release, then only looked up. An exchange keeps those it began with. */
import { type RoutePolicy, routePolicyOf } from "../cache/cache.ts";
import type { RouteConfig } from "../config/resolved.ts";
import { type Limiter, RouteLimits } from "../ratelimit/ratelimit.ts";
import type { RateLimitConfig } from "../ratelimit/route-limits.ts";
import { compileMatcher } from "./match/compile-matcher.ts";
import type { Matcher } from "./match/match.ts";

export class Routing {
  readonly routes: readonly RouteConfig[];
  readonly matcher: Matcher;
  /** Beside each route what it caches; null: nothing. */
  readonly policies: readonly (RoutePolicy | null)[];
  /** Null: config limits nothing. */
  readonly limits: RouteLimits | null;

  constructor(routes: readonly RouteConfig[], rateLimits: readonly RateLimitConfig[], limiter: Limiter) {
    this.routes = routes;
    this.matcher = compileMatcher(routes.map((route) => ({ specs: route.match })));
    this.policies = routes.map(({ cache }) => (cache === null ? null : routePolicyOf(cache)));
    this.limits = RouteLimits.of(
      limiter,
      rateLimits,
      routes.map(({ limits }) => limits),
    );
  }
}
