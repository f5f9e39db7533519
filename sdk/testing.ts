/**
 * `import { … } from "sluice/testing"`: rule tests. They run the rules in the same sandbox, with the same limits, behind the same
 * proxy core as in production; only the upstreams are played by functions of the test. Types only: `runtime/testing` gives them life.
 */

import type { RouteCacheOptions } from "./config.ts";

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

/** What a played upstream answers. A string is a 200 with that body; an object as `body` is sent as JSON. */
export type UpstreamAnswer =
  | string
  | {
      /** 200 by default. */
      readonly status?: number;
      /** A value that is undefined is left out. */
      readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
      readonly body?: string | Uint8Array | object;
    };

/** Plays an upstream. One that throws is away: it breaks off (502), a `fetch` fake gives no answer; what it threw is printed. */
export type PlayedUpstream = (request: UpstreamRequest) => UpstreamAnswer | Promise<UpstreamAnswer>;

export interface GatewayOptions {
  /** Rule files or folders of rules, from the test file's folder. */
  readonly rules: string | readonly string[];
  /** Name → who plays it. One upstream `origin` that answers 200 "ok" by default. Requests go to the first; rules may pick another. */
  readonly upstreams?: Readonly<Record<string, PlayedUpstream>>;
  /** Origin (`https://auth.example.com`) → who plays it for `ctx.fetch`, key sets and forward auth. Anything else is refused: tests need no network. */
  readonly fetch?: Readonly<Record<string, PlayedUpstream>>;
  /** `ctx.vars`. */
  readonly vars?: Readonly<Record<string, unknown>>;
  /** `ctx.secrets`. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** As `cache` of a route in config; `{}` takes its defaults. Left out: nothing is cached. Each gateway of a test has a cache of its own. */
  readonly cache?: RouteCacheOptions;
  /** As `limits` in config: `{ ruleCpu: "10ms" }`. */
  readonly limits?: Readonly<Record<string, string | number>>;
}

export interface RequestOptions {
  /** `"GET"` by default. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** An object is sent as JSON. */
  readonly body?: string | Uint8Array | object;
  /** The client's address as rules see it. `"127.0.0.1"` by default. */
  readonly client?: string;
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

/** What a rule's hook did in one exchange. */
export interface HookRecord {
  readonly rule: string;
  readonly phase: string;
  readonly outcome: "next" | "answer" | "failed-closed" | "failed-open";
  /** What went wrong, with a stack in TypeScript lines; null when nothing did. */
  readonly failure: string | null;
  readonly cpuMs: number;
}

export interface Result {
  readonly status: number;
  readonly headers: TestHeaders;
  readonly bytes: Uint8Array;
  /** The body as UTF-8. */
  text(): string;
  json<T = unknown>(): T;
  /** What upstreams were asked during this request, in order. */
  readonly upstreamRequests: readonly UpstreamRequest[];
  /** What `fetch` fakes were asked. */
  readonly fetches: readonly UpstreamRequest[];
  readonly logs: readonly LogLine[];
  readonly hooks: readonly HookRecord[];
  /** CPU of all rules in this request. */
  readonly cpuMs: number;
}

export interface Gateway {
  /** One request through the gateway. A path, or an absolute URL whose host and scheme the rules then see. Redirects are not followed. */
  request(target: string, options?: RequestOptions): Promise<Result>;
  /** Ends its processes. Done by itself when the test file ends. */
  close(): Promise<void>;
}

/**
 * Compiles the rules and starts a gateway for them.
 *
 * @throws Error with file, line, column and code frame when a rule does not compile.
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
  /** null or undefined. */
  toBeAbsent(): void;
  /** The opposite. */
  readonly not: Expectation;
}
export declare function expect(found: unknown): Expectation;
