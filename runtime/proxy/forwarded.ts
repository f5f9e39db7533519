/**
 * What the gateway adds to and believes of the `Forwarded` family (RFC 7239), `X-Forwarded-*`, `Via` (RFC 9110 section
 * 7.6.3) and `X-Request-Id`. Received values count only when the peer is a trusted proxy; otherwise they are dropped
 * before a rule or an origin can see them.
 */
import { BlockList, isIP } from "node:net";
import type { ConnectionFacts, HttpVersion } from "./exchange.ts";
import type { Fields } from "./fields.ts";

/**
 * Fields of a stranger that would be believed further down. Some frameworks take path, host and scheme from such fields: a request for `/` would pass by every rule
 * for `/admin/*` with `X-Original-URL: /admin`, and poison what the cache keeps for `/`.
 */
const CLAIMS: ReadonlySet<string> = new Set([
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-prefix",
  "x-forwarded-scheme",
  "x-forwarded-server",
  "x-forwarded-ssl",
  "x-original-host",
  "x-original-url",
  "x-real-ip",
  "x-request-id",
  "x-rewrite-url",
]);
const REQUEST_ID = /^[\w.:+/=-]{1,128}$/;
/** Addresses read from one X-Forwarded-For; more are a mistake or an attack. */
const MAX_HOPS = 32;

export interface Client {
  readonly address: string;
  readonly scheme: "http" | "https";
  /** Is the peer itself a trusted proxy? */
  readonly trusted: boolean;
}

export class TrustedProxies {
  readonly #list = new BlockList();
  readonly #empty: boolean;

  /** Addresses and CIDR blocks that config has checked. */
  constructor(blocks: readonly string[]) {
    this.#empty = blocks.length === 0;
    for (const block of blocks) {
      const [address = "", bits] = block.split("/");
      const family = isIP(address) === 6 ? "ipv6" : "ipv4";
      if (bits === undefined) this.#list.addAddress(address, family);
      else this.#list.addSubnet(address, Number(bits), family);
    }
  }
  has(address: string): boolean {
    if (this.#empty) return false;
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 6 ? "ipv6" : "ipv4");
  }
}

/** Who the client is, and a request without claims that nobody vouches for. */
export function receive(fields: Fields, connection: ConnectionFacts, proxies: TrustedProxies): Client {
  const peer = connection.remoteAddress;
  if (!proxies.has(peer)) {
    dropClaims(fields);
    return { address: peer, scheme: connection.scheme, trusted: false };
  }
  const proto = lastElement(fields.joined("x-forwarded-proto"));
  return {
    address: nearestUntrusted(fields.joined("x-forwarded-for"), peer, proxies),
    scheme: proto === "https" || proto === "http" ? proto : connection.scheme,
    trusted: true,
  };
}

/** A trusted caller's request id, or undefined. */
export function receivedRequestId(fields: Fields): string | undefined {
  const id = fields.get("x-request-id");
  return id !== undefined && REQUEST_ID.test(id) ? id : undefined;
}

/** Writes the gateway's own words onto the request for the origin. */
export function addForwarded(fields: Fields, client: Client, peer: string, authority: string, version: HttpVersion, requestId: string): void {
  const list = fields.list;
  if (client.trusted) {
    extend(fields, "x-forwarded-for", peer);
    if (!fields.has("x-forwarded-proto")) list.push("x-forwarded-proto", client.scheme);
    if (!fields.has("x-forwarded-host")) list.push("x-forwarded-host", authority);
    extend(fields, "forwarded", forwardedElement(peer, authority, client.scheme));
    fields.set("x-request-id", requestId);
  } else {
    list.push(
      "x-forwarded-for",
      peer,
      "x-forwarded-proto",
      client.scheme,
      "x-forwarded-host",
      authority,
      "forwarded",
      strangersElement(peer, authority, client.scheme),
      "x-request-id",
      requestId,
    );
  }
  addVia(fields, version);
}

export function addVia(fields: Fields, version: HttpVersion): void {
  extend(fields, "via", `${version} sluice`);
}

function extend(fields: Fields, name: string, element: string): void {
  const held = fields.joined(name);
  if (held === undefined) fields.append(name, element);
  else fields.set(name, `${held}, ${element}`);
}

function dropClaims(fields: Fields): void {
  const list = fields.list;
  for (let i = list.length - 2; i >= 0; i -= 2) {
    const name = list[i]!;
    const first = name.charCodeAt(0);
    if ((first === 120 /* x */ || first === 102) /* f */ && isClaim(name)) list.splice(i, 2);
  }
}

/** Origins behind CGI, WSGI and their like read `X_Forwarded_For` as `X-Forwarded-For` (nginx drops names with "_" for it). */
function isClaim(name: string): boolean {
  return CLAIMS.has(name) || (name.includes("_") && CLAIMS.has(name.replaceAll("_", "-")));
}

/** Of whoever came last: a connection's requests mostly come in a row, and joining and flattening the text costs 0.3 µs each time. */
const last = { peer: "", authority: "", scheme: "", element: "" };

function strangersElement(peer: string, authority: string, scheme: string): string {
  if (peer !== last.peer || authority !== last.authority || scheme !== last.scheme) {
    last.element = Buffer.from(forwardedElement(peer, authority, scheme), "latin1").toString("latin1");
    last.peer = peer;
    last.authority = authority;
    last.scheme = scheme;
  }
  return last.element;
}

/** RFC 7239 section 6: an IPv6 address and anything with ":" stands in quotes, IPv6 in brackets as well. */
function forwardedElement(peer: string, authority: string, scheme: string): string {
  const node = peer.includes(":") ? `"[${peer}]"` : peer;
  const host = authority === "" ? "" : `;host=${/[^\w.-]/.test(authority) ? `"${authority}"` : authority}`;
  return `for=${node}${host};proto=${scheme}`;
}

function lastElement(value: string | undefined): string | undefined {
  return value?.slice(value.lastIndexOf(",") + 1).trim();
}

/** Walks X-Forwarded-For from the right, past proxies that are trusted; the first other address is the client. */
function nearestUntrusted(chain: string | undefined, peer: string, proxies: TrustedProxies): string {
  if (chain === undefined) return peer;
  const hops = chain.split(",");
  let client = peer;
  for (let i = hops.length - 1; i >= 0 && i >= hops.length - MAX_HOPS; i--) {
    const hop = hops[i]!.trim();
    if (isIP(hop) === 0) return client;
    client = hop;
    if (!proxies.has(hop)) return client;
  }
  return client;
}
