/**
 * Header or trailer fields of one message, in the order in which they came (RFC 9110 section 5).
 *
 * Invariant that everything downstream leans on: each name is a lowercase token, each value is free of leading
 * and trailing white space and holds only `\t \x20-\x7e \x80-\xff` (a string of bytes, Latin-1). Whoever fills
 * `list` directly (the wire parsers do, for speed) has checked that already; everyone else goes through
 * `isToken` and `isFieldValue` first.
 */
export class Fields {
  /** name, value, name, value, … */
  readonly list: string[];

  constructor(list: string[] = []) {
    this.list = list;
  }

  /** From pairs that the gateway itself wrote; names in lowercase. */
  static of(...pairs: readonly (readonly [name: string, value: string])[]): Fields {
    return new Fields(pairs.flat());
  }

  get size(): number {
    return this.list.length / 2;
  }

  /** The first value of `name` (lowercase), or undefined. */
  get(name: string): string | undefined {
    const list = this.list;
    for (let i = 0; i < list.length; i += 2) if (list[i] === name) return list[i + 1];
    return undefined;
  }

  /** All values of `name`, in order. */
  getAll(name: string): string[] {
    const found: string[] = [];
    const list = this.list;
    for (let i = 0; i < list.length; i += 2) if (list[i] === name) found.push(list[i + 1]!);
    return found;
  }

  /** All values of `name` joined by ", " (RFC 9110 section 5.3), or undefined. Not for Set-Cookie. */
  joined(name: string): string | undefined {
    let value: string | undefined;
    const list = this.list;
    for (let i = 0; i < list.length; i += 2) {
      if (list[i] === name) value = value === undefined ? list[i + 1] : `${value}, ${list[i + 1]}`;
    }
    return value;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  append(name: string, value: string): void {
    this.list.push(name, value);
  }

  /** Replaces the first field of that name in place and drops the others; appends when there is none. */
  set(name: string, value: string): void {
    const list = this.list;
    for (let i = 0; i < list.length; i += 2) {
      if (list[i] !== name) continue;
      list[i + 1] = value;
      this.#deleteFrom(name, i + 2);
      return;
    }
    list.push(name, value);
  }

  delete(name: string): void {
    this.#deleteFrom(name, 0);
  }

  clone(): Fields {
    return new Fields(this.list.slice());
  }

  #deleteFrom(name: string, start: number): void {
    const list = this.list;
    let i = start;
    while (i < list.length && list[i] !== name) i += 2;
    if (i >= list.length) return;
    let kept = i;
    for (; i < list.length; i += 2) {
      if (list[i] === name) continue;
      list[kept] = list[i]!;
      list[kept + 1] = list[i + 1]!;
      kept += 2;
    }
    // Setting `length` leaves compiled code for V8's runtime.
    while (list.length > kept) list.pop();
  }
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// eslint-style ranges written out: HTAB, visible ASCII and space, obs-text. Everything else could end a line or hide one:
// U+010D U+010A written as Latin-1 becomes CR LF.
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** RFC 9110 section 5.6.2. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** May `text` stand as a field value on a wire? (RFC 9110 section 5.5, obs-text allowed.) */
export function isFieldValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}
