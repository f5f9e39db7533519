/**
 * `import { … } from "sluice/testing"`: rule tests. They run the rules in the same sandbox, with the same limits, behind the same
 * proxy core as in production; only the upstreams are played by functions of the test. Types only: `runtime/testing` gives them life.
 */

import type { RouteCacheOptions, RouteOptions, UpstreamTimeouts } from "./config.ts";
import type { Duration } from "./units.ts";

/** What a played upstream sees. */
export interface UpstreamRequest {
  readonly method: string;
  /** Path and query, as the upstream got them. */
  readonly target: string;
  /** Names are matched in any case. */
  readonly headers: TestHeaders;
  /** As UTF-8. */
  readonly body: string;
  /** Name of the upstream that was asked; for `fetch` fakes the origin. */
  readonly upstream: string;
}

/**
 * What a played upstream answers. A string is a 200 with that body; an object as `body` is sent as JSON.
 * `fails`: it gives no answer. `"refused"`: nobody listens (given in place of a function; from a function it is `"reset"`); `"reset"`: it closes
 * the connection; `"silence"`: it says nothing for as long as the gateway waits (`timeouts`, or `clock.advance`).
 */
export type UpstreamAnswer =
  | string
  | {
      /** 200 by default. */
      readonly status?: number;
      /** A value that is undefined is left out. */
      readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
      readonly body?: string | Uint8Array | object;
    }
  | { readonly fails: "refused" | "reset" | "silence" };

/** Plays an upstream. One that throws is away: it breaks off (502), a `fetch` fake gives no answer; what it threw is printed. */
export type PlayedUpstream = (request: UpstreamRequest) => UpstreamAnswer | Promise<UpstreamAnswer>;

export interface GatewayOptions {
  /** Rule files or folders of rules, from the test file's folder. Experiments are such files too. */
  readonly rules: string | readonly string[];
  /**
   * Name → who plays it: a function, or what it always answers. One upstream `origin` that answers 200 "ok" by default. Requests go to the
   * first; rules and `routes` may pick another.
   */
  readonly upstreams?: Readonly<Record<string, PlayedUpstream | UpstreamAnswer>>;
  /** As `routes` in config. By default everything goes to the first upstream. */
  readonly routes?: readonly RouteOptions[];
  /** Of the upstreams, as `timeouts` in config. */
  readonly timeouts?: UpstreamTimeouts;
  /**
   * Origin (`https://auth.example.com`) → who plays it for `ctx.fetch`, key sets and forward auth: a function, or what it always answers.
   * Anything else is refused: tests need no network.
   */
  readonly fetch?: Readonly<Record<string, PlayedUpstream | UpstreamAnswer>>;
  /** `ctx.vars`. */
  readonly vars?: Readonly<Record<string, unknown>>;
  /** `ctx.secrets`. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** As `cache` of a route in config; `{}` takes its defaults. Left out: nothing is cached. Each gateway of a test has a cache of its own. */
  readonly cache?: RouteCacheOptions;
  /** As `limits` in config: `{ ruleCpu: "10ms" }`. */
  readonly limits?: Readonly<Record<string, string | number>>;
  /**
   * The time at which the gateway's clock stands still: an ISO date, a `Date`, or Unix milliseconds. `ctx.now()`, `Date`, and the lifetimes of
   * cache, kv and limits go by it; `clock.advance` moves it. Left out: the clock is the machine's, and can be moved all the same.
   */
  readonly now?: string | number | Date;
  /**
   * What `ctx.random()` and `Math.random()` give: a number from 0 up to, not including, 1, always; or a list of them, which each hook draws in
   * turn (its last one again when they are used up); or `{ seed }`: made up, and the same in every run of the test. With any of them
   * `crypto` is the same in every run too. Left out: really random.
   */
  readonly random?: number | readonly number[] | { readonly seed: number };
  /** Experiment → variant, for all requests: nothing is assigned. As with a QA link, nothing is counted. */
  readonly variants?: Readonly<Record<string, string>>;
}

