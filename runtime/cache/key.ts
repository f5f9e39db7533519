/** What two requests must have in common to share an answer. Injective: different inputs never make one key. */
import type { Fields } from "../proxy/fields.ts";

/** A request as it stands after onRequest. */
export interface KeyedRequest {
  readonly method: string;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly target: string;
  readonly fields: Fields;
  /** The same URL on two upstreams has two answers: routes look at headers, and rules pick. */
  readonly upstream: string;
}

export interface QueryShape {
  /** "include": only these parameters count; "exclude": all but these. */
  readonly mode: "include" | "exclude";
  /** Names; a `*` at the end stands for any rest. */
  readonly names: readonly string[];
}

/** From a route's config, and from rules on top of it. */
export interface KeyShape {
  /** Null: the whole query counts, as it is spelled. */
  readonly query: QueryShape | null;
  /** Lowercase names of request fields whose values count. */
  readonly headers: readonly string[];
  readonly cookies: readonly string[];
  /** A rule's own words. */
  readonly parts: readonly string[];
}

export const PLAIN_SHAPE: KeyShape = Object.freeze({ query: null, headers: [], cookies: [], parts: [] });

/** What a rule adds to `shape`: lists grow, a query shape takes the place of the one before. */
export function withShape(shape: KeyShape, more: Partial<KeyShape>): KeyShape {
  return {
    query: more.query === undefined ? shape.query : more.query,
    headers: [...shape.headers, ...(more.headers ?? [])],
    cookies: [...shape.cookies, ...(more.cookies ?? [])],
    parts: [...shape.parts, ...(more.parts ?? [])],
  };
}

/** LF stands in no field, target or authority, so it can end each member; a rule's words are written as JSON. */
export function keyOf(partition: string, request: KeyedRequest, shape: KeyShape): string {
  const target = shape.query === null ? request.target : keyedTarget(request.target, shape.query);
  const key = `${partition}${request.upstream}\n${request.scheme}://${request.authority}${target}`;
  if (shape.headers.length === 0 && shape.cookies.length === 0 && shape.parts.length === 0) return key;
  let extra = "";
  for (const name of shape.headers) extra += `\nh:${name}=${request.fields.joined(name) ?? "\t"}`;
  for (const name of shape.cookies) extra += `\nc:${name}=${cookieOf(request.fields, name) ?? "\t"}`;
  for (const part of shape.parts) extra += `\np:${JSON.stringify(part)}`;
  return key + extra;
}

/** The target with only the parameters that count, in their order and spelling. */
export function keyedTarget(target: string, { mode, names }: QueryShape): string {
  const mark = target.indexOf("?");
  if (mark < 0) return target;
  const kept = target
    .slice(mark + 1)
    .split("&")
    .filter((pair) => names.some((name) => named(nameOf(pair), name)) === (mode === "include"));
  return kept.length === 0 ? target.slice(0, mark) : `${target.slice(0, mark)}?${kept.join("&")}`;
}

function nameOf(pair: string): string {
  const equals = pair.indexOf("=");
  const name = (equals < 0 ? pair : pair.slice(0, equals)).replaceAll("+", " ");
  if (!name.includes("%")) return name;
  try {
    return decodeURIComponent(name);
  } catch {
    // No UTF-8: it is compared as it is spelled.
    return name;
  }
}

function named(name: string, pattern: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** The first cookie of that name (RFC 6265 section 5.4), as it is spelled. */
export function cookieOf(fields: Fields, name: string): string | undefined {
  const text = fields.getAll("cookie").join(";");
  for (const pair of text.split(";")) {
    const equals = pair.indexOf("=");
    if (equals >= 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}

/** Where an answer was had, for purges: without scheme and default port, which operators do not think of. */
export function placeOf(authority: string, target: string): string {
  return `//${authority.replace(/:(?:80|443)$/, "")}${target}`;
}
