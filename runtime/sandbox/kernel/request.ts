/** `req` in every phase; what the phase may not change is refused with a sentence. */
import { str } from "../codec.ts";
import { Effect } from "../protocol.ts";
import type { CacheKeyOptions } from "../../../sdk/index.ts";
import { BodyReader } from "./body-reader.ts";
import { cacheKeyText } from "./cache-words.ts";
import { contentOf } from "./content.ts";
import { describe } from "./failure.ts";
import { HeaderFields } from "./header-fields.ts";
import type { RequestHead } from "./heads.ts";
import { Query } from "./query.ts";
import type { RuleRun } from "./rule-run.ts";
import { encodeUtf8 } from "./web/encoding.ts";

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/;
/** The path percent-encode set (URL Standard section 1.3) without "?" and "#", which a path may not hold at all. */
const NOT_IN_PATH = '"<>^`{}';
const NOT_IN_QUERY = '"#<>';
const PLAIN = /^[\x21-\x7e]*$/;

export class RequestFacade extends BodyReader {
  readonly #run: RuleRun;
  readonly #head: RequestHead;
  #headers: HeaderFields | null = null;
  #query: Query | null = null;
  #params: Readonly<Record<string, string>> | null = null;

  constructor(run: RuleRun) {
    const head = run.hookCall.request;
    super(run, "requestBody", head);
    this.#run = run;
    this.#head = head;
  }

