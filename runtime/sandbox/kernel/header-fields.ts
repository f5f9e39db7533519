/** `req.headers` and `res.headers`: what the rule changes is seen at once by it and by later rules, and leaves as effects. */
import { str } from "../codec.ts";
import { Effect } from "../protocol.ts";
import { describe } from "./failure.ts";
import type { FieldList } from "./heads.ts";
import type { RuleRun } from "./rule-run.ts";

// Tables and loops, not regular expressions: on a frozen RegExp.prototype V8 leaves its fast path (0.5 µs a test).
const IS_TOKEN = tableOf("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
/** Names that were checked, and how they look in lowercase: rules use the same few again and again. */
const known = new Map<string, string>();
const MAX_KNOWN = 512;
const MAX_KNOWN_UNITS = 64;

/** Framing and hop-by-hop fields (RFC 9110 section 7.6.1) are the gateway's own business. */
export const FRAMING: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export class HeaderFields {
  readonly #fields: FieldList;
  readonly #run: RuleRun;
  /** Why nothing may be changed, or "". */
  readonly #readOnly: string;

  /** Of a request: what is read may make the answer one client's own. */
  readonly #personal: boolean;

  constructor(fields: FieldList, run: RuleRun, readOnly: string, personal = false) {
    this.#fields = fields;
    this.#personal = personal;
    this.#run = run;
    this.#readOnly = readOnly;
  }

  get(name: string): string | null {
    const key = fieldName(name);
    if (this.#personal) this.#run.noteRead("header", key);
    return this.#fields.get(key);
  }
  has(name: string): boolean {
    const key = fieldName(name);
    if (this.#personal) this.#run.noteRead("header", key);
    return this.#fields.has(key);
  }
  getAll(name: string): string[] {
    const key = fieldName(name);
    if (this.#personal) this.#run.noteRead("header", key);
    return this.#fields.getAll(key);
  }
  getSetCookie(): string[] {
    return this.#fields.getAll("set-cookie");
  }
  set(name: string, value: string): void {
    const key = this.#changeable(name);
    const text = fieldValue(key, value);
    this.#run.effect(Effect.SET_FIELD, str(key) + str(text));
    this.#fields.set(key, text);
  }
  append(name: string, value: string): void {
    const key = this.#changeable(name);
    const text = fieldValue(key, value);
    this.#run.effect(Effect.APPEND_FIELD, str(key) + str(text));
    this.#fields.append(key, text);
  }
  delete(name: string): void {
    const key = this.#changeable(name);
    this.#run.effect(Effect.DELETE_FIELD, str(key));
    this.#fields.delete(key);
  }
  /** Fields of one name are joined by ", ", except Set-Cookie, which comes once for each. */
  *entries(): IterableIterator<[name: string, value: string]> {
    if (this.#personal) this.#run.noteRead("header", "*");
    const list = this.#fields.list().slice();
    const seen = new Set<string>();
    for (let i = 0; i < list.length; i += 2) {
      const name = list[i]!;
      if (name === "set-cookie") yield [name, list[i + 1]!];
      else if (!seen.has(name)) {
        seen.add(name);
        yield [name, list.filter((_, at) => at % 2 === 1 && list[at - 1] === name).join(", ")];
      }
    }
  }
  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }
  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }
  forEach(run: (value: string, name: string) => void): void {
    for (const [name, value] of this.entries()) run(value, name);
  }
  [Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    return this.entries();
  }
  toJSON(): Record<string, string> {
    return Object.fromEntries(this.entries());
  }

  #changeable(name: string): string {
    const key = fieldName(name);
    if (this.#readOnly !== "") throw new TypeError(`headers: ${key} cannot be changed: ${this.#readOnly}`);
    if (FRAMING.has(key) || key === "host") throw new TypeError(`headers: ${key} belongs to the gateway and cannot be changed`);
    return key;
  }
}

/** In lowercase. Throws when it is none. */
export function fieldName(name: unknown): string {
  const found = known.get(name as string);
  if (found !== undefined) return found;
  if (typeof name !== "string" || !isToken(name)) throw new TypeError(`headers: ${describe(name)} is no header name (RFC 9110 section 5.1)`);
  const lower = name.toLowerCase();
  if (known.size < MAX_KNOWN && name.length <= MAX_KNOWN_UNITS) {
    // A name that was cut out of a request would keep its whole frame: these are strings of their own.
    const [key, kept] = JSON.parse(JSON.stringify([name, lower])) as [string, string];
    known.set(key, kept);
  }
  return lower;
}

/**
 * Without white space around it. Throws for what may not stand on a wire (RFC 9110 section 5.5): anything else could end the line;
 * U+010D U+010A written as Latin-1 becomes CR LF.
 */
export function fieldValue(name: string, value: unknown): string {
  const text = typeof value === "string" ? value : String(value);
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  for (let at = start; at < end; at++) {
    const unit = text.charCodeAt(at);
    if ((unit < 0x20 && unit !== 0x09) || unit === 0x7f || unit > 0xff)
      throw new TypeError(`headers: the value of ${name} holds characters that no header may hold (RFC 9110 section 5.5)`);
  }
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

function isToken(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    if (IS_TOKEN[text.charCodeAt(at)] !== 1) return false;
  }
  return text !== "";
}

function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09;
}

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(128);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
}
