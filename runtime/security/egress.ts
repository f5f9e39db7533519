/**
 * The way out for rules: `ctx.fetch`, JWKS and forward auth. Only origins that config names; the name is resolved once,
 * every address is checked, and the connection goes to exactly the address that was checked (no DNS rebinding); each
 * redirect is checked anew and drops credentials when it leaves the origin; size and time are capped.
 */
import dns from "node:dns";
import http from "node:http";
import https from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { GatewayError } from "../errors.ts";
import { isPublicAddress, OwnAddresses } from "./addresses.ts";

export interface EgressOptions {
  /** Origins that may be called: "https://auth.example.com", "https://*.example.com". */
  readonly allow: readonly string[];
  /** Origins that may also stand on private addresses. */
  readonly private: readonly string[];
  /** Listeners, admin and Redis of this gateway. */
  readonly own: readonly { host: string; port: number }[];
  /** Of a response body. */
  readonly maxBodyBytes: number;
  readonly timeoutMs: number;
  /** For tests; else `dns.lookup`. */
  readonly lookup?: LookupFunction;
  /** For tests: authorities that https targets may be signed by. */
  readonly ca?: string;
}

export interface EgressRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer | null;
  readonly redirect: "follow" | "manual" | "error";
  readonly idempotencyId: string;
}

export interface EgressResponse {
  readonly status: number;
  readonly url: string;
  readonly redirected: boolean;
  readonly headers: [name: string, value: string][];
  readonly body: Buffer;
}

/** The way out as services see it; rule tests put their own in its place. */
export interface Outgoing {
  fetch(request: EgressRequest, signal: AbortSignal): Promise<EgressResponse>;
  close(): void;
}

/** The fetch standard stops at 20. */
const MAX_REDIRECTS = 20;
const MAX_SOCKETS = 256;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Framing and routing are the gateway's; the rest of a rule's header list passes. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "upgrade",
  "te",
  "trailer",
  "expect",
  "proxy-connection",
  "proxy-authorization",
]);
const CREDENTIALS: ReadonlySet<string> = new Set(["authorization", "cookie", "proxy-authorization"]);
const UNSAFE: ReadonlySet<string> = new Set(["POST", "PATCH"]);

export class Egress implements Outgoing {
  readonly #options: EgressOptions;
  readonly #allow: readonly AllowedOrigin[];
  readonly #own: OwnAddresses;
  /** Apart, so that a kept connection to a private address never serves an origin that may not stand on one. */
  readonly #agents: Readonly<Record<"open" | "public", { http: http.Agent; https: https.Agent }>>;

  constructor(options: EgressOptions) {
    this.#options = options;
    this.#allow = [...options.allow.map((origin) => allowed(origin, false)), ...options.private.map((origin) => allowed(origin, true))];
    this.#own = new OwnAddresses(options.own);
    this.#agents = { open: this.#makeAgents(), public: this.#makeAgents() };
  }

  async fetch(request: EgressRequest, signal: AbortSignal): Promise<EgressResponse> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(this.#options.timeoutMs)]);
    let { url, method, headers, body } = request;
    for (let redirects = 0; ; redirects++) {
      const target = this.#admit(url);
      const response = await this.#send(target, method, headers, body, request.idempotencyId, deadline);
      const location = REDIRECTS.has(response.status) ? response.headers.find(([name]) => name === "location")?.[1] : undefined;
      if (location === undefined || request.redirect === "manual") return { ...response, url: target.href, redirected: redirects > 0 };
      if (request.redirect === "error") throw refused(`${target.origin} redirects, and the call says redirect: "error"`);
      if (redirects >= MAX_REDIRECTS) throw refused(`more than ${MAX_REDIRECTS} redirects, the last from ${target.origin}`);
      const next = URL.parse(location, target.href);
      if (next === null) throw refused(`${target.origin} redirects to something that is no URL`);
      if (next.origin !== target.origin) headers = headers.filter(([name]) => !CREDENTIALS.has(name.toLowerCase()));
      if (response.status === 303 || (method === "POST" && response.status < 303)) {
        method = method === "HEAD" ? "HEAD" : "GET";
        body = null;
        headers = headers.filter(([name]) => !name.toLowerCase().startsWith("content-"));
      }
      url = next.href;
    }
  }

  close(): void {
    for (const { http: plain, https: secure } of Object.values(this.#agents)) {
      plain.destroy();
      secure.destroy();
    }
  }

  /** Is the origin named in config, and is a literal address in it one that may be called? */
  #admit(text: string): URL & { mayBePrivate: boolean } {
    const url = URL.parse(text);
    if (url === null) throw refused(`"${text.slice(0, 200)}" is no absolute URL`);
    if (url.username !== "" || url.password !== "") throw refused("a URL with user name or password");
    const entry = this.#allow.filter((candidate) => candidate.matches(url));
    if (entry.length === 0) {
      throw refused(
        `${url.origin} is not named in config; allowed: ${this.#allow.map((candidate) => candidate.text).join(", ") || "nothing"}. Add it to fetch.allow`,
      );
    }
    const mayBePrivate = entry.some((candidate) => candidate.mayBePrivate);
    const literal = url.hostname.replace(/^\[|\]$/g, "");
    if (isIP(literal) !== 0) this.#checkAddress(literal, portOf(url), url.hostname, mayBePrivate);
    return Object.assign(url, { mayBePrivate });
  }

