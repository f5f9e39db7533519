/** Limits that config puts on routes: which ones a request meets, under which keys, and what the client is told. */
import { GatewayError } from "../errors.ts";
import type { Decision, LimitAsk, LimitResult } from "./decision.ts";
import { policyMember, retryAfterSeconds, stateMember } from "./fields.ts";
import { type KeyPart, keyOf, type KeySource, storePrefix } from "./keys.ts";
import type { LimitPolicy } from "./policy.ts";

/** One limit of a route, or of all. Plain data. */
export interface RateLimitConfig {
  readonly policy: LimitPolicy;
  /** None: all requests count together. */
  readonly key: readonly KeyPart[];
  readonly cost: number;
}

/** What became of a request at its route's limits. */
export interface Admission {
  /** Null: come in. */
  readonly error: GatewayError | null;
  /** For the response, whoever makes it. */
  mark(fields: { append(name: string, value: string): void; set(name: string, value: string): void }): void;
  /** Gives back what is in flight, or null. */
  readonly release: (() => void) | null;
}

interface BoundLimit extends RateLimitConfig {
  readonly prefix: string;
}

/** What a route's requests meet: its own limits behind those of all. */
interface BoundRoute {
  readonly limits: readonly BoundLimit[];
  readonly group: string;
  /** The same on every response. */
  readonly policyField: string;
}

/** What the limiter does for routes. */
export interface Checks {
  check(asks: readonly LimitAsk[]): Decision | Promise<Decision>;
}

export class RouteLimits {
  readonly #limiter: Checks;
  readonly #routes: readonly (BoundRoute | null)[];
  /** For requests that no route takes. */
  readonly #noRoute: BoundRoute | null;

  /** Null when config has no limit at all. */
  static of(limiter: Checks, all: readonly RateLimitConfig[], routes: readonly (readonly RateLimitConfig[])[]): RouteLimits | null {
    return all.length === 0 && routes.every((limits) => limits.length === 0) ? null : new RouteLimits(limiter, all, routes);
  }

  private constructor(limiter: Checks, all: readonly RateLimitConfig[], routes: readonly (readonly RateLimitConfig[])[]) {
    this.#limiter = limiter;
    const sets = routes.map((limits) => [...all, ...limits]);
    const groups = groupsOf([all, ...sets].map((limits) => limits.map(({ policy }) => policy.name)));
    this.#routes = sets.map((limits) => bind(limits, groups));
    this.#noRoute = bind(all, groups);
  }

  /** Null: no limit stands here. `route` is -1 when none matched. */
  admit(route: number, address: string, source: KeySource): Admission | Promise<Admission> | null {
    const bound = route < 0 ? this.#noRoute : this.#routes[route]!;
    if (bound === null) return null;
    const { group } = bound;
    const asks = bound.limits.map(({ policy, key, cost, prefix }) => ({ policy, key: prefix + keyOf(key, address, source), cost, want: cost, group }));
    const decision = this.#limiter.check(asks);
    if (decision instanceof Promise) return decision.then((settled) => new Admitted(bound, settled));
    return new Admitted(bound, decision);
  }
}

class Admitted implements Admission {
  readonly error: GatewayError | null;
  readonly #bound: BoundRoute;
  readonly #decision: Decision;

  constructor(bound: BoundRoute, decision: Decision) {
    this.#bound = bound;
    this.#decision = decision;
    this.error = decision.allowed ? null : refusalOf(bound, decision.results);
  }

  get release(): (() => void) | null {
    return this.#decision.release;
  }

  mark(fields: Parameters<Admission["mark"]>[0]): void {
    const { results, degraded, allowed } = this.#decision;
    const { limits, policyField } = this.#bound;
    let state = "";
    let retryMs = 0;
    for (let i = 0; i < limits.length; i++) {
      const result = results[i]!;
      const { policy } = limits[i]!;
      if (result === null || policy.shadow) continue;
      state += `${state === "" ? "" : ", "}${stateMember(policy, result)}`;
      if (result.retryAfterMs > retryMs) retryMs = result.retryAfterMs;
    }
    // Lists: what an origin says of limits of its own stands beside it.
    if (policyField !== "") fields.append("ratelimit-policy", policyField);
    if (state !== "") fields.append("ratelimit", state);
    if (!allowed) fields.set("retry-after", String(retryAfterSeconds(retryMs)));
    if (degraded !== null) fields.set("sluice-degraded", `limits;mode=${degraded}`);
  }
}

function refusalOf(bound: BoundRoute, results: readonly (LimitResult | null)[]): GatewayError {
  const at = results.findIndex((result) => result !== null && !result.allowed);
  const { name } = bound.limits[at]!.policy;
  return results[at]!.reason === "store"
    ? new GatewayError("STORE_UNAVAILABLE", `the limit "${name}" could not be counted, and its onStoreLoss is "closed"`)
    : new GatewayError("RATE_LIMITED", `the limit "${name}" (${results[at]!.reason})`);
}

function bind(limits: readonly RateLimitConfig[], groups: ReadonlyMap<string, string>): BoundRoute | null {
  if (limits.length === 0) return null;
  const group = groups.get(limits[0]!.policy.name)!;
  return {
    limits: limits.map((limit) => ({ ...limit, prefix: storePrefix(limit.policy, group) })),
    group,
    policyField: limits
      .filter(({ policy }) => !policy.shadow)
      .map(({ policy }) => policyMember(policy))
      .join(", "),
  };
}

/**
 * Names that stand together anywhere make one group, called by the first of them in the alphabet: their keys share a tag, so that one
 * script call decides them all. The same on every gateway with the same config.
 */
function groupsOf(sets: readonly (readonly string[])[]): ReadonlyMap<string, string> {
  const groups = new Map<string, Set<string>>();
  for (const names of sets) {
    const union = new Set(names);
    for (const name of names) for (const other of groups.get(name) ?? []) union.add(other);
    for (const name of union) groups.set(name, union);
  }
  return new Map(Array.from(groups, ([name, union]) => [name, [...union].sort()[0]!]));
}
