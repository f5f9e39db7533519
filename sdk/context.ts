/** `ctx`: everything a hook can reach beside the message itself. */
import type { Auth } from "./auth.ts";
import type { RuleCache } from "./cache.ts";
import type { Kv } from "./kv.ts";
import type { Limit } from "./limits.ts";

/**
 * Config's `vars` as rules see them. Give yours types by adding to this interface:
 *
 * @example
 * declare module "sluice" {
 *   interface Vars { readonly theme: string }
 * }
 */
export interface Vars {
  readonly [name: string]: unknown;
}

/** Who is at the other end of the connection. */
export interface Client {
  /** IP address; behind trusted proxies the one that they name. */
  readonly address: string;
  readonly port: number;
  readonly scheme: "http" | "https";
  /** `"1.0"`, `"1.1"`, `"2"`. */
  readonly httpVersion: string;
  /**
   * ISO 3166 code in capitals, as `geo` in config tells it; `""` where it is not known. What is read here keeps an answer out of the cache,
   * `when: { country }` does not.
   */
  readonly country: string;
}

/**
 * Writes to the gateway's log, with rule and request id. Calling it is `info`. Values that are not strings are written as JSON.
 * `console` does the same. Lines are bounded in length and number; what is cut or dropped is counted.
 */
export interface Log {
  (...values: unknown[]): void;
  debug(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
}

/** What of `fetch`'s options applies in a gateway: there is no cache mode, credential mode or referrer. */
export interface FetchInit {
  /** `"GET"` by default. */
  readonly method?: string;
  readonly headers?: Headers | Readonly<Record<string, string>> | Iterable<readonly [name: string, value: string]>;
  readonly body?: string | Uint8Array<ArrayBuffer> | ArrayBuffer | URLSearchParams | FormData | Blob | ReadableStream | null;
  /** `"follow"` (the default; at most 5, each checked against `fetch` in config, credentials dropped across origins), `"manual"` or `"error"`. */
  readonly redirect?: "follow" | "manual" | "error";
  /** `AbortSignal.timeout(1000)` gives up after a second. */
  readonly signal?: AbortSignal | null;
}

/**
 * `fetch` as on the web, to origins that config names: targets in `upstreams`, `fetch.allow`, `fetch.private`. Anything else rejects.
 * At most 16 calls in one exchange (`limits.ruleFetches`), each answer at most 1 MiB (`limits.crossingSize`), all within the rule's wall time.
 * A call is sent once, even when the sandbox is lost while it runs.
 *
 * @throws TypeError (as a rejection) when it is not allowed or no answer could be had; the signal's reason when that aborts.
 *
 * @example
 * import { defineRule, respond } from "sluice"
 * export default defineRule({
 *   async onRequest(req, ctx) {
 *     const flags = await ctx.fetch("https://flags.example.com/v1", { signal: AbortSignal.timeout(200) })
 *     if (!flags.ok) return respond(503, "try again")
 *     req.headers.set("x-flags", await flags.text())
 *   },
 * })
 */
export type Fetch = (input: string | URL | Request, init?: FetchInit) => Promise<Response>;

/** What `ctx.experiment` tells. */
export interface AssignedVariant {
  readonly experiment: string;
  /** Control for whoever is not in the experiment. */
  readonly variant: string;
  readonly isControl: boolean;
  /** Is the visitor part of the experiment, so that it counts? False for bots, forced variants, outside `traffic` and `when`, after a stop, … */
  readonly isCounted: boolean;
}

/** What every phase gives. `Secret` names the secrets that the rule declared. */
export interface Context<State extends object = Record<string, unknown>, Secret extends string = string> {
  /**
   * A rule's own notes about one exchange, shared by its hooks and empty at first: what `onRequest` writes, `onResponse` reads.
   * Outlives the sandbox, so it holds what JSON can carry; variables at a module's top level may vanish at any time.
   */
  state: Partial<State>;
  readonly vars: Vars;
  /** The secrets that the rule declared, and no others. */
  readonly secrets: string extends Secret ? Readonly<Record<string, string | undefined>> : Readonly<Record<Secret, string>>;
  readonly client: Client;
  readonly log: Log;
  /**
   * Adds to a counter of the rule's own, shown as `sluice_rule_custom_NAME_total{rule,…}` in the metrics.
   *
   * @param name Letters, digits and `_`.
   * @param value What to add; 1 by default, never negative.
   * @param labels Few and with few values: the number of series is bounded, and further ones are counted together.
   */
  metric(name: string, value?: number, labels?: Readonly<Record<string, string>>): void;
  readonly fetch: Fetch;
  readonly kv: Kv;
  readonly cache: RuleCache;
  readonly limit: Limit;
  /**
   * Which variant of an experiment of this release the visitor sees. Asking is what counts as exposure, once the answer is delivered; so ask where the
   * variants differ, and for control too. The cache keeps answers apart by exactly the experiments that were asked for before it.
   *
   * @throws TypeError when the release has no such experiment.
   *
   * @example
   * import { defineRule } from "sluice"
   * export default defineRule({
   *   when: { path: "/search" },
   *   onRequest(req, ctx) {
   *     if (ctx.experiment("ranking").variant === "fresh") req.query.set("sort", "new")
   *   },
   * })
   */
  experiment(key: string): AssignedVariant;
  /**
   * Reports a goal that experiments declare with `tracked`: for each of them whose unit was exposed before. `value` is for goals with
   * `tracked: "value"`; it is a finite number.
   */
  track(goal: string, value?: number): void;
  /** Work that may go on when the hook has returned, within the rule's wall time. A rejection is logged and changes nothing. */
  waitUntil(work: Promise<unknown>): void;
  /** Milliseconds since 1970. Stands still within a hook, like `Date.now()`. */
  now(): number;
  /** From 0 up to, not including, 1. The same when the hook has to run again, like `Math.random()`. */
  random(): number;
}

/** `ctx` in `onRequest` and `onOriginRequest`. */
export interface RequestContext<State extends object = Record<string, unknown>, Secret extends string = string> extends Context<State, Secret> {
  readonly auth: Auth;
}

/** `ctx` in `onComplete`: the exchange is over, so `state` is read-only. */
export interface CompletionContext<State extends object = Record<string, unknown>, Secret extends string = string> extends Omit<
  Context<State, Secret>,
  "state"
> {
  readonly state: Readonly<Partial<State>>;
}
