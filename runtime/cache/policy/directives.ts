/**
 * Cache-Control (RFC 9111 section 5.2), as strict as its section 4.2.1: what restricts counts however badly it is
 * written, a lifetime that can't be read is no lifetime, the first of several counts.
 */
import type { RequestDirectives, ResponseDirectives } from "./terms.ts";

/** Lengths past this say "for ever" (RFC 9111 section 1.2.2: at least 2^31 seconds). */
const LONGEST_SECONDS = 2_147_483_648;

const DELTA_SECONDS = /^\d+$/;

/** Milliseconds, or -1 when it isn't a number of seconds. */
export function deltaMs(text: string | null): number {
  if (text === null || !DELTA_SECONDS.test(text)) return -1;
  return Math.min(Number(text), LONGEST_SECONDS) * 1000;
}

/** `value`: unquoted; null when there is none. `broken`: the argument isn't a token or quoted string. */
export type DirectiveVisitor = (name: string, value: string | null, broken: boolean) => void;

/** Visits each member of a comma-separated list of `name`, `name=token` or `name="quoted string"`; names in lowercase. */
export function eachDirective(line: string, visit: DirectiveVisitor): void {
  let at = 0;
  while (at < line.length) {
    const end = memberEnd(line, at);
    const member = line.slice(at, end).trim();
    at = end + 1;
    if (member === "") continue;
    const equals = member.indexOf("=");
    if (equals < 0) {
      visit(member.toLowerCase(), null, false);
      continue;
    }
    const name = member.slice(0, equals);
    const argument = member.slice(equals + 1);
    const value = unquoted(argument);
    // No white space may stand around "=".
    const broken = value === null || name.trimEnd() !== name || argument.trimStart() !== argument;
    visit(name.trimEnd().toLowerCase(), broken ? null : value, broken);
  }
}

/** The next comma outside of quoted strings. */
export function memberEnd(line: string, start: number): number {
  let quoted = false;
  for (let i = start; i < line.length; i++) {
    const code = line.charCodeAt(i);
    if (code === 0x22) quoted = !quoted;
    else if (code === 0x5c && quoted) i++;
    else if (code === 0x2c && !quoted) return i;
  }
  return line.length;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const QUOTED = /^"(?:[^"\\]|\\.)*"$/;

function unquoted(argument: string): string | null {
  if (TOKEN.test(argument)) return argument;
  return QUOTED.test(argument) ? argument.slice(1, -1).replace(/\\(.)/g, "$1") : null;
}

/** A `ResponseDirectives` that is still being filled. */
export type Draft = { -readonly [K in keyof ResponseDirectives]: ResponseDirectives[K] } & { withheldFields: string[] };

export function nothingSaid(): Draft {
  return {
    noStore: false,
    noCache: false,
    private: false,
    withheldFields: [],
    public: false,
    mustRevalidate: false,
    proxyRevalidate: false,
    mustUnderstand: false,
    immutable: false,
    maxAgeMs: -1,
    sMaxAgeMs: -1,
    staleWhileRevalidateMs: -1,
    staleIfErrorMs: -1,
  };
}

export function parseCacheControl(fieldLines: readonly string[]): ResponseDirectives {
  const draft = nothingSaid();
  for (const line of fieldLines) eachDirective(line, (name, value, broken) => apply(draft, name, value, broken));
  return draft;
}

/** One directive of a response. */
export function apply(draft: Draft, name: string, value: string | null, broken: boolean): void {
  switch (name) {
    case "no-store":
      draft.noStore = true;
      return;
    case "no-cache":
      draft.noCache = withhold(draft, value) || draft.noCache;
      return;
    case "private":
      draft.private = withhold(draft, value) || draft.private;
      return;
    case "public":
      draft.public = !broken;
      return;
    case "must-revalidate":
      draft.mustRevalidate = true;
      return;
    case "proxy-revalidate":
      draft.proxyRevalidate = true;
      return;
    case "must-understand":
      draft.mustUnderstand = true;
      return;
    case "immutable":
      draft.immutable = true;
      return;
    case "max-age":
      draft.maxAgeMs = firstLength(draft.maxAgeMs, value);
      return;
    case "s-maxage":
      draft.sMaxAgeMs = firstLength(draft.sMaxAgeMs, value);
      return;
    case "stale-while-revalidate":
      draft.staleWhileRevalidateMs = firstLength(draft.staleWhileRevalidateMs, value);
      return;
    case "stale-if-error":
      draft.staleIfErrorMs = firstLength(draft.staleIfErrorMs, value);
      return;
    default:
  }
}

/** The first of several counts; one that can't be read makes the answer stale (RFC 9111 section 4.2.1). */
function firstLength(found: number, value: string | null): number {
  const length = deltaMs(value);
  if (length < 0) return 0;
  return found < 0 ? length : found;
}

/** Notes the fields that `no-cache="…"` or `private="…"` names; true when it names none, and so means the whole answer. */
function withhold(draft: Draft, value: string | null): boolean {
  const names = (value ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
  draft.withheldFields.push(...names);
  return names.length === 0;
}

/** RFC 9111 section 5.2.1; what can't be read asks for nothing. Null when nothing is asked for. */
export function parseRequestDirectives(fieldLines: readonly string[]): RequestDirectives | null {
  let asked = false;
  const draft = { noCache: false, noStore: false, onlyIfCached: false, maxAgeMs: -1, minFreshMs: -1, maxStaleMs: -1, staleIfErrorMs: -1 };
  const visit: DirectiveVisitor = (name, value, broken) => {
    if (broken) return;
    const length = deltaMs(value);
    if (name === "no-cache") draft.noCache = true;
    else if (name === "no-store") draft.noStore = true;
    else if (name === "only-if-cached") draft.onlyIfCached = true;
    else if (name === "max-age" && length >= 0) draft.maxAgeMs = length;
    else if (name === "min-fresh" && length >= 0) draft.minFreshMs = length;
    else if (name === "max-stale" && value === null) draft.maxStaleMs = Infinity;
    else if (name === "max-stale" && length >= 0) draft.maxStaleMs = length;
    else if (name === "stale-if-error" && length >= 0) draft.staleIfErrorMs = length;
    else return;
    asked = true;
  };
  for (const line of fieldLines) eachDirective(line, visit);
  return asked ? draft : null;
}
