/** May an answer be stored, and what of it (RFC 9111 section 3)? Runs once per answer from an origin, never on a hit. */
import type { Fields } from "../../proxy/fields.ts";
import { httpDate, parseHttpDate } from "./dates.ts";
import { freshnessOf, wordOf, type Word } from "./lifetime.ts";
import type { Freshness, RequestTerms, Storable, StoreOptions, Timing, Uncacheable } from "./terms.ts";
import { varyNamesOf } from "./vary.ts";

/** Statuses whose caching requirements this cache fulfils, for must-understand (RFC 9111 section 5.2.2.3). 206 and 304 are never stored. */
const UNDERSTOOD = new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414, 451, 500, 501, 502, 503, 504]);

/** Not stored: connection-bound, spoken to a proxy, or kept as a number (RFC 9111 section 3.1). */
const NEVER_STORED = new Set([
  "age",
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export function storable(request: RequestTerms, status: number, fields: Fields, options: StoreOptions, timing: Timing): Storable {
  const word = wordOf(fields);
  const varyNames = varyNamesOf(fields);
  const refusal = refusalOf(request, status, fields, word, varyNames, options);
  if (refusal !== null) return refuse(refusal, options);
  const freshness = freshnessOf(status, word, fields, options, timing);
  if (freshness === null) return refuse("no-lifetime", options);
  if (isUseless(freshness, fields, timing)) {
    const said = word.targeted || fields.has("cache-control") || fields.has("expires");
    return refuse(said ? "expired" : "no-lifetime", options);
  }
  return { store: true, freshness, varyNames: varyNames!, fields: storedFields(fields, word, options, timing) };
}

function refusalOf(
  request: RequestTerms,
  status: number,
  fields: Fields,
  word: Word,
  varyNames: readonly string[] | null,
  options: StoreOptions,
): Uncacheable | null {
  const { directives } = word;
  if (request.kind !== "get") return "method";
  if (status < 200 || status === 206 || status === 304) return "status";
  if (varyNames === null) return "vary-any";
  if (options.cacheability === "no" || options.cacheability === "uncacheable") return "rule";
  if (request.directives?.noStore === true) return "request-no-store";
  if (options.cacheability === "yes") return null;
  if (directives.mustUnderstand && !UNDERSTOOD.has(status)) return "not-understood";
  // must-understand lets a cache that understands the status pass over the no-store beside it.
  if (directives.noStore && !directives.mustUnderstand) return "no-store";
  if (directives.private) return "private";
  const shared = directives.public || directives.sMaxAgeMs >= 0;
  // RFC 9111 section 3.5.
  if (request.authorization && !shared && !directives.mustRevalidate) return "authorization";
  if (options.setCookie === "explicit" && fields.has("set-cookie") && !shared && !word.targeted) return "set-cookie";
  return null;
}

/** What lies in one request alone leaves no marker: a client could switch off coalescing for everybody. */
function refuse(reason: Uncacheable, options: StoreOptions): Storable {
  const alone = reason === "method" || reason === "request-no-store" || (reason === "rule" && options.cacheability === "no");
  return { store: false, reason, hitForMissMs: alone ? 0 : options.hitForMissMs };
}

/** Neither fresh, nor servable stale, nor able to be validated. */
function isUseless(freshness: Freshness, fields: Fields, timing: Timing): boolean {
  if (freshness.staleIfErrorUntilMs > timing.responseAtMs) return false;
  return !fields.has("etag") && !fields.has("last-modified");
}

function storedFields(fields: Fields, word: Word, options: StoreOptions, timing: Timing): Fields {
  const stored = fields.clone();
  const { list } = stored;
  const withoutCookies = options.setCookie === "strip" || (options.cacheability === "yes" && options.setCookie !== "store");
  const withheld = new Set(word.directives.withheldFields);
  let kept = 0;
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i]!;
    if (NEVER_STORED.has(name) || withheld.has(name) || (withoutCookies && name === "set-cookie")) continue;
    list[kept] = name;
    list[kept + 1] = list[i + 1]!;
    kept += 2;
  }
  list.length = kept;
  // RFC 9110 section 6.6.1: who has a clock adds a Date that is missing; one that can't be read is worth no more.
  if (Number.isNaN(parseHttpDate(stored.get("date") ?? "", timing.responseAtMs))) stored.set("date", httpDate(timing.responseAtMs));
  return stored;
}
