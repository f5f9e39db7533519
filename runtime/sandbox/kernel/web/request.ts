/** Request (Fetch Standard section 5.4). What only a browser has (mode, credentials, cache, referrer) shows its default. */
import { AbortController, AbortSignal } from "./abort.ts";
import { Body, bodySource, extract, giveBody, splitBody } from "./body.ts";
import { Headers } from "./headers.ts";
import { URL } from "./url.ts";

export interface RequestInit {
  readonly method?: string;
  readonly headers?: unknown;
  readonly body?: unknown;
  readonly redirect?: string;
  readonly signal?: AbortSignal | null;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Written in any case, these are sent in capitals; others as they are. */
const NORMALIZED = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];

/** For fetch handlers: a body that is read from the client only when someone asks. */
export let requestWithLazyBody: (url: string, method: string, headers: Headers, load: () => Promise<Uint8Array>) => Request;

export class Request extends Body {
  readonly #url: string;
  readonly #method: string;
  readonly #headers: Headers;
  readonly #redirect: string;
  readonly #signal: AbortSignal;

  constructor(input: unknown, init: RequestInit = {}) {
    super();
    if (arguments.length === 0) throw new TypeError("Request: a URL or a Request is expected");
    const options = init ?? {};
    const from = input instanceof Request ? input : null;
    this.#url = from === null ? urlOf(input) : from.url;
    this.#method = options.method === undefined ? (from?.method ?? "GET") : methodOf(options.method);
    this.#redirect = redirectOf(options.redirect ?? from?.redirect ?? "follow");
    this.#signal = signalOf(options.signal === undefined ? from?.signal : options.signal);
    this.#headers = new Headers(options.headers === undefined ? from?.headers : options.headers);
    const takesOver = from !== null && from.#hasBody && (options.body === undefined || options.body === null);
    this.#hasBody = takesOver || (options.body !== undefined && options.body !== null);
    if (this.#hasBody && (this.#method === "GET" || this.#method === "HEAD")) throw new TypeError(`Request: ${this.#method} takes no body`);
    if (takesOver) {
      this[bodySource] = from[giveBody]();
      return;
    }
    const { source, type } = extract(options.body);
    if (type !== "" && !this.#headers.has("content-type")) this.#headers.set("content-type", type);
    this[bodySource] = source;
  }
  #hasBody: boolean;

  get url(): string {
    return this.#url;
  }
  get method(): string {
    return this.#method;
  }
  get headers(): Headers {
    return this.#headers;
  }
  get redirect(): string {
    return this.#redirect;
  }
  get signal(): AbortSignal {
    return this.#signal;
  }
  get mode(): string {
    return "cors";
  }
  get credentials(): string {
    return "same-origin";
  }
  get cache(): string {
    return "default";
  }
  get destination(): string {
    return "";
  }
  get referrer(): string {
    return "about:client";
  }
  get referrerPolicy(): string {
    return "";
  }
  get integrity(): string {
    return "";
  }
  get keepalive(): boolean {
    return false;
  }
  get duplex(): string {
    return "half";
  }
  clone(): Request {
    const copy = new Request(this.#url, { method: this.#method, headers: this.#headers, redirect: this.#redirect, signal: this.#signal });
    copy[bodySource] = this[splitBody]();
    copy.#hasBody = this.#hasBody;
    return copy;
  }
  static {
    requestWithLazyBody = (url, method, headers, load) => {
      const request = new Request(url, { method, headers });
      if (method === "GET" || method === "HEAD") return request;
      request[bodySource] = { load };
      request.#hasBody = true;
      return request;
    };
  }
  get [Symbol.toStringTag](): string {
    return "Request";
  }
}

function urlOf(input: unknown): string {
  const url = URL.parse(String(input));
  if (url === null) throw new TypeError(`Request: ${JSON.stringify(String(input).slice(0, 200))} is no absolute URL`);
  if (url.username !== "" || url.password !== "") throw new TypeError("Request: a URL with user or password is refused");
  return url.href;
}

function methodOf(method: unknown): string {
  const text = String(method);
  const upper = text.toUpperCase();
  if (!TOKEN.test(text)) throw new TypeError(`Request: ${JSON.stringify(text.slice(0, 80))} is no method`);
  if (upper === "CONNECT" || upper === "TRACE" || upper === "TRACK") throw new TypeError(`Request: the method ${upper} is forbidden`);
  return NORMALIZED.includes(upper) ? upper : text;
}

function redirectOf(redirect: unknown): string {
  const text = String(redirect);
  if (text !== "follow" && text !== "manual" && text !== "error") throw new TypeError('Request: redirect: "follow", "manual" or "error" is expected');
  return text;
}

function signalOf(signal: unknown): AbortSignal {
  if (signal === undefined || signal === null) return new AbortController().signal;
  if (!(signal instanceof AbortSignal)) throw new TypeError("Request: signal: an AbortSignal is expected");
  return AbortSignal.any([signal]);
}
