/** A rule: which requests it is for, and what it does in each phase of their life. */
import type { Answer, Next } from "./answers.ts";
import type { CompletionContext, Context, RequestContext } from "./context.ts";
import type { FetchAnswer } from "./fetch-handler.ts";
import type { MatchSpec } from "./match.ts";
import type { Completion, ExchangeError, FailedRequest, OriginRequest, OriginResponse, RequestFacts, RuleRequest, RuleResponse } from "./messages.ts";
import { checkRule } from "./rule-check.ts";

/** What a hook that can't answer may return. */
export type Nothing = Next | void | undefined;
/** What a hook that may answer may return. */
export type MayAnswer = Answer | FetchAnswer | Nothing;

/**
 * The hooks of a rule. All are optional, each may be `async`, and each gets only what is legal in its phase.
 *
 * Order: rules run by `order`, then by file name, and each sees the changes of those before it; `onResponse` runs in reverse.
 * Failure: a throw, a rejection, a time-out or a lost sandbox leaves none of the failing hook's changes; `onFailure` then decides.
 * Limits: 50 ms of CPU in one phase (`limits.ruleCpu`), 5 s of wall time over one exchange (`limits.ruleWall`).
 */
export interface Hooks<State extends object = Record<string, unknown>, Secret extends string = string> {
  /**
   * Runs once, when the request's head has arrived, before the cache is asked. May read and change method, path, query and headers, pick the
   * upstream, read the body, and answer. An answer skips later rules' `onRequest` and the upstream.
   *
   * @example
   * import { defineRule, redirect } from "sluice"
   * export default defineRule({
   *   when: { path: "/sale" },
   *   onRequest(req, ctx) {
   *     if (ctx.client.country === "DE") return redirect("/angebote")
   *     req.headers.set("x-campaign", "sale")
   *   },
   * })
   */
  onRequest?(req: RuleRequest, ctx: RequestContext<State, Secret>): MayAnswer | Promise<MayAnswer>;
  /**
   * Runs on a cache miss, before the upstream is called; without a cache, always. May change what the origin sees and pick a target. It can't answer.
   *
   * @example
   * import { defineRule } from "sluice"
   * export default defineRule({
   *   onOriginRequest(req) { req.headers.delete("cookie") },
   * })
   */
  onOriginRequest?(req: OriginRequest, ctx: RequestContext<State, Secret>): Nothing | Promise<Nothing>;
  /**
   * Runs when the upstream's response head has arrived, before the cache stores it. May change headers and body; the status stays.
   *
   * @example
   * import { defineRule } from "sluice"
   * export default defineRule({
   *   onOriginResponse(res) { res.headers.delete("x-internal-trace") },
   * })
   */
  onOriginResponse?(res: OriginResponse, req: RequestFacts, ctx: Context<State, Secret>): Nothing | Promise<Nothing>;
  /**
   * Runs before every delivery to a client, in reverse order, for all rules that matched: answers of rules and errors of the gateway too (`res.from`).
   * May change status, headers and body.
   *
   * @example
   * import { defineRule } from "sluice"
   * export default defineRule({
   *   onResponse(res) { res.headers.set("x-frame-options", "DENY") },
   * })
   */
  onResponse?(res: RuleResponse, req: RequestFacts, ctx: Context<State, Secret>): Nothing | Promise<Nothing>;
  /**
   * Runs when no response could be had. May answer instead of the gateway's error page, or ask for another upstream by assigning `req.upstream`.
   *
   * @example
   * import { defineRule, respond } from "sluice"
   * export default defineRule({
   *   onError(error, req) {
   *     if (error.code === "UPSTREAM_TIMEOUT") return respond(503, "busy", { "retry-after": "5" })
   *     req.upstream = "fallback"
   *   },
   * })
   */
  onError?(error: ExchangeError, req: FailedRequest, ctx: Context<State, Secret>): MayAnswer | Promise<MayAnswer>;
  /**
   * Runs after the last byte, whatever the outcome. Logs and counts; there is nothing left to change, and a failure is only logged.
   *
   * @example
   * import { defineRule } from "sluice"
   * export default defineRule({
   *   onComplete(done, req, ctx) {
   *     if (done.durationMs > 1000) ctx.metric("slow", 1, { method: req.method })
   *   },
   * })
   */
  onComplete?(done: Completion, req: RequestFacts, ctx: CompletionContext<State, Secret>): void | Promise<void>;
}

/** Everything about a rule beside its hooks. */
export interface RuleOptions<Secret extends string = string> {
  /** The requests it is for. Left out: all. */
  readonly when?: MatchSpec | readonly MatchSpec[];
  /** Lower runs first; ties go by file name. 0 by default; any finite number. */
  readonly order?: number;
  /** Names from config's `secrets`: the only ones this rule can see. None by default. A rule with secrets gets a context of its own, apart from other rules. */
  readonly secrets?: readonly Secret[];
  /** After a throw, a time-out or a lost sandbox: `"closed"` (the default) answers 503, `"open"` carries on without this rule. */
  readonly onFailure?: "closed" | "open";
}

/** What `defineRule` takes. */
export type RuleInit<State extends object = Record<string, unknown>, Secret extends string = string> = RuleOptions<Secret> & Hooks<State, Secret>;

/** A rule: the default export of a module in the rules folder. Frozen. */
export interface Rule {
  readonly kind: "rule";
  /** As written, always as a list; an empty one matches everything. */
  readonly when: readonly MatchSpec[];
  readonly order: number;
  readonly secrets: readonly string[];
  readonly onFailure: "closed" | "open";
  /** The hooks that the rule has. Their parameter types were checked by `defineRule`. */
  readonly hooks: Readonly<Partial<Record<keyof Hooks, (...args: never[]) => unknown>>>;
}

/**
 * Makes a rule: the default export of a module below the rules folder.
 *
 * `State` types `ctx.state`; `Secret` is found from `secrets` by itself, and must be written out beside an explicit `State`
 * (`defineRule<State, "jwtKey">`), because TypeScript infers all type arguments or none.
 *
 * @throws TypeError when something in it is not what its type says: an unknown hook, a `when` that is no plain data.
 *
 * @example
 * import { defineRule, respond } from "sluice"
 * interface Notes { startedAt: number }
 * export default defineRule<Notes>({
 *   when: { host: "shop.example.com", path: "/api/*", method: ["GET", "POST"] },
 *   order: 10,
 *   onFailure: "open",
 *   onRequest(req, ctx) {
 *     ctx.state.startedAt = ctx.now()
 *     if (!req.headers.has("x-api-version")) return respond(400, { error: "x-api-version is missing" })
 *   },
 *   onResponse(res, req, ctx) {
 *     if (ctx.state.startedAt !== undefined) res.headers.set("x-took", `${ctx.now() - ctx.state.startedAt}`)
 *   },
 * })
 */
export function defineRule<State extends object = Record<string, unknown>, Secret extends string = string>(rule: RuleInit<State, Secret>): Rule {
  return checkRule(rule as Readonly<Record<string, unknown>>);
}