  #checkAddress(address: string, port: number, hostname: string, mayBePrivate: boolean): void {
    if (this.#own.has(address, port)) throw refused(`${hostname}:${port} is this gateway itself`);
    if (!mayBePrivate && !isPublicAddress(address))
      throw refused(`${hostname} stands on the private address ${address}; name its origin under fetch.private if that is meant`);
  }

  #send(
    url: URL & { mayBePrivate: boolean },
    method: string,
    headers: EgressRequest["headers"],
    body: Buffer | null,
    idempotencyId: string,
    signal: AbortSignal,
  ): Promise<Omit<EgressResponse, "url" | "redirected">> {
    const { promise, resolve, reject } = Promise.withResolvers<Omit<EgressResponse, "url" | "redirected">>();
    const secure = url.protocol === "https:";
    const agents = this.#agents[url.mayBePrivate ? "open" : "public"];
    const out: Record<string, string | string[]> = {};
    for (const [name, value] of headers) {
      const key = name.toLowerCase();
      if (!OWN_HEADERS.has(key)) out[key] = key in out ? [out[key]!, value].flat() : value;
    }
    // A call that repeats after a sandbox died carries the same key (draft-ietf-httpapi-idempotency-key-header).
    if (UNSAFE.has(method)) out["idempotency-key"] ??= idempotencyId;
    if (body !== null) out["content-length"] = String(body.length);
    const request = (secure ? https : http).request(url, {
      method,
      headers: out,
      agent: secure ? agents.https : agents.http,
      lookup: this.#lookup(url),
      signal,
      maxHeaderSize: 32 * 1024,
      insecureHTTPParser: false,
    });
    request.on("response", (response) => {
      collect(response, this.#options.maxBodyBytes).then(
        (bytes) => resolve({ status: response.statusCode!, headers: pairs(response.rawHeaders), body: bytes }),
        (cause: unknown) => reject(unreachable(url, cause)),
      );
    });
    request.on("error", (cause) => reject(cause instanceof GatewayError ? cause : unreachable(url, cause)));
    request.end(body ?? undefined);
    return promise;
  }

  #makeAgents(): { http: http.Agent; https: https.Agent } {
    const options = { keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: 16, timeout: this.#options.timeoutMs };
    return { http: new http.Agent(options), https: new https.Agent({ ...options, ...(this.#options.ca === undefined ? {} : { ca: this.#options.ca }) }) };
  }

  /** Name resolution that hands out only addresses that passed; net connects to what it is given, so the check holds for the connection. */
  #lookup(url: URL & { mayBePrivate: boolean }): LookupFunction {
    const resolve: LookupFunction = this.#options.lookup ?? dns.lookup;
    return (hostname, options, callback) => {
      resolve(hostname, { ...options, all: true }, (error, found) => {
        if (error) {
          callback(error, "", 0);
          return;
        }
        const addresses = Array.isArray(found) ? found : [{ address: found, family: isIP(found) }];
        try {
          for (const { address } of addresses) this.#checkAddress(address, portOf(url), hostname, url.mayBePrivate);
        } catch (refusal) {
          callback(refusal as NodeJS.ErrnoException, "", 0);
          return;
        }
        if (options.all) callback(null, addresses);
        else callback(null, addresses[0]!.address, addresses[0]!.family);
      });
    };
  }
}

interface AllowedOrigin {
  readonly text: string;
  readonly mayBePrivate: boolean;
  matches(url: URL): boolean;
}

/** Scheme, host and port are all part of what is allowed. */
function allowed(origin: string, mayBePrivate: boolean): AllowedOrigin {
  const wildcard = /^(https?:)\/\/\*(\.[^/:]+)(?::(\d+))?\/?$/.exec(origin);
  if (wildcard) {
    const [, protocol, suffix, port = ""] = wildcard;
    return { text: origin, mayBePrivate, matches: (url) => url.protocol === protocol && url.port === port && url.hostname.endsWith(suffix!) };
  }
  const exact = new URL(origin).origin;
  return { text: origin, mayBePrivate, matches: (url) => url.origin === exact };
}

function portOf(url: URL): number {
  return url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
}

function pairs(raw: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([raw[i]!.toLowerCase(), raw[i + 1]!]);
  return list;
}

async function collect(response: http.IncomingMessage, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > maxBytes) throw new GatewayError("SERVICE_REFUSED", `an answer of more than ${maxBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function refused(detail: string): GatewayError {
  return new GatewayError("SERVICE_REFUSED", `fetch: ${detail}`);
}

function unreachable(url: URL, cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause;
  const why = cause instanceof Error ? (("code" in cause && typeof cause.code === "string" ? cause.code : undefined) ?? cause.name) : String(cause);
  return new GatewayError("SERVICE_REFUSED", `fetch: ${url.origin} gave no answer (${why})`, { cause });
}
