/** Sticky assignments: what a unit saw, remembered in a signed cookie, so that ramps down, new weights and a login move nobody. */
import { CookieMemory } from "./cookie-memory.ts";
import { fnv32a } from "./hash.ts";
import type { StickyEntry, UnitSource } from "./plan.ts";
import type { SealKeys } from "./sealed.ts";
import { seal, unseal } from "./sealed.ts";

export const STICKY_COOKIE = "sluice_sticky";

/** The newest are kept. */
const MAX_ENTRIES = 32;
/** Browsers keep 4,096 octets of a cookie, name and attributes included (RFC 6265bis section 5.5). */
const MAX_CHARACTERS = 3500;
/** With its seal. */
const MAX_VALUE = MAX_CHARACTERS + 32;
const MAX_AGE_S = 400 * 24 * 60 * 60;

/** Says whose entry it is without saying who: a user's id does not belong in a cookie. */
export function unitTag(source: UnitSource, value: string): string {
  return fnv32a(identityOf(source, value)).toString(36);
}

/** The same value is another unit in another place. */
export function identityOf(source: UnitSource, value: string): string {
  return `${source.kind}:${"name" in source ? source.name : ""}:${value}`;
}

/** Puts an entry in, in place of an older one of the same unit and experiment. */
export function remember(entries: readonly StickyEntry[], entry: StickyEntry): readonly StickyEntry[] {
  const others = entries.filter(({ unitTag, experiment }) => unitTag !== entry.unitTag || experiment !== entry.experiment);
  return [...others, entry].slice(-MAX_ENTRIES);
}

/** A whole Set-Cookie value; the oldest entries are left out when they do not fit. */
export function stickyCookie(entries: readonly StickyEntry[], keys: SealKeys, https: boolean): string {
  let kept = entries.slice(-MAX_ENTRIES);
  let payload = written(kept);
  while (payload.length > MAX_CHARACTERS) {
    kept = kept.slice(1);
    payload = written(kept);
  }
  return `${STICKY_COOKIE}=${seal(payload, "sticky", keys)}; Path=/; Max-Age=${MAX_AGE_S}; HttpOnly; SameSite=Lax${https ? "; Secure" : ""}`;
}

/** The entries in a cookie's value; none when it is absent, forged or from another version of Sluice. */
export function readSticky(value: string | null, keys: SealKeys): readonly StickyEntry[] {
  return value === null ? [] : (opened(value, keys) ?? []);
}

/** `readSticky` with a memory. One for each worker. */
export class StickyReader {
  readonly #memory: CookieMemory<readonly StickyEntry[]>;

  constructor(keys: SealKeys) {
    this.#memory = new CookieMemory((value) => opened(value, keys));
  }

  read(value: string | null): readonly StickyEntry[] {
    return value === null || value.length > MAX_VALUE ? [] : (this.#memory.read(value) ?? []);
  }
}

/** null: not genuine. */
function opened(value: string, keys: SealKeys): readonly StickyEntry[] | null {
  if (value.length > MAX_VALUE) return null;
  const payload = unseal(value, "sticky", keys);
  if (payload === null) return null;
  if (payload === "") return [];
  return payload.split("|").flatMap((text) => {
    const [unitTag, experiment, version, variant, ...rest] = text.split("~");
    if (unitTag === undefined || experiment === undefined || version === undefined || variant === undefined || rest.length > 0) return [];
    if (!/^\d{1,9}$/.test(version)) return [];
    return [{ unitTag, experiment: decoded(experiment), bucketVersion: Number(version), variant: decoded(variant) }];
  });
}

function written(entries: readonly StickyEntry[]): string {
  return entries.map(({ unitTag, experiment, bucketVersion, variant }) => `${unitTag}~${encoded(experiment)}~${bucketVersion}~${encoded(variant)}`).join("|");
}

/** Keys may hold anything; what separates entries, and what a cookie may not carry, is escaped. The text is our own, so decoding cannot fail. */
const encoded = (text: string): string => encodeURIComponent(text).replaceAll("~", "%7E");
const decoded = (text: string): string => decodeURIComponent(text);
