/** How a rule's call to a service is named and its reply kept: enough to answer the same call in a replay, and nothing that was said in it. Pure. */
import type { OwnNames } from "./own-names.ts";
import type { Json, Room, Sanitizer } from "./sanitize.ts";

/** Bodies, and waits, which are waited for again. */
const NEVER_KEPT: ReadonlySet<string> = new Set(["requestBody", "responseBody", "timer"]);

/** Members of services' own replies, and the claims of RFC 7519 section 4.1. */
const REPLY_MEMBERS: ReadonlySet<string> = new Set(
  "allowed answer aud body claims deleted exp headers iat identity iss keyId nbf reason refusal remaining resetMs retryAfterMs setCookies setHeaders signedAt status stored sub sum version".split(
    " ",
  ),
);
/** Why a service says no, in a word of its own. */
const REASON = /^[a-z-]{1,24}$/;

export function isKept(service: string): boolean {
  return !NEVER_KEPT.has(service);
}

/**
 * A text that stands in the rule's code is the author's, and nobody's personal data: it stays. Everything else, a key made of a visitor's id, say, is "*".
 * The replay asks with the code of another release, so what both name alike must come out alike.
 */
export function callWord(service: string, args: unknown, code: string): string {
  const { op, key, name, method, url } = (args ?? {}) as Partial<Record<"op" | "key" | "name" | "method" | "url", unknown>>;
  const own = (text: unknown): string => (typeof text === "string" && standsIn(code, text) ? text : "*");
  switch (service) {
    case "kv":
    case "cache":
      return `${String(op)} ${own(key)}`;
    case "limit":
      return own(name);
    case "fetch":
      return `${String(method)} ${urlWord(url, own)}`;
    case "forward":
      return urlWord(url, own);
    default:
      return "";
  }
}

/** Where it goes is no secret: config allows the origins by name. Which path and query, the code says, or nobody. */
function urlWord(url: unknown, own: (text: unknown) => string): string {
  const place = typeof url === "string" ? URL.parse(url) : null;
  if (place === null) return "*";
  const whole = own(url);
  return whole !== "*" ? whole : `${place.origin} *`;
}

/** As a literal: bundled code writes them with double quotes, or as templates. */
function standsIn(code: string, text: string): boolean {
  return text.length > 0 && (code.includes(JSON.stringify(text)) || code.includes(`\`${text}\``));
}

export interface Keeping {
  readonly sanitizer: Sanitizer;
  /** Names of headers that config allows. */
  readonly headers: ReadonlySet<string>;
  /** Of the recording that the reply becomes part of. */
  readonly room: Room;
}

/**
 * A reply of `service` with nothing in it but its shape. Members that the rule's code names keep their names. Null: it has more values than the recording
 * may hold, and is left out.
 */
export function keptReply(service: string, reply: unknown, names: OwnNames, keeping: Keeping): { readonly value: Json } | null {
  const { room } = keeping;
  if (room.values < 0) return null;
  const { units } = room;
  const value = shapeOf(service, reply, names, keeping);
  if (room.values >= 0) return { value };
  // It takes nothing of the line. Its values were looked at all the same.
  room.units = units;
  return null;
}

function shapeOf(service: string, reply: unknown, names: OwnNames, { sanitizer, headers, room }: Keeping): Json {
  const own = (name: string): boolean => REPLY_MEMBERS.has(name) || names.has(name);
  const given = (reply ?? {}) as Readonly<Record<string, unknown>>;
  switch (service) {
    case "fetch": {
      const list = Array.isArray(given["headers"]) ? (given["headers"] as unknown[]).flat() : [];
      const kept = sanitizer.headers(
        list.map((text) => (typeof text === "string" ? text : "")),
        headers,
      );
      return { status: Number(given["status"]), url: "", redirected: given["redirected"] === true, headers: kept, body: "" };
    }
    case "kv":
    case "cache": {
      const { json, ...rest } = given;
      const kept = sanitizer.value(rest, own, room) as Record<string, Json>;
      return json === undefined
        ? kept
        : { ...kept, json: typeof json === "string" && json !== "" ? sanitizedJson(json, own, sanitizer, room) : (json as "" | null) };
    }
    case "forward": {
      const bare = (member: unknown): unknown => (typeof member === "object" && member !== null && "body" in member ? { ...member, body: "" } : member);
      return withReason(given, sanitizer.value(Object.fromEntries(Object.entries(given).map(([name, member]) => [name, bare(member)])), own, room));
    }
    default:
      return withReason(given, sanitizer.value(given, own, room));
  }
}

function withReason({ reason }: Readonly<Record<string, unknown>>, kept: Json): Json {
  return typeof reason === "string" && REASON.test(reason) ? { ...(kept as Record<string, Json>), reason } : kept;
}

function sanitizedJson(json: string, own: (name: string) => boolean, sanitizer: Sanitizer, room: Room): string {
  try {
    return JSON.stringify(sanitizer.value(JSON.parse(json), own, room));
  } catch {
    // What is no JSON is a text like any other.
    return JSON.stringify(sanitizer.value(json, own, room));
  }
}
