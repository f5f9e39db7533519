/** The cache's seat in the life of a request: what it is told of an exchange, and how it asks the origin on behalf of many. */
import { type CacheExchange, type CacheForm, type KeyShape, type OriginAnswer, type RoutePolicy, type RuleRead, withShape } from "../cache/cache.ts";
import type { ConnectionFacts, Exchange } from "./exchange.ts";
import { NO_BODY } from "./exchange.ts";
import { getOf, variantForms } from "./experiments/experiments.ts";
import type { Fields } from "./fields.ts";
import { Life } from "./life.ts";
import type { Matchable } from "./match/match.ts";
import type { GatewayResponse } from "./reply.ts";

const NO_FORMS: readonly CacheForm[] = Object.freeze([]);

type AskOrigin = (life: Life) => Promise<GatewayResponse>;

/** From the cache at once, or in a promise from wherever it comes. */
export function askCache(life: Life, askOrigin: AskOrigin): GatewayResponse | Promise<GatewayResponse> {
  const policy = policyOf(life);
  return policy === null ? askOrigin(life) : life.core.cache!.ask(new CachedLife(life, policy, askOrigin));
}

/** Null: the cache has nothing to say about it. Picks the route, which says what may be cached; a rule may have picked the upstream already. */
function policyOf(life: Life): RoutePolicy | null {
  const { exchange } = life;
  const { matcher, routes, policies } = life.table.routing;
  if (exchange.upgradeProtocol !== "") return null;
  const index = matcher.first(life.matchable());
  if (index < 0) return null;
  if (life.upstream === "") {
    life.route = index;
    life.upstream = routes[index]!.upstream;
  }
  const policy = policies[index]!;
  // What a GET's body asks for is no part of a key.
  return policy !== null && exchange.body.length !== 0 && (exchange.method === "GET" || exchange.method === "HEAD") ? null : policy;
}

class CachedLife implements CacheExchange {
  readonly policy: RoutePolicy;
  readonly shape: KeyShape;
  readonly partition: string;
  readonly #life: Life;
  readonly #askOrigin: AskOrigin;

  constructor(life: Life, policy: RoutePolicy, askOrigin: AskOrigin) {
    this.#life = life;
    this.policy = policy;
    this.partition = life.table.partition;
    const shape = life.plan.byCountry === null ? policy.shape : placedShape(policy.shape, life);
    this.shape = life.saysToCache ? life.cacheWords.shape(shape) : shape;
    this.#askOrigin = askOrigin;
  }

  get otherPartitions(): readonly string[] {
    return this.#life.core.partitions.filter((other) => other !== this.partition);
  }
  get method(): string {
    return this.#life.request.method;
  }
  get scheme(): "http" | "https" {
    return this.#life.request.scheme;
  }
  get authority(): string {
    return this.#life.request.authority;
  }
  get target(): string {
    return this.#life.request.target;
  }
  get fields(): Fields {
    return this.#life.request.fields;
  }
  get upstream(): string {
    return this.#life.upstream;
  }
  get mayDecide(): boolean {
    return this.#life.plan.onOriginResponse !== null;
  }
  get publicAuthority(): string {
    return this.#life.exchange.authority;
  }
  get publicTarget(): string {
    const { experiments, exchange } = this.#life;
    return experiments === null ? exchange.target : experiments.shownTarget;
  }
  get reads(): readonly RuleRead[] {
    const life = this.#life;
    return readsOf(life);
  }

