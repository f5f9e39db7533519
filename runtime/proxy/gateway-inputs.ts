/**
 * What a request says to the gateway alone: the debug and preview headers, and cookies of the gateway's own. They are taken out at the beginning,
 * whoever sent them, genuine or not: no rule, no cache key and no origin sees them.
 */
import { DEBUG_HEADER } from "../security/debug-token.ts";
import { PREVIEW_NAME } from "../security/preview-token.ts";
import type { Fields } from "./fields.ts";

/** All cookies of the gateway begin with one of these. */
const OWN_COOKIE = /^sluice[_-]/;
/** A cookie without a name comes back as its value alone (RFC 6265bis section 5.7): `=sluice_visitor=…` is sent as one of ours. */
const OWN_SET_COOKIE = /^[\t =]*sluice[_-][^=; \t]*/;
const LETTER_C = 99;
const LETTER_S = 115;

export class GatewayInputs {
  debug = "";
  /** A preview's token, of the header or else of the cookie. */
  preview = "";
  previewByCookie = false;
  /** Name, value, name, value, … of cookies of the gateway's own; null: none. */
  #cookies: string[] | null = null;

  /** The first of that name (RFC 6265 section 5.4), or null. */
  cookie(name: string): string | null {
    const list = this.#cookies;
    if (list === null) return null;
    for (let i = 0; i < list.length; i += 2) if (list[i] === name) return list[i + 1]!;
    return null;
  }
  takeCookies(pairs: string[]): void {
    this.#cookies = this.#cookies === null ? pairs : [...pairs, ...this.#cookies];
  }
}

/** Of nearly all requests. Never changed. */
export const NO_INPUTS = new GatewayInputs();
Object.freeze(NO_INPUTS);

/** Backwards, so that of a header that stands twice the first one counts. */
export function takeInputs({ list }: Fields): GatewayInputs {
  let inputs: GatewayInputs | null = null;
  for (let i = list.length - 2; i >= 0; i -= 2) {
    const name = list[i]!;
    const first = name.charCodeAt(0);
    if (first === LETTER_S) {
      if (name === DEBUG_HEADER) (inputs ??= new GatewayInputs()).debug = list[i + 1]!;
      else if (name === PREVIEW_NAME) (inputs ??= new GatewayInputs()).preview = list[i + 1]!;
      else continue;
      list.splice(i, 2);
    } else if (first === LETTER_C && name === "cookie" && list[i + 1]!.includes("sluice")) {
      const { own, others } = splitCookies(list[i + 1]!);
      if (own.length === 0) continue;
      (inputs ??= new GatewayInputs()).takeCookies(own);
      if (others === "") list.splice(i, 2);
      else list[i + 1] = others;
    }
  }
  if (inputs === null) return NO_INPUTS;
  const cookie = inputs.preview === "" ? inputs.cookie(PREVIEW_NAME) : null;
  if (cookie !== null) {
    inputs.preview = cookie;
    inputs.previewByCookie = true;
  }
  return inputs;
}

function splitCookies(text: string): { readonly own: string[]; readonly others: string } {
  const own: string[] = [];
  const others: string[] = [];
  for (const pair of text.split(";")) {
    const equals = pair.indexOf("=");
    const name = (equals < 0 ? pair : pair.slice(0, equals)).trim();
    if (OWN_COOKIE.test(name)) own.push(name, equals < 0 ? "" : pair.slice(equals + 1).trim());
    else others.push(pair.trim());
  }
  return { own, others: others.join("; ") };
}

/**
 * Takes out what an answer of an origin would set of the gateway's own cookies: whoever writes a page may not write who a visitor is, nor end their preview. The
 * name of the first one; "": there is none.
 */
export function dropOwnCookies({ list }: Fields): string {
  let dropped = "";
  for (let i = list.length - 2; i >= 0; i -= 2) {
    if (list[i] !== "set-cookie") continue;
    const own = OWN_SET_COOKIE.exec(list[i + 1]!);
    if (own === null) continue;
    dropped = own[0].replace(/^[\t =]+/, "");
    list.splice(i, 2);
  }
  return dropped;
}
