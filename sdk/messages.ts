/** The request and response as each phase sees them. What a phase may not change is read-only in its type and refused at run time. */
import type { CacheDecision, CacheKeyOptions } from "./cache.ts";
import type { BodyInput } from "./answers.ts";
import type { PageEdits } from "./html-element.ts";

/** Header fields, read-only. Names are matched in any case and come back in lowercase. */
export interface ReadonlyHeaders extends Iterable<[name: string, value: string]> {
  /** All values of that name joined by `", "`, or null when there is none. */
  get(name: string): string | null;
  has(name: string): boolean;
  /** Each `Set-Cookie` by itself: the one field that can't be joined (RFC 9110 section 5.3). */
  getSetCookie(): string[];
  entries(): IterableIterator<[name: string, value: string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  forEach(run: (value: string, name: string) => void): void;
}

/**
 * Header fields that may be changed. The change is what later rules, and then the upstream or the client, see.
 *
 * A name that is no token or a value with control characters or characters above U+00FF throws a `TypeError`.
 * Fields that belong to the gateway (`content-length`, `transfer-encoding`, `connection` and the other hop-by-hop fields) are refused.
 */
export interface MutableHeaders extends ReadonlyHeaders {
  /** Replaces all fields of that name by one. */
  set(name: string, value: string): void;
  /** Adds a field and leaves those of the same name. */
  append(name: string, value: string): void;
  /** Removes all fields of that name; nothing happens when there is none. */
  delete(name: string): void;
}

/** Query parameters, read-only, decoded as `application/x-www-form-urlencoded`. */
export interface ReadonlyQuery extends Iterable<[name: string, value: string]> {
  /** The first value of that name, or null. */
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string): boolean;
  readonly size: number;
  /** The query as it goes on the wire, without `?`. Untouched queries keep their exact spelling. */
  toString(): string;
}

/** Query parameters that may be changed. */
export interface MutableQuery extends ReadonlyQuery {
  set(name: string, value: string): void;
  append(name: string, value: string): void;
  delete(name: string): void;
}

/**
 * Reads a body. The first call waits until all of it has arrived and keeps it (it is still sent on afterwards), so ask only when it is needed;
 * further calls, in any hook of any rule, read the same bytes. More than `limits.ruleBodySize` (1 MiB) rejects.
 */