export interface RequestOptions {
  /** `"GET"` by default. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** An object is sent as JSON. */
  readonly body?: string | Uint8Array | object;
  /** The client's address as rules see it. `"127.0.0.1"` by default. */
  readonly client?: string;
  /** The country that the client is in, an ISO 3166 code in capitals: for `country` in `when`, and `ctx.client.country`. Not known by default. */
  readonly country?: string;
  /** Experiment → variant, on top of the gateway's. */
  readonly variants?: Readonly<Record<string, string>>;
  /** Tell each change that rules made, as `effects`. Costs rules some CPU, and no outcome is taken from memory. False by default. */
  readonly trace?: boolean;
}

export interface TestHeaders {
  /** All values joined by ", ", or null. */
  get(name: string): string | null;
  has(name: string): boolean;
  getSetCookie(): string[];
  /** Names in lowercase. */
  entries(): [name: string, value: string][];
}

/** A line that rules wrote with `ctx.log` or `console`. */
export interface LogLine {
  readonly rule: string;
  readonly level: string;
  readonly text: string;
}

/** A count that a rule made with `ctx.metric`. */
export interface MetricRecord {
  readonly rule: string;
  readonly name: string;
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** What a rule's hook did in one exchange. */
export interface HookRecord {
  readonly rule: string;
  readonly phase: string;
  readonly outcome: "next" | "answer" | "failed-closed" | "failed-open";
  /** What went wrong, with a stack in TypeScript lines; null when nothing did. */
  readonly failure: string | null;
  readonly cpuMs: number;
  /** The gateway knew the outcome from an earlier request: the hook did not run. */
  readonly recalled: boolean;
}

/** One change that a rule made. Values that are no text (a body) are told by their length. */
export interface EffectRecord {
  readonly rule: string;
  readonly phase: string;
  /** `"header x-user"`, `"target"`, `"upstream"`, … */
  readonly what: string;
  readonly before: string | null;
  readonly after: string | null;
  /** `file:line:column` of the call that made it. */
  readonly place: string;
}

/** One call of a rule to a service of the gateway (`ctx.kv`, `ctx.limit`, `ctx.fetch`, `ctx.auth`, …). */
export interface CallRecord {
  /** `"kv"`, `"limit"`, `"fetch"`, `"jwt"`, … */
  readonly service: string;
  readonly asked: unknown;
  /** What it was answered; an error's text when it was refused. */
  readonly answered: unknown;
}

export interface Result {
  readonly status: number;
  readonly headers: TestHeaders;
  readonly bytes: Uint8Array;
  /** The body as UTF-8. */
  text(): string;
  json<T = unknown>(): T;
  /** Who answered. */
  readonly from: "upstream" | "cache" | "rule" | "gateway";
  /** Name of the upstream that answered; "" when none did. */
  readonly upstream: string;
  /** The rule that answered or failed; "" for neither. */
  readonly rule: string;
  /** Code of the gateway's error ("UPSTREAM_TIMEOUT", "RULE_CPU", …); "" when there was none. */
  readonly code: string;
  /** Experiment → variant, of the experiments that acted on this request. */
  readonly variants: Readonly<Record<string, string>>;
  /** What upstreams were asked during this request, in order. */
  readonly upstreamRequests: readonly UpstreamRequest[];
  /** What `fetch` fakes were asked. */
  readonly fetches: readonly UpstreamRequest[];
  readonly logs: readonly LogLine[];
  readonly metrics: readonly MetricRecord[];
  readonly hooks: readonly HookRecord[];
  readonly calls: readonly CallRecord[];
  /** With `trace: true`, else empty. */
  readonly effects: readonly EffectRecord[];
  /** CPU of all rules in this request. One figure is rough (it comes from a clock of milliseconds); `gateway.cost` is exact. */
  readonly cpuMs: number;
}

/** Mean CPU of one request, in milliseconds. */
export interface Cost {
  /** Of all rules. */
  readonly cpuMs: number;
  readonly hooks: readonly { readonly rule: string; readonly phase: string; readonly cpuMs: number }[];
}

/** Milliseconds, or `"90s"`, `"5m"`, `"12h"`, `"1d"`. */
export type TimeSpan = number | Duration;

/** The gateway's clock. */
export interface TestClock {
  /** Unix milliseconds. */
  now(): number;
  /** From here on the clock stands still at this time. */
  set(time: string | number | Date): void;
  /** Moves it on; timers that are due ring (`setTimeout` of rules, time-outs of upstreams). */
  advance(by: TimeSpan): void;
}

/** What a limit would say now. */
export interface LimitState {
  readonly allowed: boolean;
  /** Units that are left. */
  readonly remaining: number;
  /** Until all units are there again. */
  readonly resetMs: number;
  /** Of a key that is blocked by `penalty`; else 0. */
  readonly retryAfterMs: number;
}

/** An answer in the cache. */
export interface CachedEntry {
  readonly status: number;
  readonly headers: TestHeaders;
  /** As UTF-8. */
  readonly body: string;
  readonly tags: readonly string[];
  /** Lifetime that is left; 0 and less: it is stale. */
  readonly freshMs: number;
  /** Names of the request headers that its answers vary by. */
  readonly vary: readonly string[];
}

/** What the rules keep in this gateway. Each gateway of a test has a store of its own. */
export interface TestStore {
  readonly kv: {
    /** As `ctx.kv.get`: null when there is none (any more). */
    get<Value = unknown>(key: string): Promise<Value | null>;
    /** As `ctx.kv.set`: what rules are to find. */
    set(key: string, value: unknown, options?: { readonly ttl?: Duration }): Promise<void>;
    delete(key: string): Promise<boolean>;
  };
  /** State of a limit that a rule has charged in this gateway, for one of its keys; nothing is charged. Null: no rule has asked for that name yet. */
  limit(name: string, key: string): Promise<LimitState | null>;
  /** The answers that are kept for a path, or URL, as clients ask for it: several when they vary, none when nothing is. */
  cached(target: string): readonly CachedEntry[];
  /** As `sluice purge`: exactly one of `url`, `prefix`, `tag` and `all`. */
  purge(what: { readonly url?: string; readonly prefix?: string; readonly tag?: string; readonly all?: true; readonly soft?: boolean }): Promise<void>;
}

export interface Gateway {
  /** One request through the gateway. A path, or an absolute URL whose host and scheme the rules then see. Redirects are not followed. */
  request(target: string, options?: RequestOptions): Promise<Result>;
  /** CPU of `times` such requests (100 by default), each decided anew: no outcome is taken from memory. */
  cost(target: string, options?: RequestOptions & { readonly times?: number }): Promise<Cost>;
  readonly clock: TestClock;
  readonly store: TestStore;
  /** Ends it. Done by itself when the test file ends. */
  close(): Promise<void>;
}

/**
 * Compiles the rules and starts a gateway for them.
 *
 * What needs no saying: the rules run in the sandbox of production, with its limits; each gateway has a store and a cache of its own; it ends with
 * its test file. `sluice test` runs all files, `sluice test --coverage` tells which lines of the rules ran, `--coverage-threshold 80%` fails below.
 * A rule's code that runs for coverage has counters in it: it is slower, its outcomes are not recalled from earlier requests, and each hook spends a
 * line of the 200 that it may log.
 *
 * @throws Error with file, line, column and code frame when a rule does not compile.
 *
 * @example
 * // Time, what is stored, and chance.
 * import { expect, gateway, test } from "sluice/testing"
 *
 * const gw = await gateway({ rules: "./signup.ts", now: "2026-03-01T12:00:00Z", random: [0.1, 0.9] })
 *
 * test("an address may sign up twenty times an hour", async () => {
 *   await gw.store.kv.set("signups:192.0.2.1", 20, { ttl: "1h" })
 *   expect((await gw.request("/signup", { client: "192.0.2.1" })).status).toBe(429)
 *   gw.clock.advance("1h")
 *   expect(await gw.store.kv.get("signups:192.0.2.1")).toBeAbsent()
 *   expect((await gw.request("/signup", { client: "192.0.2.1" })).status).toBe(200)
 * })
 *
 * @example
 * // Origins that fail, services, what it costs, and why.
 * import { expect, gateway, test } from "sluice/testing"
 *
 * const gw = await gateway({
 *   rules: "./login.ts",
 *   upstreams: { shop: ({ target }) => (target === "/gone" ? { fails: "reset" } : { body: "welcome" }) },
 *   fetch: { "https://auth.example.com": ({ body }) => ({ status: body === "right" ? 200 : 401 }) },
 * })
 *
 * test("whoever is known comes in", async () => {
 *   const res = await gw.request("/account", { method: "POST", body: "right", trace: true })
 *   expect(res.from).toBe("upstream")
 *   expect(res.fetches.length).toBe(1)
 *   expect(res.effects.map(({ what }) => what)).toContain("header x-user")
 * })
 *
 * test("a shop that is away is told of, once", async () => {
 *   const res = await gw.request("/gone")
 *   expect(res.code).toBe("UPSTREAM_RESET")
 *   expect(res.metrics).toEqual([{ rule: "login.ts", name: "shop_away", value: 1, labels: {} }])
 * })
 *
 * test("it costs less than a millisecond", async () => {
 *   expect((await gw.cost("/account")).cpuMs).toBeLessThan(1)
 * })
 *
 * @example
 * // A page with a variant that the test chooses.
 * import { expect, gateway, test } from "sluice/testing"
 *
 * const gw = await gateway({ rules: "./hero-copy.ts", upstreams: { site: { headers: { "content-type": "text/html" }, body: "<h1>Welcome</h1>" } } })
 *
 * test("bold says it plainly", async () => {
 *   const res = await gw.request("/", { variants: { "hero-copy": "bold" } })
 *   expect(res.variants).toEqual({ "hero-copy": "bold" })
 *   expect(res.text()).toBe("<h1>Buy it now</h1>")
 * })
 *
 * @example
 * import { expect, gateway, test } from "sluice/testing"
 *
 * const gw = await gateway({ rules: "./hello.ts", upstreams: { site: () => "hi" } })
 *
 * test("passes to the site", async () => {
 *   const res = await gw.request("/")
 *   expect(res.text()).toBe("hi")
 * })
 */
export declare function gateway(options: GatewayOptions): Promise<Gateway>;

/** Declares a test; as `test` of `node:test`. */
export declare function test(name: string, run: () => void | Promise<void>): void;
/** Groups tests; as `describe` of `node:test`. */
export declare function describe(name: string, run: () => void): void;

/** A value to be judged. Each method throws an error that shows what was found and what was expected. */
export interface Expectation {
  /** The same value (`Object.is`). */
  toBe(expected: unknown): void;
  /** Deeply equal. */
  toEqual(expected: unknown): void;
  /** A string that matches or contains; an array that contains. */
  toMatch(expected: RegExp | string): void;
  toContain(expected: unknown): void;
  toBeLessThan(expected: number): void;
  toBeGreaterThan(expected: number): void;
  /** Not further away than `within`. */
  toBeCloseTo(expected: number, within: number): void;
  /** Deeply equal in all that `expected` has; what else is there does not matter. */
  toMatchObject(expected: object): void;
  /** null or undefined. */
  toBeAbsent(): void;
  /** The opposite. */
  readonly not: Expectation;
}
export declare function expect(found: unknown): Expectation;
