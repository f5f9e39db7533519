/** URL (URL Standard section 6.1). Parsing is the host's; every component follows from the href, so it is cut out here when asked for. */
import { ask } from "./host.ts";
import { attach, replace, URLSearchParams } from "./search-params.ts";

/**
 * Spellings that are their own href, so that nobody need be asked: 0.4 µs instead of the host's 5 to 20, and most URLs in rules are plain. No capital,
 * IDNA or numeric host, no default port, no dot segment, nothing that would be encoded. The URL standard's test data runs through this too.
 */
const PLAIN =
  /^((?:https?|wss?):\/\/(?:(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)*[a-z](?:[a-z0-9]*(?:-[a-z0-9]+)*)|127\.0\.0\.1)(?::(?!80\/|443\/)(?:[1-5][0-9]{4}|[1-9][0-9]{1,3}))?)(?:\/(?!\.|%2[eE])[A-Za-z0-9\-_~!$&()*+,;=:@.%]*)+(?:\?[A-Za-z0-9\-_~!$&()*+,;=:@.%/?]*)?$/;
const MAX_PLAIN_LENGTH = 2048;

function isPlain(url: string): boolean {
  return url.length <= MAX_PLAIN_LENGTH && PLAIN.test(url);
}

function parse(input: string, base?: string): string {
  if (isPlain(input)) return input;
  if (base === undefined) return ask("url", input);
  // A path on the base's own origin. With two slashes it would name another host.
  if (input.startsWith("/") && !input.startsWith("//") && isPlain(base)) {
    const joined = PLAIN.exec(base)![1]! + input;
    if (isPlain(joined)) return joined;
  }
  return ask("url", input, base, "1");
}

export class URL {
  #href: string;
  #params: URLSearchParams | null = null;
  /** Indices into the href; null until a component is asked for. */
  #parts: Parts | null = null;

  constructor(url: unknown, base?: unknown) {
    if (arguments.length === 0) throw new TypeError("URL: a URL is expected");
    this.#href = parse(usv(url), base === undefined ? undefined : usv(base));
  }
  static parse(url: unknown, base?: unknown): URL | null {
    try {
      return new URL(url, base);
    } catch (thrown) {
      if (thrown instanceof TypeError) return null;
      throw thrown;
    }
  }
  static canParse(url: unknown, base?: unknown): boolean {
    return URL.parse(url, base) !== null;
  }

  get href(): string {
    return this.#href;
  }
  set href(value: string) {
    this.#take(parse(usv(value)));
  }
  get origin(): string {
    const { protocol } = this;
    if (protocol === "blob:") {
      const inner = URL.parse(this.pathname);
      return inner !== null && (inner.protocol === "http:" || inner.protocol === "https:") ? inner.origin : "null";
    }
    return ["http:", "https:", "ws:", "wss:", "ftp:"].includes(protocol) ? `${protocol}//${this.host}` : "null";
  }
  get protocol(): string {
    return this.#href.slice(0, this.#cut().scheme);
  }
  set protocol(value: string) {
    this.#change("protocol", value);
  }
  get username(): string {
    const { authority, password, at } = this.#cut();
    return this.#href.slice(authority, password >= 0 ? password - 1 : Math.max(at, authority));
  }
  set username(value: string) {
    this.#change("username", value);
  }
  get password(): string {
    const { password, at } = this.#cut();
    return password < 0 ? "" : this.#href.slice(password, at);
  }
  set password(value: string) {
    this.#change("password", value);
  }
  get host(): string {
    const { host, path } = this.#cut();
    return this.#href.slice(host, Math.max(path.host, host));
  }
  set host(value: string) {
    this.#change("host", value);
  }
  get hostname(): string {
    const { host, port, path } = this.#cut();
    return this.#href.slice(host, port >= 0 ? port - 1 : path.host);
  }
  set hostname(value: string) {
    this.#change("hostname", value);
  }
  get port(): string {
    const { port, path } = this.#cut();
    return port < 0 ? "" : this.#href.slice(port, path.host);
  }
  set port(value: string) {
    this.#change("port", value);
  }
  get pathname(): string {
    const { path, search } = this.#cut();
    return this.#href.slice(path.start, search);
  }
  set pathname(value: string) {
    this.#change("pathname", value);
  }
  get search(): string {
    const { search, hash } = this.#cut();
    return hash - search > 1 ? this.#href.slice(search, hash) : "";
  }
  set search(value: string) {
    this.#change("search", value);
  }
  get hash(): string {
    const { hash } = this.#cut();
    return this.#href.length - hash > 1 ? this.#href.slice(hash) : "";
  }
  set hash(value: string) {
    this.#change("hash", value);
  }
  get searchParams(): URLSearchParams {
    if (this.#params === null) {
      this.#params = new URLSearchParams();
      this.#params[attach](this.search.slice(1), (query) => this.#setQuery(query));
    }
    return this.#params;
  }
  toString(): string {
    return this.#href;
  }
  toJSON(): string {
    return this.#href;
  }
  get [Symbol.toStringTag](): string {
    return "URL";
  }

  #cut(): Parts {
    return (this.#parts ??= partsOf(this.#href));
  }
  #change(property: string, value: unknown): void {
    this.#take(ask("url.set", this.#href, property, usv(value)));
  }
  #take(href: string): void {
    this.#href = href;
    this.#parts = null;
    this.#params?.[replace](this.search.slice(1));
  }
  /** From `searchParams`: its list stays as it is. The text needs no further encoding but what the form encoding leaves. */
  #setQuery(query: string): void {
    this.#href = ask("url.set", this.#href, "search", query);
    this.#parts = null;
  }
}

interface Parts {
  /** End of the scheme, after ":". */
  readonly scheme: number;
  /** Start of the authority; the end of the scheme when there is none. */
  readonly authority: number;
  /** Start of the password, or -1. */
  readonly password: number;
  /** Index of "@", or -1. */
  readonly at: number;
  readonly host: number;
  /** Start of the port's digits, or -1. */
  readonly port: number;
  readonly path: { /** Where the host ends. */ readonly host: number; readonly start: number };
  readonly search: number;
  readonly hash: number;
}

function partsOf(href: string): Parts {
  const scheme = href.indexOf(":") + 1;
  const sharp = href.indexOf("#", scheme);
  const hash = sharp < 0 ? href.length : sharp;
  const question = href.indexOf("?", scheme);
  const search = question < 0 || question > hash ? hash : question;
  if (!href.startsWith("//", scheme)) {
    // "/." keeps a path that begins with "//" from being read as an authority (URL Standard, URL serializing).
    const start = href.startsWith("/.//", scheme) ? scheme + 2 : scheme;
    return { scheme, authority: scheme, password: -1, at: -1, host: scheme, port: -1, path: { host: scheme, start }, search, hash };
  }
  const authority = scheme + 2;
  const slash = href.indexOf("/", authority);
  const end = slash < 0 || slash > search ? search : slash;
  const sign = href.lastIndexOf("@", end - 1);
  const at = sign < authority ? -1 : sign;
  const userEnd = at < 0 ? -1 : href.indexOf(":", authority);
  const host = at < 0 ? authority : at + 1;
  const colon = href.lastIndexOf(":", end - 1);
  const port = colon >= host && !href.slice(colon, end).includes("]") ? colon + 1 : -1;
  return { scheme, authority, password: userEnd >= 0 && userEnd < at ? userEnd + 1 : -1, at, host, port, path: { host: end, start: end }, search, hash };
}

function usv(value: unknown): string {
  return String(value).toWellFormed();
}