  /** Origin-side variants, what rules make of variants, and what they make for countries: of these only that there are some is known. */
  otherForms(target: string): readonly CacheForm[] | null {
    const life = this.#life;
    const { experiments, table, request } = life;
    if (table.keysByCountry && dependsOnCountry(life, target)) return null;
    if (table.experiments === null) return NO_FORMS;
    const isOwn = target === request.target && experiments !== null;
    const forms = variantForms(life, isOwn ? experiments.targetBefore : target, isOwn ? experiments.upstreamBefore : "");
    if (forms === null) return null;
    const { matcher, routes, policies } = table.routing;
    return forms.flatMap(({ target, upstream, told }): readonly CacheForm[] => {
      const index = matcher.first(getOf(life, target));
      const policy = index < 0 ? null : policies[index]!;
      if (policy === null) return NO_FORMS;
      const shape = life.plan.byCountry === null ? policy.shape : placedShape(policy.shape, life);
      return [{ target, upstream: upstream === "" ? routes[index]!.upstream : upstream, shape: life.cacheWords.shapeFor(shape, told) }];
    });
  }

  pass(): Promise<GatewayResponse> {
    return this.#askOrigin(this.#life);
  }

  /** Its rules stay loaded until the returned function is called. */
  hold(): () => void {
    const { table } = this.#life;
    table.enter();
    return () => table.leave();
  }

  /** In a life of its own: this client may leave, and others wait for the answer. */
  async lead(fields: Fields): Promise<OriginAnswer> {
    const life = this.#life;
    const { clock } = life.core;
    const fetching = new Life(new Unattended(life, fields, clock.now()), life.core, life);
    if (life.saysToCache) fetching.cacheWords.takeOver(life.cacheWords);
    const requestAtMs = clock.unixMs();
    try {
      const response = await this.#askOrigin(fetching);
      life.upstreamTarget = fetching.upstreamTarget;
      life.upstreamMs = fetching.upstreamMs;
      life.rule = fetching.rule;
      life.error ??= fetching.error;
      const decision = fetching.saysToCache ? fetching.cacheWords.decision : null;
      return { response, decision, reads: readsOf(fetching), timing: { requestAtMs, responseAtMs: clock.unixMs() } };
    } finally {
      fetching.finish();
    }
  }
}

/** An exchange with the origin that no client sees the end of. */
class Unattended implements Exchange {
  readonly connection: ConnectionFacts;
  readonly version: Exchange["version"];
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly fields: Fields;
  readonly upgradeProtocol = "";
  readonly body = NO_BODY;
  readonly startedAtMs: number;
  readonly #first: Exchange;
  onClientGone: (() => void) | null = null;
  onComplete: ((sentBodyBytes: number, completed: boolean) => void) | null = null;

  constructor(life: Life, fields: Fields, nowMs: number) {
    this.#first = life.exchange;
    this.connection = life.exchange.connection;
    this.version = life.exchange.version;
    this.method = life.request.method;
    this.target = life.request.target;
    this.authority = life.request.authority;
    this.fields = fields;
    this.startedAtMs = nowMs;
  }
  get out(): Exchange["out"] {
    throw new TypeError("nobody listens to an unattended exchange");
  }
  /** For the client that waits for it; one that has its answer already hears nothing. */
  informational(status: number, fields: Fields): void {
    this.#first.informational(status, fields);
  }
  head(): void {}
  reply(): void {}
  upgrade(): never {
    throw new TypeError("an unattended exchange is no tunnel");
  }
  abort(): void {}
}

/** Do rules look at where a client is that asks for it? */
function dependsOnCountry(life: Life, target: string): boolean {
  const { method, host, path, query, fields } = getOf(life, target);
  let isAsked = false;
  const asked: Matchable = {
    ...{ method, host, path, query, fields },
    get country() {
      isAsked = true;
      return "";
    },
  };
  life.table.match(asked);
  return isAsked;
}

/** Who is in another country may meet other rules, and must not get what these make. */
function placedShape(shape: KeyShape, life: Life): KeyShape {
  const { parts, exact } = life.plan.byCountry!;
  return withShape(shape, { parts: exact ? [...parts, `country=${life.country}`] : parts });
}

/** What rules read, and what had to be looked at to know that they match. */
function readsOf(life: Life): readonly RuleRead[] {
  const { plan } = life;
  if (!life.saysToCache) return plan.matchReads;
  return plan.matchReads.length === 0 ? life.cacheWords.reads : [...plan.matchReads, ...life.cacheWords.reads];
}
