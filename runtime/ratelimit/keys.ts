/**
 * Under which key a request counts. Keys are of bounded length, name no secret (headers and cookies are only known by a digest), and two that differ
 * never become one by how they are written.
 */
import { hash } from "node:crypto";
import ipaddr from "ipaddr.js";
import { LRUCache } from "lru-cache";
import type { LimitPolicy } from "./policy.ts";

/** One part of a key. */
export type KeyPart =
  /** The client's network: the first `ipv4` or `ipv6` bits of its address. */
  | { readonly kind: "address"; readonly ipv4: number; readonly ipv6: number }
  | { readonly kind: "path" }
  | { readonly kind: "host" }
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "cookie"; readonly name: string };

/** What of a request a key can be made of, beside the client's address. */
export interface KeySource {
  /** Without query. */
  readonly path: string;
  readonly host: string;
  /** `joined`: all values of a header (its name in lowercase), or undefined. */
  readonly fields: { joined(name: string): string | undefined };
}

/** Longer ones are known by a digest. */
const PLAIN_KEY_LENGTH = 64;
/** No blank, brace or control character: it must stand in a Redis key as it is. `#` begins a digest, `,` parts the parts. */
const PLAIN_KEY = /^[A-Za-z0-9._:@/+=%~-]*$/;

const LETTERS: Readonly<Record<LimitPolicy["algorithm"], string>> = {
  gcra: "g",
  "token-bucket": "t",
  "fixed-window": "f",
  "sliding-window": "s",
  concurrency: "c",
};

/**
 * What stands before the key proper in the store. All keys of a limit (and of limits that are checked together: `group`) share a tag, so that
 * checks of one turn are one script call, also in Redis Cluster, where a tag lives on one node. Algorithm and window are part of it: the
 * state of another means something else.
 */
export function storePrefix(policy: LimitPolicy, group: string): string {
  return `limit:{${group}}:${policy.of}:${policy.name}:${LETTERS[policy.algorithm]}${policy.windowMs}:`;
}

/** A rule's string. */
export function keyOfText(text: string): string {
  return text.length <= PLAIN_KEY_LENGTH && PLAIN_KEY.test(text) ? text : digest(text);
}

export function keyOf(parts: readonly KeyPart[], address: string, source: KeySource): string {
  if (parts.length === 1) return partOf(parts[0]!, address, source);
  let key = "";
  for (let i = 0; i < parts.length; i++) key += `${i === 0 ? "" : ","}${partOf(parts[i]!, address, source)}`;
  return key;
}

function partOf(part: KeyPart, address: string, source: KeySource): string {
  switch (part.kind) {
    case "address":
      return networkOf(address, part.ipv4, part.ipv6);
    case "path":
      return keyOfText(source.path);
    case "host":
      return keyOfText(source.host);
    case "header":
      return secretKey(source.fields.joined(part.name));
    case "cookie":
      return secretKey(cookieOf(source.fields.joined("cookie"), part.name));
  }
}

/** May be a credential. Requests without it count together. */
function secretKey(value: string | undefined): string {
  return value === undefined ? "" : digest(value);
}

/** 128 bits. */
function digest(text: string): string {
  return `#${hash("sha256", text, "base64url").slice(0, 22)}`;
}

const networks = new LRUCache<string, string>({ max: 10_000 });

/** Whoever has an IPv6 address has 2⁶⁴ of them; who counts is the network. IPv4 in IPv6 clothes is IPv4. */
export function networkOf(address: string, ipv4Bits: number, ipv6Bits: number): string {
  if (ipv4Bits === 32 && !address.includes(":")) return address;
  const known = `${address} ${ipv4Bits} ${ipv6Bits}`;
  let network = networks.get(known);
  if (network === undefined) networks.set(known, (network = readNetwork(address, ipv4Bits, ipv6Bits)));
  return network;
}

function readNetwork(address: string, ipv4Bits: number, ipv6Bits: number): string {
  if (!ipaddr.isValid(address)) return keyOfText(address);
  const parsed = ipaddr.process(address);
  const bits = parsed.kind() === "ipv4" ? ipv4Bits : ipv6Bits;
  const bytes = parsed.toByteArray();
  for (let i = 0; i < bytes.length; i++) bytes[i]! &= 0xff << Math.min(8, Math.max(0, (i + 1) * 8 - bits));
  const text = ipaddr.fromByteArray(bytes).toString();
  return bits === bytes.length * 8 ? text : `${text}/${bits}`;
}

/** The first cookie of that name (RFC 6265 section 5.4: the most specific one comes first). */
export function cookieOf(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  for (let at = 0; at < header.length;) {
    let end = header.indexOf(";", at);
    if (end < 0) end = header.length;
    const equals = header.indexOf("=", at);
    if (equals > 0 && equals < end && header.slice(at, equals).trim() === name) return header.slice(equals + 1, end).trim();
    at = end + 1;
  }
  return undefined;
}
