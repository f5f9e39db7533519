/** Conditions in both directions: ours to the origin, the client's to us (RFC 9110 section 13, RFC 9111 section 4.3). */
import type { Fields } from "../../proxy/fields.ts";
import { httpDate, parseHttpDate } from "./dates.ts";
import { SURROGATE_TOKEN } from "./targeted.ts";
import type { Freshness } from "./terms.ts";

/** Conditions and ranges are the client's; what fills the cache must be whole. */
const CLIENTS_OWN = ["if-none-match", "if-modified-since", "if-range", "range"];

/** Tells the origin that it may address us in Surrogate-Control (W3C Edge Architecture section 2.1). */
const CAPABILITY = `${SURROGATE_TOKEN}="Surrogate/1.0"`;

export function originFields(request: Fields, stored: Fields | null): Fields {
  const fields = request.clone();
  for (const name of CLIENTS_OWN) fields.delete(name);
  fields.append("surrogate-capability", CAPABILITY);
  if (stored === null) return fields;
  const etag = stored.get("etag");
  const lastModified = stored.get("last-modified");
  if (etag !== undefined) fields.append("if-none-match", etag);
  if (lastModified !== undefined) fields.append("if-modified-since", lastModified);
  return fields;
}

/** They describe the stored bytes, which a 304 does not change (RFC 9111 section 3.2), or belong to one connection. */
const KEPT = new Set([
  "content-encoding",
  "content-length",
  "content-md5",
  "content-digest",
  "repr-digest",
  "digest",
  "content-range",
  "etag",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export function merge304(stored: Fields, answer: Fields, responseAtMs: number): Fields {
  const merged = stored.clone();
  const { list } = answer;
  for (let i = 0; i < list.length; i += 2) if (!KEPT.has(list[i]!)) merged.delete(list[i]!);
  for (let i = 0; i < list.length; i += 2) if (!KEPT.has(list[i]!)) merged.append(list[i]!, list[i + 1]!);
  // The old Date would make the freshened answer as old as the first one.
  if (!answer.has("date")) merged.set("date", httpDate(responseAtMs));
  return merged;
}

export function headEffect(stored: Fields, storedLengthBytes: number, answer: Fields, declaredLengthBytes: number): "update" | "invalidate" {
  if (declaredLengthBytes >= 0 && storedLengthBytes >= 0 && declaredLengthBytes !== storedLengthBytes) return "invalidate";
  for (const name of ["etag", "last-modified"]) {
    const now = answer.get(name);
    if (now !== undefined && now !== stored.get(name)) return "invalidate";
  }
  return "update";
}

export function notModifiedFor(request: Fields, stored: Fields, entry: Freshness): boolean {
  const noneMatch = request.joined("if-none-match");
  // If-Modified-Since counts only without If-None-Match (RFC 9110 section 13.2.2).
  if (noneMatch !== undefined) return matchesAny(noneMatch, stored.get("etag"));
  const since = request.get("if-modified-since");
  if (since === undefined) return false;
  const sinceMs = parseHttpDate(since, entry.bornAtMs);
  if (Number.isNaN(sinceMs)) return false;
  const lastModified = stored.get("last-modified") ?? stored.get("date") ?? "";
  // False for NaN too: without a date to compare nothing is known (RFC 9111 section 4.3.2).
  return parseHttpDate(lastModified, entry.bornAtMs) <= sinceMs;
}

const ENTITY_TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

/** Weak comparison (RFC 9110 section 8.8.3.2). */
function matchesAny(list: string, etag: string | undefined): boolean {
  if (list === "*") return true;
  if (etag === undefined) return false;
  if (list === etag) return true;
  const opaque = withoutWeakness(etag);
  for (const [tag] of list.matchAll(ENTITY_TAG)) if (withoutWeakness(tag) === opaque) return true;
  return false;
}

function withoutWeakness(tag: string): string {
  return tag.startsWith("W/") ? tag.slice(2) : tag;
}

/** What a 304 carries (RFC 9110 section 15.4.5); Last-Modified only where no entity tag says more. */
const IN_304 = new Set(["cache-control", "cdn-cache-control", "content-location", "date", "etag", "expires", "vary"]);

export function notModifiedFields(stored: Fields): Fields {
  const fields = stored.clone();
  const { list } = fields;
  const hasTag = stored.has("etag");
  let kept = 0;
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i]!;
    if (!IN_304.has(name) && !(name === "last-modified" && !hasTag)) continue;
    list[kept] = name;
    list[kept + 1] = list[i + 1]!;
    kept += 2;
  }
  list.length = kept;
  return fields;
}
