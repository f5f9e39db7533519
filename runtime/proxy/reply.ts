/** Responses on their way to the client: what the handler passes along, the gateway's own answers, and delivery. */
import type { Duplex } from "node:stream";
import { type ErrorCode, ERRORS, type GatewayError } from "../errors.ts";
import type { RuleAnswer } from "../sandbox/sandbox.ts";
import { type BodySink, type BodySource, bodyOf, type Exchange, NO_BODY, type UpstreamResponse } from "./exchange.ts";
import { Fields } from "./fields.ts";

export type ResponseFrom = "upstream" | "cache" | "rule" | "gateway";

/** A response inside the gateway. Rules change `status`, `fields` and `body` in place. */
export interface GatewayResponse {
  status: number;
  fields: Fields;
  body: BodySource;
  /** What Content-Length says for HEAD and 304; else follows the body. */
  declaredLength: number;
  from: ResponseFrom;
  /** Set for the gateway's own error answers. */
  error: GatewayError | null;
  readonly tunnel: Duplex | null;
}

export function fromUpstream(response: UpstreamResponse, keepHeaders: ReadonlySet<string>): GatewayResponse {
  const { fields } = response;
  // An origin's software and version are nobody's business (PRODUCT: strips Server and X-Powered-By unless told otherwise).
  if (!keepHeaders.has("server")) fields.delete("server");
  if (!keepHeaders.has("x-powered-by")) fields.delete("x-powered-by");
  return {
    status: response.status,
    fields,
    body: response.body,
    declaredLength: response.declaredLength,
    from: "upstream",
    error: null,
    tunnel: response.tunnel,
  };
}

export function fromRule(answer: RuleAnswer): GatewayResponse {
  return {
    status: answer.status,
    fields: answer.fields,
    body: answer.body.length === 0 ? NO_BODY : bodyOf(answer.body),
    declaredLength: answer.body.length,
    from: "rule",
    error: null,
    tunnel: null,
  };
}

/** The gateway's own answer to an error. `accept` chooses HTML, JSON or text; the detail stays in the log. */
export function fromError(error: GatewayError, requestId: string, accept: string | undefined): GatewayResponse {
  const status = ERRORS[error.code].status || 499;
  const { type, text } = errorBody(error.code, status, requestId, accept ?? "");
  const body = Buffer.from(text);
  const fields = new Fields(["content-type", type, "cache-control", "no-store", "sluice-error", error.code]);
  if (ERRORS[error.code].retryable && status === 503) fields.append("retry-after", "1");
  return { status, fields, body: bodyOf(body), declaredLength: body.length, from: "gateway", error, tunnel: null };
}

function errorBody(code: ErrorCode, status: number, requestId: string, accept: string): { type: string; text: string } {
  const title = TITLES[status] ?? "Error";
  if (accept.includes("text/html")) return { type: "text/html; charset=utf-8", text: page(status, title, code, requestId) };
  if (accept.includes("application/json")) return { type: "application/json", text: `${JSON.stringify({ error: { status, code, requestId } })}\n` };
  return { type: "text/plain; charset=utf-8", text: `${status} ${title}\ncode: ${code}\nrequest id: ${requestId}\n` };
}

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad request",
  404: "Not found",
  408: "Request timed out",
  413: "Body too large",
  429: "Too many requests",
  500: "Internal error",
  501: "Not implemented",
  502: "Bad gateway",
  503: "Service unavailable",
  504: "Gateway timed out",
};

/** Request ids are tokens of the gateway's own or checked against a safe alphabet, codes come from the table: nothing here needs escaping. */
function page(status: number, title: string, code: string, requestId: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${status} ${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;color:#1d2733;background:#f4f6f8;display:grid;place-items:center;min-height:100vh;margin:0}main{background:#fff;padding:2.5rem 3rem;border-radius:12px;box-shadow:0 1px 3px #0002;max-width:32rem}h1{margin:0 0 .5rem;font-size:1.6rem}p{margin:.4rem 0;color:#51606f}code{background:#eef1f4;padding:.1em .4em;border-radius:4px}@media(prefers-color-scheme:dark){body{background:#11161c;color:#e6ebf0}main{background:#1a2129}p{color:#9fb0c0}code{background:#11161c}}</style>
<main><h1>${status} ${title}</h1><p>The request could not be answered. If it keeps happening, tell the site's operator:</p><p><code>${code}</code></p><p>Request id <code>${requestId}</code></p></main></html>
`;
}

/**
 * Hands the response to the front. The body flows as the client takes it; a body that breaks off is told to `onError`
 * before the front breaks the response off.
 */
export function deliver(exchange: Exchange, response: GatewayResponse, onError: (error: GatewayError) => void): void {
  const { body, status } = response;
  // No body at hand and yet a length: HEAD and 304 pass on what a GET would have had. (Not so when a rule made GET of HEAD, or 200 of 304.)
  const tellsOfGet = body.length === 0 && (status === 304 || exchange.method === "HEAD");
  exchange.head(status, response.fields, tellsOfGet ? response.declaredLength : body.length);
  body.read(new Delivery(exchange, body, onError));
}

class Delivery implements BodySink {
  readonly #out: Exchange["out"];
  readonly #body: BodySource;
  readonly #onError: (error: GatewayError) => void;

  constructor(exchange: Exchange, body: BodySource, onError: (error: GatewayError) => void) {
    this.#out = exchange.out;
    this.#body = body;
    this.#onError = onError;
  }
  chunk(bytes: Buffer): boolean {
    if (this.#out.chunk(bytes)) return true;
    this.#out.onDrain ??= () => this.#body.resume();
    return false;
  }
  chunkText(latin1: string): boolean {
    const out = this.#out;
    if (out.chunkText === undefined ? out.chunk(Buffer.from(latin1, "latin1")) : out.chunkText(latin1)) return true;
    out.onDrain ??= () => this.#body.resume();
    return false;
  }
  end(trailers: Fields | null): void {
    this.#out.end(trailers);
  }
  error(error: GatewayError): void {
    this.#onError(error);
    this.#out.error(error);
  }
}
