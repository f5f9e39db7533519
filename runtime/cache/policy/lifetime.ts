/** How old an answer is when it comes, and how long it stays fresh (RFC 9111 sections 4.2.1 to 4.2.3). */
import type { Fields } from "../../proxy/fields.ts";
import { parseHttpDate } from "./dates.ts";
import { deltaMs, parseCacheControl } from "./directives.ts";
import { parseSurrogateControl, parseTargeted } from "./targeted.ts";
import type { Freshness, ResponseDirectives, StoreOptions, Timing } from "./terms.ts";

/** RFC 9110 section 15.1: may be stored without a word from the origin. 206 is not stored here at all. */
const HEURISTICALLY_CACHEABLE = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);

/** The directives that count, and whether they were meant for caches like this one. */
export interface Word {
  readonly directives: ResponseDirectives;
  readonly targeted: boolean;
}

/** RFC 9213 section 2.2: the first valid field of our list takes the place of Cache-Control and Expires. */
export function wordOf(fields: Fields): Word {
  for (const name of ["sluice-cache-control", "cdn-cache-control"]) {
    const lines = fields.getAll(name);
    const directives = lines.length === 0 ? null : parseTargeted(lines);
    if (directives !== null) return { directives, targeted: true };
  }
  const lines = fields.getAll("surrogate-control");
  const surrogate = lines.length === 0 ? null : parseSurrogateControl(lines);
  if (surrogate !== null) return { directives: surrogate, targeted: true };
  return { directives: parseCacheControl(fields.getAll("cache-control")), targeted: false };
}

/** Milliseconds; 0 without Age; -1 when Age makes no sense: then it can't be told to be fresh. */
function ageValueMs(fields: Fields): number {
  const lines = fields.getAll("age");
  if (lines.length === 0) return 0;
  if (lines.length > 1) return -1;
  const members = lines[0]!.split(",").map((member) => member.trim());
  // The first member of a list counts (RFC 9111 section 5.1), but not when it was only written twice: that is a
  // defective cache on the way, and the public cache tests want such answers to be stale.
  if (members.length > 1 && new Set(members).size < members.length) return -1;
  return deltaMs(members[0]!);
}

/**
 * When the answer was made, on our clock (RFC 9111 section 4.2.3). Through other caches (Age, Via) the larger of both of its ways
 * to tell the age counts. Straight from an origin the smaller: Date alone would tell of a clock that goes slow, so that nothing
 * would ever be fresh; the time that the answer took alone would expire what a slow origin lets live for a second.
 */
function bornAt(fields: Fields, dateMs: number, ageMs: number, timing: Timing): number {
  const { requestAtMs, responseAtMs } = timing;
  const correctedMs = Math.max(0, ageMs) + Math.max(0, responseAtMs - requestAtMs);
  // Date has a resolution of one second: without rounding every answer would lose up to one of its lifetime.
  const apparentMs = Math.max(0, Math.floor((responseAtMs - dateMs) / 1000) * 1000);
  if (Number.isNaN(dateMs)) return responseAtMs - correctedMs;
  if (fields.has("via")) return responseAtMs - Math.max(correctedMs, apparentMs);
  return responseAtMs - (fields.has("age") ? correctedMs : Math.min(correctedMs, apparentMs));
}

/** -1: the origin named no lifetime. */
function explicitMs(word: Word, fields: Fields, dateMs: number, nowMs: number): number {
  const { directives } = word;
  if (directives.sMaxAgeMs >= 0) return directives.sMaxAgeMs;
  if (directives.maxAgeMs >= 0) return directives.maxAgeMs;
  const expires = word.targeted ? undefined : fields.get("expires");
  if (expires === undefined) return -1;
  const expiresMs = parseHttpDate(expires, nowMs);
  // An invalid one, "0" above all, lies in the past (RFC 9111 section 5.3).
  return Number.isNaN(expiresMs) ? 0 : Math.max(0, expiresMs - dateMs);
}

/** -1: none. */
function impliedMs(status: number, word: Word, fields: Fields, options: StoreOptions, dateMs: number, nowMs: number): number {
  const byStatusMs = options.statusMs.get(status);
  if (byStatusMs !== undefined) return byStatusMs;
  if (!HEURISTICALLY_CACHEABLE.has(status) && !word.directives.public && options.cacheability !== "yes") return -1;
  const modified = options.heuristicLimitMs > 0 ? fields.get("last-modified") : undefined;
  const modifiedMs = modified === undefined ? NaN : parseHttpDate(modified, nowMs);
  // An error that a client can provoke (404, 405, 414, 501) is not to stand for everybody by default: `statusMs` names those that may.
  if (Number.isNaN(modifiedMs)) return status < 400 || options.cacheability === "yes" ? options.defaultMs : 0;
  return Math.min(options.heuristicLimitMs, Math.max(0, dateMs - modifiedMs) / 10);
}

/** Null: nobody, neither origin nor config nor rule, gave it a lifetime, and its status allows no guess. */
export function freshnessOf(status: number, word: Word, fields: Fields, options: StoreOptions, timing: Timing): Freshness | null {
  const { directives } = word;
  const { responseAtMs } = timing;
  const saidMs = parseHttpDate(fields.get("date") ?? "", responseAtMs);
  const ageMs = ageValueMs(fields);
  const bornAtMs = bornAt(fields, saidMs, ageMs, timing);
  // The origin's clock, or ours when it gave none that can be read (RFC 9110 section 6.6.1).
  const dateMs = Number.isNaN(saidMs) ? responseAtMs : saidMs;

  let freshUntilMs: number;
  if (options.lifetimeMs >= 0) {
    // A rule counts from now, as an operator does: "keep this for a minute".
    freshUntilMs = responseAtMs + Math.min(options.lifetimeMs, options.maxMs);
  } else {
    let lifetimeMs = explicitMs(word, fields, dateMs, responseAtMs);
    if (lifetimeMs < 0) lifetimeMs = impliedMs(status, word, fields, options, dateMs, responseAtMs);
    if (lifetimeMs < 0) return null;
    freshUntilMs = ageMs < 0 || directives.noCache ? bornAtMs : bornAtMs + Math.min(lifetimeMs, options.maxMs);
  }
  return withStaleness(directives, options, bornAtMs, freshUntilMs);
}

/**
 * must-revalidate and proxy-revalidate forbid every stale use; s-maxage too (RFC 9111 section 5.2.2.10), but there an explicit
 * stale-while-revalidate beside it counts: that pair is how origins commonly address shared caches.
 */
function withStaleness(directives: ResponseDirectives, options: StoreOptions, bornAtMs: number, freshUntilMs: number): Freshness {
  const forbidden = directives.mustRevalidate || directives.proxyRevalidate || directives.noCache;
  const staleAllowed = !forbidden && directives.sMaxAgeMs < 0;
  const allowedMs = (said: number, configured: number) => (forbidden ? 0 : said >= 0 ? said : staleAllowed ? configured : 0);
  const staleWhileRevalidateUntilMs = freshUntilMs + allowedMs(directives.staleWhileRevalidateMs, options.staleWhileRevalidateMs);
  const staleIfErrorUntilMs = freshUntilMs + allowedMs(directives.staleIfErrorMs, options.staleIfErrorMs);
  return {
    bornAtMs,
    freshUntilMs,
    staleWhileRevalidateUntilMs,
    // What may be served stale anyway may be so when the origin fails.
    staleIfErrorUntilMs: Math.max(staleIfErrorUntilMs, staleWhileRevalidateUntilMs),
    staleAllowed,
    immutable: directives.immutable,
  };
}
