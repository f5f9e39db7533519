/** Handlers written for web-standard runtimes, as rules. */
import type { RuleRequest } from "./messages.ts";
import { checkRule } from "./rule-check.ts";
import type { Rule, RuleOptions } from "./rule.ts";

/** What a handler gets as its third argument. */
export interface ExecutionContext {
  /** As `ctx.waitUntil`. */
  waitUntil(work: Promise<unknown>): void;
  /** After this call a throw carries on to the upstream instead of failing. */
  passThroughOnException(): void;
  /** For frameworks that look for it; always empty. */
  readonly props: Readonly<Record<string, never>>;
}

/** `export default { fetch }`, a Hono app, and the like. `env` holds config's `vars` and the rule's declared secrets. */
export interface FetchHandler {
  // Method syntax on purpose: frameworks type `env` and the execution context in ways of their own.
  fetch(request: Request, env?: unknown, context?: ExecutionContext): Response | Promise<Response>;
}

/** Tells the gateway to let a handler answer; made by the hook that `fromFetchHandler` gives. */
export interface FetchAnswer {
  readonly kind: "fetch";
  readonly handler: FetchHandler;
}

/** What `fromFetchHandler` gives: an `onRequest` hook, and at the same time a whole rule. */
export type FetchHook = Rule & ((req: RuleRequest, ctx: object) => FetchAnswer);

/**
 * Lets a whole handler answer: as an `onRequest` hook of a rule, or as a rule by itself. The handler gets a web `Request` made from method,
 * URL, headers and body as earlier rules left them, and its `Response` is the answer: status, headers with every `Set-Cookie`, and the body,
 * gathered up to `limits.crossingSize` (1 MiB).
 *
 * The request's body is read only when the handler reads it. A throw or a rejection counts as the rule's (`onFailure`), unless the handler
 * called `passThroughOnException()`: then the request goes on to the upstream.
 *
 * @param options `when`, `order`, `secrets`, `onFailure` of the rule, when it is exported by itself.
 * @throws TypeError when there is no `fetch` method.
 *
 * @example
 * import { defineRule, fromFetchHandler } from "sluice"
 * const app = {
 *   async fetch(request: Request) {
 *     return Response.json({ path: new URL(request.url).pathname, sent: await request.text() })
 *   },
 * }
 * export default defineRule({ when: { path: "/api/*" }, onRequest: fromFetchHandler(app) })
 *
 * @example
 * import { fromFetchHandler } from "sluice"
 * export default fromFetchHandler({ fetch: () => new Response("hello") }, { when: { path: "/hello" } })
 */
export function fromFetchHandler(handler: FetchHandler, options: RuleOptions = {}): FetchHook {
  if (typeof handler?.fetch !== "function") throw new TypeError("fromFetchHandler: an object with a fetch method is expected");
  const answer: FetchAnswer = Object.freeze({ kind: "fetch", handler });
  const onRequest = (): FetchAnswer => answer;
  return Object.freeze(Object.assign(onRequest, checkRule({ ...options, onRequest })));
}
