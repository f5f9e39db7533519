/**
 * What of a request may be kept. Texts that came from a client, an origin or a service become keyed digests: equal ones stay equal, and nobody without
 * the gateway's key can try values out. Pure but for HMAC.
 */
import { createHmac } from "node:crypto";

const DIGEST_DIGITS = 16;
const MAX_DEPTH = 8;
/** Larger numbers name somebody (a phone, an account) more often than they count something. */
const LARGEST_PLAIN = 1_000_000;
/** Of a JWT (RFC 7519 section 4.1): moments, which rules hold against the clock. */
const MOMENTS: ReadonlySet<string> = new Set(["exp", "nbf", "iat", "signedAt"]);

export interface Sanitizer {
  digest(text: string): string;
  /** Query values as digests; names stay. */
  target(target: string): string;
  /** Headers whose names are in `allowed`. */
  headers(list: readonly string[], allowed: ReadonlySet<string>): [string, string][];
  /** JSON of a service's reply: its shape, truth values and small numbers stay, every text becomes a digest; names of members too, unless they are `own`. */
  value(value: unknown, own: (name: string) => boolean, room: Room): Json;
}

/** What one recording may still hold. Below zero: what came of the value that took the last is not whole. */
export interface Room {
  values: number;
  /** Of its line; what stands around values is not counted, so that it never runs out before the line is too long. */
  units: number;
}

const MAX_VALUES = 1_000;

export function roomFor(units: number): Room {
  return { values: MAX_VALUES, units };
}

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const MAX_HEADER_UNITS = 1_024;

export function createSanitizer(key: string): Sanitizer {
  const hex = (text: string): string => createHmac("sha256", key).update(text).digest("hex");
  // "~" needs no escaping in a query (RFC 3986 section 2.3).
  const digest = (text: string): string => (text === "" ? "" : `~${hex(text).slice(0, DIGEST_DIGITS)}`);
  const hasRoom = (room: Room): boolean => room.values >= 0 && room.units >= 0;
  const value = (given: unknown, own: (name: string) => boolean, room: Room, depth: number, name: string): Json => {
    room.values--;
    room.units--;
    if (!hasRoom(room)) return null;
    if (given === null || typeof given === "boolean") return given;
    if (typeof given === "number")
      return (Number.isInteger(given) && Math.abs(given) <= LARGEST_PLAIN) || MOMENTS.has(name)
        ? given
        : LARGEST_PLAIN + Number.parseInt(hex(String(given)).slice(0, 8), 16);
    if (typeof given === "string") {
      const made = digest(given);
      room.units -= made.length;
      return made;
    }
    if (typeof given !== "object" || depth >= MAX_DEPTH) return null;
    if (Array.isArray(given)) {
      const list: Json[] = [];
      for (const member of given) {
        if (!hasRoom(room)) break;
        list.push(value(member, own, room, depth + 1, ""));
      }
      return list;
    }
    const members: [string, Json][] = [];
    for (const [member, inner] of Object.entries(given)) {
      if (!hasRoom(room)) break;
      const kept = own(member) ? member : digest(member);
      room.units -= kept.length;
      members.push([kept, value(inner, own, room, depth + 1, member)]);
    }
    return Object.fromEntries(members);
  };
  return {
    digest,
    target(target) {
      const mark = target.indexOf("?");
      if (mark < 0) return target;
      const query = target
        .slice(mark + 1)
        .split("&")
        .map((pair) => {
          const equals = pair.indexOf("=");
          return equals < 0 ? digest(pair) : `${pair.slice(0, equals)}=${digest(pair.slice(equals + 1))}`;
        });
      return `${target.slice(0, mark)}?${query.join("&")}`;
    },
    headers(list, allowed) {
      const kept: [string, string][] = [];
      for (let i = 0; i + 1 < list.length && kept.length < 100; i += 2)
        if (allowed.has(list[i]!) && list[i + 1]!.length <= MAX_HEADER_UNITS) kept.push([list[i]!, list[i + 1]!]);
      return kept;
    },
    value: (given, own, room) => value(given, own, room, 0, ""),
  };
}
