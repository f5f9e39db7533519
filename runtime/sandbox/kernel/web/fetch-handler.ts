/** Runs a handler made for web-standard runtimes (`fromFetchHandler`): a web Request in, its Response as the rule's answer. */
import { next, respond, type Answer, type Next } from "../../../../sdk/answers.ts";
import type { ExecutionContext, FetchHandler } from "../../../../sdk/fetch-handler.ts";
import { takeBytes } from "./body.ts";
import { Headers, raw } from "./headers.ts";
import { requestWithLazyBody } from "./request.ts";
import { Response } from "./response.ts";

/** Of `req` in `onRequest`. */
export interface HandlerRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Iterable<readonly [name: string, value: string]>;
  bytes(): Promise<Uint8Array>;
}

/** Of `ctx` in `onRequest`. */
export interface HandlerContext {
  readonly vars: object;
  readonly secrets: object;
  waitUntil(work: Promise<unknown>): void;
}

/** What the gateway writes itself, from the body that it really sends (RFC 9110 section 7.6.1, RFC 9112 section 6). */
const OWN_FIELDS = ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/** `next` when the handler threw after `passThroughOnException()`; rejects with what it threw otherwise. */
export async function runFetchHandler(handler: FetchHandler, req: HandlerRequest, ctx: HandlerContext, limitBytes: number): Promise<Answer | Next> {
  let passThrough = false;
  const context: ExecutionContext = {
    waitUntil: (work) => ctx.waitUntil(work),
    passThroughOnException: () => {
      passThrough = true;
    },
    props: {},
  };
  try {
    const request = requestWithLazyBody(req.url, req.method, new Headers(req.headers), () => req.bytes());
    // Typed as this context's own classes inside, as the web's outside.
    const response: unknown = await handler.fetch(request as unknown as globalThis.Request, { ...ctx.vars, ...ctx.secrets }, context);
    return await answerOf(response, limitBytes);
  } catch (thrown) {
    if (passThrough) return next;
    throw thrown;
  }
}

async function answerOf(response: unknown, limitBytes: number): Promise<Answer> {
  if (!(response instanceof Response)) throw new TypeError("fromFetchHandler: the handler's fetch gave no Response");
  const bytes = await response[takeBytes](limitBytes);
  const list = response.headers[raw];
  const fields: [string, string][] = [];
  for (let at = 0; at < list.length; at += 2) if (!OWN_FIELDS.includes(list[at]!)) fields.push([list[at]!, list[at + 1]!]);
  return respond(response.status, bytes.length === 0 ? undefined : bytes, fields);
}
