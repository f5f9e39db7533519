/** What a hook may return: an answer of its own, or "carry on". Tagged plain data; the gateway checks it as a stranger's input. */
import type { JsonValue } from "./units.ts";

/** Header names and values in any of the usual shapes: an object, pairs, or anything that iterates over pairs (`Headers`, `Map`). A list as value makes one field each. */
export type HeaderInput = Readonly<Record<string, string | readonly string[]>> | Iterable<readonly [name: string, value: string]>;

/** A body: a string (sent as UTF-8), bytes, or a value that is sent as JSON. `undefined` and `null` mean no body. */
export type BodyInput = string | Uint8Array | ArrayBuffer | JsonValue | object | undefined;

/** A complete response, made by `respond` or `redirect`. Return it from `onRequest` or `onError`. Frozen. */
export interface Answer {
  readonly kind: "respond";
  readonly status: number;
  /** Name (lowercase) and value of each field, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Uint8Array | null;
}

/** "Carry on": the type of `next`. */
export interface Next {
  readonly kind: "next";
}

/**
 * Says in words that a hook has nothing to change: `return next` and returning nothing are the same.
 *
 * @example
 * import { defineRule, next, respond } from "sluice"
 * export default defineRule({
 *   onRequest(req) {
 *     if (req.headers.has("x-token")) return next
 *     return respond(401)
 *   },
 * })
 */
export const next: Next = Object.freeze({ kind: "next" });

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// What may stand on a wire as a field value (RFC 9110 section 5.5). Anything else could end the line.
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Makes an answer. In `onRequest` it ends the request phase: later rules' `onRequest` and the upstream are skipped, `onResponse` still runs.
 * In `onError` it replaces the gateway's error page.
 *
 * @param status 200 – 599. 204 and 304 carry no body: one given is an error.
 * @param body A string (`content-type: text/plain;charset=UTF-8` unless `headers` says otherwise), bytes (no content type is added),
 *   or any other value, sent as JSON (`application/json`). Left out or null: empty. At most 1 MiB (`limits.crossingSize`).
 * @param headers Added to the answer. `content-length` and hop-by-hop fields are the gateway's own business and are dropped.
 * @throws RangeError for a status outside 200 – 599; TypeError for a header that can't stand on a wire, or for a value that JSON can't carry.
 *
 * @example
 * import { defineRule, respond } from "sluice"
 * export default defineRule({
 *   when: { path: "/health" },
 *   onRequest: () => respond(200, { up: true }, { "cache-control": "no-store" }),
 * })
 */
export function respond(status: number, body?: BodyInput, headers?: HeaderInput): Answer {
  if (!Number.isInteger(status) || status < 200 || status > 599) throw new RangeError(`respond: a status from 200 to 599 is expected, found ${String(status)}`);
  const fields = fieldsOf(headers);
  const content = contentOf(body);
  if (content.body !== null && content.body.length > 0 && (status === 204 || status === 304))
    throw new TypeError(`respond: ${status} carries no body (RFC 9110 section 6.4.1)`);
  if (content.type !== "" && !fields.some(([name]) => name === "content-type")) fields.push(Object.freeze(["content-type", content.type] as const));
  return Object.freeze({ kind: "respond", status, headers: Object.freeze(fields), body: content.body });
}

/** The statuses that make a client go elsewhere. 301 and 302 let it change POST to GET, 307 and 308 do not, 303 always does. */
export type RedirectStatus = 301 | 302 | 303 | 307 | 308;

/**
 * Sends the client elsewhere: `respond` with `location`.
 *
 * @param location An absolute URL, or a path on the same host (`/new`). White space, controls and everything outside ASCII is percent-encoded as UTF-8.
 * @param status 302 by default.
 * @throws RangeError for any other status; TypeError for an empty location.
 *
 * @example
 * import { defineRule, redirect } from "sluice"
 * export default defineRule({
 *   when: { path: "/old/*" },
 *   onRequest: (req) => redirect(`/new/${req.params["0"]}`, 308),
 * })
 */
export function redirect(location: string | { readonly href: string }, status: RedirectStatus = 302): Answer {
  if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`redirect: 301, 302, 303, 307 or 308 is expected, found ${String(status)}`);
  const text = typeof location === "string" ? location : location?.href;
  if (typeof text !== "string" || text === "") throw new TypeError("redirect: a URL or path is expected");
  const encoded = text.toWellFormed().replace(/[^\x21-\x7e]+/g, encodeURIComponent);
  return respond(status, undefined, [["location", encoded]]);
}

type Field = readonly [name: string, value: string];

function fieldsOf(headers: HeaderInput | undefined): Field[] {
  const fields: Field[] = [];
  if (headers === undefined || headers === null) return fields;
  const pairs: Iterable<readonly [string, string | readonly string[]]> = Symbol.iterator in headers ? headers : Object.entries(headers);
  for (const [name, value] of pairs) {
    for (const one of Array.isArray(value) ? (value as readonly string[]) : [value as string]) fields.push(field(name, one));
  }
  return fields;
}

function field(name: string, value: string): Field {
  if (!TOKEN.test(name)) throw new TypeError(`respond: ${JSON.stringify(String(name))} is no header name (RFC 9110 section 5.1)`);
  const text = String(value).replace(/^[\t ]+|[\t ]+$/g, "");
  if (!FIELD_VALUE.test(text)) throw new TypeError(`respond: the value of ${name} holds characters that no header may hold`);
  return Object.freeze([name.toLowerCase(), text] as const);
}

function contentOf(body: BodyInput): { body: string | Uint8Array | null; type: string } {
  if (body === undefined || body === null) return { body: null, type: "" };
  if (typeof body === "string") return { body, type: "text/plain;charset=UTF-8" };
  if (body instanceof Uint8Array) return { body, type: "" };
  if (body instanceof ArrayBuffer) return { body: new Uint8Array(body), type: "" };
  if (ArrayBuffer.isView(body)) return { body: new Uint8Array(body.buffer as ArrayBuffer, body.byteOffset, body.byteLength), type: "" };
  const text = JSON.stringify(body);
  if (text === undefined) throw new TypeError(`respond: a body of type ${typeof body} has no JSON`);
  return { body: text, type: "application/json" };
}
