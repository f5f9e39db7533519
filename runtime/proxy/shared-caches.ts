/** What caches between here and the client, which serve many, are told of an answer; and how it is kept out of them. */
import type { Fields } from "./fields.ts";

const LETTER_L = 108;
/** Of the qualified form (`private="set-cookie"`) the rest may be stored (RFC 9111 section 5.2.2.7). */
const KEPT_OUT = /(?:^|[\s,])(?:private|no-store)\s*(?:,|$)/i;
const LET_IN = /(?:^|[\s,])(?:public|s-maxage)\b|(?:^|[\s,])max-age\s*=\s*"?0*[1-9]/i;
const MAX_AGE = /(?:^|[\s,])max-age\s*=/i;

/** For some caches alone, in place of Cache-Control: `CDN-Cache-Control` and its like (RFC 9213), and the older Surrogate-Control. */
export function isTargeted(name: string): boolean {
  return name.charCodeAt(name.length - 1) === LETTER_L && (name.endsWith("-cache-control") || name === "surrogate-control");
}

/** Whatever the answer said before, no cache keeps it. */
export function keepOut(fields: Fields): void {
  const { list } = fields;
  let kept = 0;
  for (let i = 0; i < list.length; i += 2) {
    if (isTargeted(list[i]!)) continue;
    list[kept] = list[i]!;
    list[kept + 1] = list[i + 1]!;
    kept += 2;
  }
  list.length = kept;
  fields.set("cache-control", "private, no-store");
}

/**
 * Was a shared cache told that it may keep it? A targeted field counts for its caches whatever Cache-Control says (RFC 9213 section 2.2), and a
 * max-age counts before Expires (RFC 9111 section 5.3).
 */
export function isOffered(fields: Fields): boolean {
  const { list } = fields;
  for (let i = 0; i < list.length; i += 2) if (isTargeted(list[i]!) && !KEPT_OUT.test(fields.joined(list[i]!)!)) return true;
  const said = fields.joined("cache-control") ?? "";
  if (KEPT_OUT.test(said)) return false;
  return LET_IN.test(said) || (fields.has("expires") && !MAX_AGE.test(said));
}

/**
 * For an answer with a cookie of ours that nobody offered to shared caches: one that says nothing may be kept all the same, for as long as a cache guesses
 * (RFC 9111 section 4.2.2), and one that must be validated is given out again, cookie and all, after a 304 (section 4.3.4). Browsers keep what they kept.
 */
export function keepToOne(fields: Fields): void {
  const said = fields.joined("cache-control") ?? "";
  if (!KEPT_OUT.test(said)) fields.set("cache-control", said === "" ? "private" : `${said}, private`);
}
