/**
 * Directives meant for this cache alone. Targeted fields (RFC 9213) are structured dictionaries, read strictly: one mistake, and
 * the field counts as absent. Surrogate-Control (W3C Edge Architecture) is older and looser, and may name a device.
 */
import { apply, deltaMs, eachDirective, memberEnd, nothingSaid, type Draft } from "./directives.ts";
import type { ResponseDirectives } from "./terms.ts";

/** The name under which Surrogate-Control may address us, and that a Surrogate-Capability request field announces. */
export const SURROGATE_TOKEN = "sluice";

/** Null: malformed or empty, so that the next field in the list counts (RFC 9213 section 2.2). */
export function parseTargeted(fieldLines: readonly string[]): ResponseDirectives | null {
  const members = parseDictionary(fieldLines.join(", "));
  if (members === null || members.size === 0) return null;
  const draft = nothingSaid();
  for (const [name, value] of members) {
    // "?0" switches a flag off; a length must be an integer, a list of fields a string.
    if (value === false) continue;
    if (value === true) apply(draft, name, null, false);
    else apply(draft, name, String(value), false);
  }
  return draft;
}

/** Null when it says nothing about storing. */
export function parseSurrogateControl(fieldLines: readonly string[]): ResponseDirectives | null {
  const draft = nothingSaid();
  let said = false;
  for (const line of fieldLines) {
    for (let at = 0; at < line.length;) {
      const end = memberEnd(line, at);
      const [directive = "", ...devices] = line.slice(at, end).split(";");
      at = end + 1;
      if (devices.length > 0 && !devices.some((device) => device.trim().toLowerCase() === SURROGATE_TOKEN)) continue;
      eachDirective(directive, (name, value) => {
        said = surrogateDirective(draft, name, value) || said;
      });
    }
  }
  return said ? draft : null;
}

function surrogateDirective(draft: Draft, name: string, value: string | null): boolean {
  if (name === "no-store") {
    draft.noStore = true;
    return true;
  }
  if (name !== "max-age") return false;
  // `max-age=60+600`: fresh for a minute, then servable stale while it is validated.
  const [fresh = "", stale] = (value ?? "").split("+");
  apply(draft, "max-age", fresh, false);
  if (stale !== undefined && draft.staleWhileRevalidateMs < 0) draft.staleWhileRevalidateMs = Math.max(0, deltaMs(stale));
  return true;
}

type BareItem = string | number | boolean;

const KEY = /[a-z*][a-z0-9_\-.*]*/y;
const INTEGER = /-?\d{1,15}(?![\d.])/y;
const DECIMAL = /-?\d{1,12}\.\d{1,3}(?!\d)/y;
const STRING = /"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"/y;
const TOKEN_ITEM = /[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*/y;
const BYTES = /:[A-Za-z0-9+/=]*:/y;
const BOOLEAN = /\?[01]/y;
const SEPARATOR = /[ \t]*,[ \t]*/y;
const SPACES = / */y;

/** A dictionary of structured fields (RFC 9651 section 4.2.2) without inner lists, which no directive takes. Null: malformed. */
export function parseDictionary(text: string): Map<string, BareItem> | null {
  const members = new Map<string, BareItem>();
  const reader = new Reader(text.trim());
  while (!reader.done) {
    const key = reader.take(KEY);
    if (key === null) return null;
    let value: BareItem | null = true;
    if (reader.skip("=")) value = reader.item();
    if (value === null || !reader.parameters()) return null;
    // The last of several with one key counts (RFC 9651 section 4.2.2).
    members.delete(key);
    members.set(key, value);
    if (reader.done) break;
    if (reader.take(SEPARATOR) === null || reader.done) return null;
  }
  return members;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }
  get done(): boolean {
    return this.#at >= this.#text.length;
  }
  take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) return null;
    this.#at = pattern.lastIndex;
    return found[0];
  }
  skip(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }
  item(): BareItem | null {
    const number = this.take(INTEGER) ?? this.take(DECIMAL);
    if (number !== null) return Number(number);
    const string = this.take(STRING);
    if (string !== null) return string.slice(1, -1).replace(/\\(.)/g, "$1");
    const boolean = this.take(BOOLEAN);
    if (boolean !== null) return boolean === "?1";
    return this.take(TOKEN_ITEM) ?? this.take(BYTES);
  }
  /** Skips `;key=value…`; false when malformed. */
  parameters(): boolean {
    while (this.skip(";")) {
      this.take(SPACES);
      if (this.take(KEY) === null) return false;
      if (this.skip("=") && this.item() === null) return false;
    }
    return true;
  }
}
