/** Response (Fetch Standard section 5.5). */
import { Body, bodySource, extract, splitBody } from "./body.ts";
import { freeze, Headers, raw } from "./headers.ts";
import { URL } from "./url.ts";

export interface ResponseInit {
  readonly status?: number;
  readonly statusText?: string;
  readonly headers?: unknown;
}

const NULL_BODY = [101, 103, 204, 205, 304];

/** For `ctx.fetch`: what came from outside. Its headers are immutable, as on the web. */
export let receivedResponse: (status: number, fields: readonly string[], bytes: Uint8Array, url: string, redirected: boolean) => Response;

export class Response extends Body {
  #status: number;
  #statusText: string;
  #headers: Headers;
  #type = "default";
  #url = "";
  #redirected = false;

  constructor(body: unknown = null, init: ResponseInit = {}) {
    super();
    const options = init ?? {};
    const status = options.status === undefined ? 200 : Math.trunc(Number(options.status));
    if (!(status >= 200 && status <= 599)) throw new RangeError(`Response: a status from 200 to 599 is expected, found ${String(options.status)}`);
    this.#status = status;
    this.#statusText = statusTextOf(options.statusText);
    this.#headers = new Headers(options.headers);
    if (body === null || body === undefined) return;
    if (NULL_BODY.includes(status)) throw new TypeError(`Response: ${status} takes no body`);
    const { source, type } = extract(body);
    this[bodySource] = source;
    if (type !== "" && !this.#headers.has("content-type")) this.#headers.set("content-type", type);
  }

  static error(): Response {
    const response = new Response();
    response.#status = 0;
    response.#type = "error";
    response.#headers[freeze]();
    return response;
  }
  static json(data: unknown, init: ResponseInit = {}): Response {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError("Response.json: the value has no JSON");
    const headers = new Headers(init?.headers);
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    return new Response(text, { ...init, headers });
  }
  static redirect(url: unknown, status = 302): Response {
    const parsed = URL.parse(String(url));
    if (parsed === null) throw new TypeError(`Response.redirect: ${JSON.stringify(String(url).slice(0, 200))} is no absolute URL`);
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`Response.redirect: ${String(status)} is no redirect`);
    const response = new Response(null, { status, headers: { location: parsed.href } });
    response.#headers[freeze]();
    return response;
  }
  static {
    receivedResponse = (status, fields, bytes, url, redirected) => {
      const response = new Response();
      response.#status = status;
      response.#headers = Headers[raw](fields)[freeze]();
      response.#url = url;
      response.#redirected = redirected;
      response.#type = "basic";
      if (!NULL_BODY.includes(status)) response[bodySource] = { bytes };
      return response;
    };
  }

  get status(): number {
    return this.#status;
  }
  get ok(): boolean {
    return this.#status >= 200 && this.#status <= 299;
  }
  get statusText(): string {
    return this.#statusText;
  }
  get headers(): Headers {
    return this.#headers;
  }
  get type(): string {
    return this.#type;
  }
  get url(): string {
    return this.#url;
  }
  get redirected(): boolean {
    return this.#redirected;
  }
  clone(): Response {
    const source = this[splitBody]();
    const copy = new Response(null, { statusText: this.#statusText, headers: this.#headers });
    copy.#status = this.#status;
    copy.#type = this.#type;
    copy.#url = this.#url;
    copy.#redirected = this.#redirected;
    copy[bodySource] = source;
    return copy;
  }
  get [Symbol.toStringTag](): string {
    return "Response";
  }
}

function statusTextOf(text: unknown): string {
  const reason = text === undefined ? "" : String(text);
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(reason)) throw new TypeError("Response: statusText holds characters that no reason phrase may hold");
  return reason;
}