  get id(): string {
    this.#run.noteRead("random");
    return this.#run.hookCall.extra.requestId ?? "";
  }
  get method(): string {
    return this.#head.method;
  }
  set method(method: string) {
    this.#expectChangeable("method");
    if (typeof method !== "string" || !TOKEN.test(method)) throw new TypeError(`req.method: ${describe(method)} is no method`);
    if (method === "CONNECT" || method === "TRACE") throw new TypeError(`req.method: ${method} is not served by a reverse proxy`);
    this.#run.effect(Effect.METHOD, str(method));
    this.#head.method = method;
  }
  get url(): string {
    return `${this.#head.scheme}://${this.#head.authority}${this.#head.target}`;
  }
  get scheme(): "http" | "https" {
    return this.#head.scheme;
  }
  get authority(): string {
    return this.#head.authority;
  }
  get host(): string {
    return this.#head.authority.replace(/:\d*$/, "").toLowerCase();
  }
  get path(): string {
    return this.#head.path;
  }
  set path(path: string) {
    this.#expectChangeable("path");
    if (typeof path !== "string" || path.charCodeAt(0) !== 47 /* / */)
      throw new TypeError(`req.path: a path that begins with "/" is expected, found ${describe(path)}`);
    if (path.includes("?") || path.includes("#")) throw new TypeError(`req.path: ${describe(path)} holds "?" or "#"; the query is req.query`);
    const { query } = this.#head;
    this.#setTarget(encode(path, NOT_IN_PATH), this.#head.target.includes("?") ? `?${query}` : "");
  }
  get query(): Query {
    return (this.#query ??= new Query(
      () => this.#head.query,
      (query) => {
        this.#expectChangeable("query");
        this.#setTarget(this.#head.path, query === "" ? "" : `?${query}`);
      },
    ));
  }
  set query(query: string | { toString(): string }) {
    this.#expectChangeable("query");
    const text = String(query).replace(/^\?/, "");
    this.#setTarget(this.#head.path, text === "" ? "" : `?${encode(text, NOT_IN_QUERY)}`);
  }
  get headers(): HeaderFields {
    return (this.#headers ??= new HeaderFields(
      this.#head.fields,
      this.#run,
      this.#run.changesRequest ? "" : this.#run.rule.looksOnly ? "an experiment only looks at it" : `the request is over in ${this.#run.phase}`,
      true,
    ));
  }
  get params(): Readonly<Record<string, string>> {
    return (this.#params ??= Object.freeze(this.#run.params));
  }
  /** RFC 6265 section 5.4: the first pair of that name. A comma is part of a value, as it is for `when`; only several fields are joined by one. */
  cookie(name: string): string | null {
    this.#run.noteRead("cookie", String(name));
    const { fields } = this.#head;
    const joined = fields.get("cookie");
    if (joined === null) return null;
    const text = joined.includes(",") ? fields.getAll("cookie").join(";") : joined;
    for (const pair of text.split(";")) {
      const equals = pair.indexOf("=");
      if (equals >= 0 && pair.slice(0, equals).trim() === name)
        return pair
          .slice(equals + 1)
          .trim()
          .replace(/^"(.*)"$/, "$1");
    }
    return null;
  }
  get upstream(): string {
    return this.#head.upstream ?? this.#run.hookCall.extra.upstream ?? "";
  }
  set upstream(upstream: string) {
    if ((this.#run.phase !== "onRequest" && this.#run.phase !== "onError") || this.#run.rule.looksOnly)
      throw new TypeError(`req.upstream cannot be changed in ${this.#run.phase}`);
    if (typeof upstream !== "string" || upstream === "" || !PLAIN.test(upstream))
      throw new TypeError(`req.upstream: the name of an upstream is expected, found ${describe(upstream)}`);
    this.#run.effect(Effect.UPSTREAM, str(upstream));
    this.#head.upstream = upstream;
  }
  get target(): string {
    return this.#head.pinnedTarget;
  }
  set target(url: string) {
    if (this.#run.phase !== "onOriginRequest") throw new TypeError(`req.target cannot be changed in ${this.#run.phase}; to rewrite the path, assign req.path`);
    if (typeof url !== "string" || !PLAIN.test(url)) throw new TypeError(`req.target: the URL of a target is expected, found ${describe(url)}`);
    this.#run.effect(Effect.PIN_TARGET, str(url));
    this.#head.pinnedTarget = url;
  }
  cacheKey(options: CacheKeyOptions): void {
    if (this.#run.phase !== "onRequest" || this.#run.rule.looksOnly) throw new TypeError(`req.cacheKey is not to be had in ${this.#run.phase}`);
    this.#run.effect(Effect.CACHE_KEY, str(cacheKeyText(options)));
  }
  setBody(body: unknown): void {
    if (this.#run.phase !== "onOriginRequest") throw new TypeError(`req.setBody is not to be had in ${this.#run.phase}`);
    const content = contentOf(body, "req.setBody");
    this.#run.body(content.bytes);
    this.#head.body = Promise.resolve(content.bytes);
    if (content.type !== "" && !this.#head.fields.has("content-type")) this.headers.set("content-type", content.type);
  }

  #expectChangeable(what: string): void {
    this.#run.expectOpen();
    if (!this.#run.changesRequest) throw new TypeError(`req.${what} cannot be changed in ${this.#run.phase}`);
  }
  #setTarget(path: string, query: string): void {
    this.#run.expectOpen();
    this.#run.expectRoom(path.length + query.length, "req.path");
    this.#run.keepPlace();
    this.#head.target = path + query;
  }
}

/** Percent-encodes `forbidden` and everything outside visible ASCII, as UTF-8. */
function encode(text: string, forbidden: string): string {
  let at = 0;
  while (at < text.length && isAllowed(text.charCodeAt(at), forbidden)) at++;
  if (at === text.length) return text;
  let encoded = "";
  for (const character of text.toWellFormed()) {
    if (isAllowed(character.codePointAt(0)!, forbidden)) encoded += character;
    else for (const byte of encodeUtf8(character)) encoded += `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
  }
  return encoded;
}

function isAllowed(unit: number, forbidden: string): boolean {
  return unit > 0x20 && unit < 0x7f && (isPlain(unit) || !forbidden.includes(String.fromCharCode(unit)));
}

/** Letters, digits and what stands between "$" and ";": never forbidden. */
function isPlain(unit: number): boolean {
  return (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x24 && unit <= 0x3b);
}