export interface BodyReader {
  /** As UTF-8; broken sequences become U+FFFD. */
  text(): Promise<string>;
  /** Rejects with a `SyntaxError` when it is no JSON. */
  json<T = unknown>(): Promise<T>;
  bytes(): Promise<Uint8Array>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** What every phase may know of the request: as the rules left it so far. */
export interface RequestFacts {
  /** The request's id, as in `X-Request-Id` and the log. */
  readonly id: string;
  readonly method: string;
  /** Absolute URL: scheme, authority, path and query. */
  readonly url: string;
  /** How the client reached the gateway. */
  readonly scheme: "http" | "https";
  /** Host name in lowercase, without port. */
  readonly host: string;
  /** Host with port when the client named one. */
  readonly authority: string;
  /** Percent-encoded, with its leading `/`, without query. */
  readonly path: string;
  readonly query: ReadonlyQuery;
  readonly headers: ReadonlyHeaders;
  /** Groups of the `when.path` that matched, percent-encoded as on the wire but for letters, digits and `-._~`; `{}` without groups. A rewrite does not change them. */
  readonly params: Readonly<Record<string, string>>;
  /** Value of the cookie of that name, or null. */
  cookie(name: string): string | null;
  /** Name of the upstream chosen so far, or `""`. */
  readonly upstream: string;
}

/**
 * `req` in `onRequest`. Assigning changes the request for later rules, the routes and the upstream.
 *
 * @example
 * import { defineRule } from "sluice"
 * export default defineRule({
 *   when: { path: "/blog/*" },
 *   onRequest(req) {
 *     req.path = req.path.slice("/blog".length)
 *     req.query.delete("utm_source")
 *     req.headers.set("x-section", "blog")
 *   },
 * })
 */
export interface RuleRequest extends Omit<RequestFacts, "method" | "path" | "query" | "headers" | "upstream">, BodyReader {
  /** A token such as `"GET"`. `CONNECT` and `TRACE` are refused. */
  method: string;
  /** Assign a path that begins with `/`, without `?` or `#`; characters that may not stand there are percent-encoded. Routes are matched again after all `onRequest` hooks, unless a rule picked the upstream. `when` is not. */
  path: string;
  get query(): MutableQuery;
  /** A string replaces the whole query (with or without its `?`). */
  set query(query: string | MutableQuery);
  readonly headers: MutableHeaders;
  /** Name of the upstream chosen so far, or `""`. Assign a name from `upstreams` to serve from there; one that config does not have fails with `UPSTREAM_UNKNOWN`. */
  upstream: string;
  /**
   * Says what, beside URL and upstream, makes this request different from others for the cache. May be called several times; what it says adds up.
   *
   * @example
   * import { defineRule } from "sluice"
   * export default defineRule({
   *   onRequest(req) {
   *     req.cacheKey({ query: { exclude: ["utm_*"] }, parts: [req.cookie("plan") === "pro" ? "pro" : "free"], cookies: ["plan"] })
   *   },
   * })
   */
  cacheKey(options: CacheKeyOptions): void;
}

/**
 * `req` in `onOriginRequest`: what the origin is about to see. Changes here touch neither routing nor the cache key.
 *
 * @example
 * import { defineRule } from "sluice"
 * export default defineRule({
 *   onOriginRequest(req) {
 *     req.headers.set("x-gateway", "sluice")
 *     if (req.headers.get("x-debug") === "two") req.target = "http://127.0.0.1:9002"
 *   },
 * })
 */
export interface OriginRequest extends Omit<RuleRequest, "upstream" | "cacheKey"> {
  readonly upstream: string;
  /** `""`: balancing decides. Assign the URL of one of the upstream's targets, as config writes it, to send this request there and nowhere else. */
  target: string;
  /** Replaces the request's body; as in `respond`, but the content type is set only when there is none. At most 1 MiB. */
  setBody(body: BodyInput): void;
}

/** Who made a response. */
export type ResponseSource = "upstream" | "cache" | "rule" | "gateway";

/** What every response phase may know. */
export interface ResponseFacts {
  readonly status: number;
  readonly headers: ReadonlyHeaders;
  /** Who made it: `"upstream"`, `"cache"`, a rule's answer (`"rule"`) or the gateway's own error page (`"gateway"`). */
  readonly from: ResponseSource;
}

/** `res` in `onOriginResponse`: what the upstream answered, before the cache stores it. */
export interface OriginResponse extends Omit<ResponseFacts, "headers">, BodyReader {
  readonly headers: MutableHeaders;
  /** Replaces the body; `content-encoding` and `content-length` of the old one go with it. At most 1 MiB. */
  setBody(body: BodyInput): void;
  /**
   * Says whether and for how long the cache stores this answer, and by which tags it can be purged. Later calls and rules win, tags add up.
   *
   * @example
   * import { defineRule } from "sluice"
   * export default defineRule({
   *   when: { path: "/products/:id" },
   *   onOriginResponse(res, req) {
   *     if (res.status === 200) res.cache({ lifetime: "5m", staleWhileRevalidate: "1h", tags: [`product-${req.params["id"]}`] })
   *   },
   * })
   */
  cache(decision: CacheDecision): void;
}

/**
 * `res` in `onResponse`: what the client is about to get. Runs on every delivery, in reverse order, gateway errors included.
 *
 * @example
 * import { defineRule } from "sluice"
 * export default defineRule({
 *   onResponse(res) {
 *     res.headers.set("x-content-type-options", "nosniff")
 *     if (res.status === 404 && res.from === "upstream") res.setBody("nothing here")
 *   },
 * })
 */
export interface RuleResponse extends Omit<OriginResponse, "status" | "cache"> {
  /** 200 – 599. */
  status: number;
  /**
   * Edits the page that is delivered, while it streams: the verbs of `html`, made at once. They are made last, on whatever body the rules left, in the order
   * in which they were asked for; `res.text()` shows the page without them. Only whole answers of type `text/html` are edited, compressed or not, and
   * never the gateway's own error pages. An edited answer has a weak ETag of its own, no `last-modified` and no ranges.
   * A selector that can't be read fails the rule (`RULE_EFFECT`). At most 256 edits; a tag beyond 64 KiB passes as it is.
   * `res.html.on(selector, { element(el) { … } })` decides element by element, in code.
   *
   * @example
   * import { defineRule } from "sluice"
   * export default defineRule({
   *   when: { path: "/" },
   *   onResponse(res) {
   *     res.html.setText("h1", "Buy it now")
   *     res.html.append("main", { html: "<p class=notice>Free delivery today</p>" })
   *   },
   * })
   */
  readonly html: PageEdits;
}

/** `error` in `onError`: why no response could be had. */
export interface ExchangeError {
  /** From the table of codes: `"UPSTREAM_TIMEOUT"`, `"NO_TARGET"`, … */
  readonly code: string;
  /** What the gateway would answer. */
  readonly status: number;
  /** One line that says what the code means. */
  readonly message: string;
}

/** `req` in `onError`: everything is read-only except `upstream`, which asks for another one. */
export interface FailedRequest extends Omit<RequestFacts, "upstream"> {
  /** The upstream that failed, or `""`. Assign another's name to try that one, once, when the request can be sent again. When that one fails too, the hook runs a second time: then it may answer. */
  upstream: string;
}

/** What became of an exchange, in `onComplete`. */
export interface Completion {
  /** As sent; 0 when no head was sent. */
  readonly status: number;
  /** From the first byte of the request to the last of the response, in milliseconds. */
  readonly durationMs: number;
  /** Bytes of response body sent to the client. */
  readonly sentBytes: number;
  /** False when the client left or the response broke off. */
  readonly completed: boolean;
}
