/** Several caches over one store, as the workers of several gateways are, before an origin that a test holds in its hands. */
import { type Cache, type CacheDecision, type CacheExchange, createCache, routePolicyOf, type RuleRead } from "../../runtime/cache/cache.ts";
import type { RouteCacheConfig } from "../../runtime/config/resolved.ts";
import { ManualClock } from "../../runtime/clock.ts";
import { GatewayError } from "../../runtime/errors.ts";
import { type BodySource, bodyOf } from "../../runtime/proxy/exchange.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import type { GatewayResponse } from "../../runtime/proxy/reply.ts";
import { createMemoryStore, type MemoryStore } from "../../runtime/store/store.ts";

/** What an origin says; a `SlowBody` is sent by the test. */
export interface Said {
  readonly status?: number;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: string | BodySource;
  readonly decision?: CacheDecision;
  readonly reads?: readonly RuleRead[];
  readonly error?: GatewayError;
}

/** One request to the origin, waiting for its answer. */
export interface Fetch {
  readonly target: string;
  readonly fields: Fields;
  answer(said: Said): void;
}

export interface Got {
  readonly status: number;
  readonly fields: Fields;
  readonly text: string;
  readonly from: string;
}

export interface Ask {
  readonly target?: string;
  readonly method?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly reads?: readonly RuleRead[];
  readonly route?: Partial<RouteCacheConfig>;
  readonly scheme?: "http" | "https";
}

export class Gateways {
  readonly clock: ManualClock;
  readonly store: MemoryStore;
  readonly caches: readonly Cache[];
  readonly fetches: Fetch[] = [];
  readonly warnings: Readonly<Record<string, unknown>>[] = [];
  #auto: ((target: string, fields: Fields) => Said) | null = null;

  constructor(count: number, options: { secret?: string; memoryBytes?: number; maxObjectBytes?: number; sharedBytes?: number; members?: number } = {}) {
    this.clock = new ManualClock();
    this.store = createMemoryStore({ clock: this.clock, gateways: () => options.members ?? count });
    this.caches = Array.from({ length: count }, () =>
      createCache({
        config: {
          memoryBytes: options.memoryBytes ?? 1e6,
          maxObjectBytes: options.maxObjectBytes ?? 1e5,
          lockTimeoutMs: 5000,
          shared: { maxObjectBytes: options.sharedBytes ?? 1e5, lifetimeMs: 86_400_000, compress: true },
          secret: options.secret ?? "",
        },
        store: this.store,
        clock: this.clock,
        shares: count > 1,
        random: () => 0,
        warn: (event, facts) => this.warnings.push({ event, ...facts }),
      }),
    );
  }

  /** From now on every fetch is answered at once. */
  answer(by: (target: string, fields: Fields) => Said): this {
    this.#auto = by;
    return this;
  }

  /** Lets everything that can go on go on: promises, and the pauses of those who wait for another worker. */
  async settle(): Promise<void> {
    for (let i = 0; i < 40; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      this.clock.advance(5);
    }
  }

  /** Waits for an answer while pauses pass by themselves. */
  async of<T>(promise: Promise<T>): Promise<T> {
    const state = { over: false };
    const settled = promise.finally(() => (state.over = true));
    settled.catch(() => undefined);
    for (let i = 0; i < 2000 && !state.over; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (!state.over && i > 20) this.clock.advance(5);
    }
    return settled;
  }

  async ask(cache: number, { target = "/", method = "GET", fields = {}, reads = [], route = {}, scheme = "http" }: Ask = {}): Promise<Got> {
    const request = new Fields(Object.entries(fields).flat());
    const fetch = (asked: Fields): Promise<{ response: GatewayResponse; said: Said; requestAtMs: number }> => {
      const requestAtMs = this.clock.unixMs();
      return new Promise((resolve) => {
        const waiting: Fetch = { target, fields: asked, answer: (said) => resolve({ response: responseOf(said), said, requestAtMs }) };
        this.fetches.push(waiting);
        if (this.#auto !== null) waiting.answer(this.#auto(target, asked));
      });
    };
    const policy = routePolicyOf({ ...ROUTE, ...route });
    const exchange: CacheExchange = {
      method,
      scheme,
      authority: "shop.example",
      target,
      fields: request,
      upstream: "shop",
      policy,
      shape: policy.shape,
      partition: "",
      publicAuthority: "shop.example",
      publicTarget: target,
      reads,
      mayDecide: true,
      lead: async (asked) => {
        const { response, said, requestAtMs } = await fetch(asked);
        return {
          response,
          decision: said.decision ?? null,
          reads: [...reads, ...(said.reads ?? [])],
          timing: { requestAtMs, responseAtMs: this.clock.unixMs() },
        };
      },
      hold: () => () => undefined,
      pass: async () => (await fetch(request)).response,
    };
    const { status, fields: answered, body, from } = await this.caches[cache]!.ask(exchange);
    const pieces: Buffer[] = [];
    await new Promise<void>((resolve, reject) =>
      body.read({
        chunk(bytes) {
          pieces.push(Buffer.from(bytes));
          return true;
        },
        end: () => resolve(),
        error: reject,
      }),
    );
    return { status, fields: answered, text: Buffer.concat(pieces).toString(), from };
  }

  close(): void {
    for (const cache of this.caches) cache.close();
  }
}

function responseOf({ status = 200, fields = {}, body = "", error }: Said): GatewayResponse {
  const source = typeof body === "string" ? bodyOf(Buffer.from(body)) : body;
  return {
    status: error?.status ?? status,
    fields: new Fields(Object.entries(fields).flat()),
    body: source,
    declaredLength: source.length,
    from: error === undefined ? "upstream" : "gateway",
    error: error ?? null,
    tunnel: null,
  };
}

/** A route that caches what the origin allows, and nothing else. */
export const ROUTE: RouteCacheConfig = {
  defaultMs: 0,
  heuristicLimitMs: 0,
  statusMs: [],
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  maxMs: 1e9,
  hitForMissMs: 60_000,
  setCookie: "explicit",
  honourClient: true,
  key: { query: null, headers: [], cookies: [] },
};

export const FRESH = { "cache-control": "max-age=60" } as const;
