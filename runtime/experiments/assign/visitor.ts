/** The visitor cookie: who a browser is for experiments, and for nothing else. */
import { CookieMemory } from "./cookie-memory.ts";
import type { SealKeys } from "./sealed.ts";
import { seal, unseal } from "./sealed.ts";

export const VISITOR_COOKIE = "sluice_visitor";

/** What browsers keep at most (RFC 6265bis section 5.5 caps at 400 days). */
const MAX_AGE_S = 400 * 24 * 60 * 60;
const ID_BYTES = 16;
const ID = /^[A-Za-z0-9_-]{21}[AQgw]$/;
/** An id, a dot and a MAC: anything longer is not ours and is not worth hashing. */
const MAX_CHARACTERS = 45;

/** 128 random bits, handed in, as 22 characters. */
export function visitorIdOf(random: Uint8Array): string {
  if (random.length !== ID_BYTES) throw new RangeError(`a visitor id is made of ${ID_BYTES} octets, found ${random.length}`);
  return Buffer.from(random).toString("base64url");
}

/** A whole Set-Cookie value. `Secure` exactly when the request came by https: it would make a browser on plain http a new visitor each time. */
export function visitorCookie(id: string, keys: SealKeys, https: boolean): string {
  return `${VISITOR_COOKIE}=${seal(id, "visitor", keys)}; Path=/; Max-Age=${MAX_AGE_S}; HttpOnly; SameSite=Lax${https ? "; Secure" : ""}`;
}

/** The id in a cookie's value, or null: absent, forged, or sealed by a key that is gone. */
export function readVisitor(value: string | null, keys: SealKeys): string | null {
  if (value === null || value.length > MAX_CHARACTERS) return null;
  const id = unseal(value, "visitor", keys);
  return id !== null && ID.test(id) ? id : null;
}

/** `readVisitor` with a memory. One for each worker. */
export class VisitorReader {
  readonly #memory: CookieMemory<string>;

  constructor(keys: SealKeys) {
    this.#memory = new CookieMemory((value) => readVisitor(value, keys));
  }

  read(value: string | null): string | null {
    return value === null || value.length > MAX_CHARACTERS ? null : this.#memory.read(value);
  }
}
