/** URLSearchParams and `application/x-www-form-urlencoded` (URL Standard sections 5 and 6). */
import { decodeUtf8, encodeUtf8 } from "./encoding.ts";
import { latin1ToBytes } from "./bytes.ts";

type Pair = [name: string, value: string];

export const attach = Symbol("attach");
export const replace = Symbol("replace");

export class URLSearchParams {
  #pairs: Pair[] = [];
  #changed: ((query: string) => void) | null = null;

  constructor(init: unknown = "") {
    if (init === null || init === undefined) return;
    if (typeof init === "object" || typeof init === "function") this.#pairs = pairsOf(init);
    else this.#pairs = parseForm(String(init).toWellFormed().replace(/^\?/, ""));
  }

  /** For URL: the list it shows, and whom to tell when it changes. */
  [attach](query: string, changed: (query: string) => void): void {
    this.#pairs = parseForm(query);
    this.#changed = changed;
  }
  [replace](query: string): void {
    this.#pairs = parseForm(query);
  }

  get size(): number {
    return this.#pairs.length;
  }
  get(name: string): string | null {
    const wanted = usv(name);
    return this.#pairs.find((pair) => pair[0] === wanted)?.[1] ?? null;
  }
  getAll(name: string): string[] {
    const wanted = usv(name);
    return this.#pairs.filter((pair) => pair[0] === wanted).map((pair) => pair[1]);
  }
  has(name: string, value?: string): boolean {
    const wanted = usv(name);
    const exact = value === undefined ? undefined : usv(value);
    return this.#pairs.some((pair) => pair[0] === wanted && (exact === undefined || pair[1] === exact));
  }
  append(name: string, value: string): void {
    if (arguments.length < 2) throw new TypeError("append: name and value are expected");
    this.#pairs.push([usv(name), usv(value)]);
    this.#tell();
  }
  set(name: string, value: string): void {
    if (arguments.length < 2) throw new TypeError("set: name and value are expected");
    const wanted = usv(name);
    const first = this.#pairs.find((pair) => pair[0] === wanted);
    if (first === undefined) this.#pairs.push([wanted, usv(value)]);
    else {
      first[1] = usv(value);
      this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== wanted);
    }
    this.#tell();
  }
  delete(name: string, value?: string): void {
    const wanted = usv(name);
    const exact = value === undefined ? undefined : usv(value);
    this.#pairs = this.#pairs.filter((pair) => pair[0] !== wanted || (exact !== undefined && pair[1] !== exact));
    this.#tell();
  }
  /** Stable, by UTF-16 code units. */
  sort(): void {
    this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#tell();
  }
  *entries(): IterableIterator<Pair> {
    for (let at = 0; at < this.#pairs.length; at++) yield [...this.#pairs[at]!];
  }
  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }
  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }
  forEach(run: (value: string, name: string, params: URLSearchParams) => void, thisArgument?: unknown): void {
    for (const [name, value] of this.entries()) Reflect.apply(run, thisArgument, [value, name, this]);
  }
  [Symbol.iterator](): IterableIterator<Pair> {
    return this.entries();
  }
  toString(): string {
    return serializeForm(this.#pairs);
  }
  #tell(): void {
    this.#changed?.(this.toString());
  }
  get [Symbol.toStringTag](): string {
    return "URLSearchParams";
  }
}

function usv(value: unknown): string {
  return String(value).toWellFormed();
}

function pairsOf(init: object): Pair[] {
  if (Symbol.iterator in init) {
    return Array.from(init as Iterable<Iterable<unknown>>, (entry) => {
      const pair = [...entry];
      if (pair.length !== 2) throw new TypeError("URLSearchParams: pairs of name and value are expected");
      return [usv(pair[0]), usv(pair[1])];
    });
  }
  return Object.entries(init).map(([name, value]) => [usv(name), usv(value)]);
}

export function parseForm(text: string): Pair[] {
  const pairs: Pair[] = [];
  if (text === "") return pairs;
  for (const part of text.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    pairs.push(equals < 0 ? [decode(part), ""] : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))]);
  }
  return pairs;
}

function decode(text: string): string {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  if (!spaced.includes("%")) return spaced;
  // Whole runs at once: one UTF-8 sequence stands in several escapes.
  return spaced.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => {
    const bytes = run.slice(1).split("%");
    return decodeUtf8Escapes(bytes);
  });
}

function decodeUtf8Escapes(hex: readonly string[]): string {
  return decodeUtf8WithMark(Uint8Array.from(hex, (byte) => Number.parseInt(byte, 16)));
}

/** "UTF-8 decode without BOM": a mark at the start stays. */
function decodeUtf8WithMark(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? `\ufeff${text}` : text;
}

export function serializeForm(pairs: Iterable<readonly [string, string]>): string {
  let text = "";
  for (const [name, value] of pairs) text += `${text === "" ? "" : "&"}${encode(name)}=${encode(value)}`;
  return text;
}

function encode(text: string): string {
  return text.replace(/[^A-Za-z0-9*._-]+/g, (run) => {
    let encoded = "";
    for (const byte of /^[\x00-\x7f]*$/.test(run) ? latin1ToBytes(run) : encodeUtf8(run)) {
      encoded += byte === 0x20 ? "+" : `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
    }
    return encoded;
  });
}
