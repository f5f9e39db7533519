/** Headers (Fetch Standard section 5.1). */

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** A byte sequence without NUL, CR and LF. */
const VALUE = /^[\x01-\x09\x0b\x0c\x0e-\xff]*$/;

export const freeze = Symbol("freeze");
export const raw = Symbol("raw");

export class Headers {
  /** name in lowercase, value, name, value, … in the order in which they came. */
  readonly #list: string[] = [];
  #immutable = false;

  constructor(init?: unknown) {
    if (init === undefined) return;
    if ((typeof init !== "object" && typeof init !== "function") || init === null) throw new TypeError("Headers: an object or pairs are expected");
    if (init instanceof Headers) {
      this.#list = init.#list.slice();
      return;
    }
    if (Symbol.iterator in init) {
      for (const entry of init as Iterable<Iterable<unknown>>) {
        const pair = [...entry];
        if (pair.length !== 2) throw new TypeError("Headers: pairs of name and value are expected");
        this.append(pair[0] as string, pair[1] as string);
      }
      return;
    }
    for (const name of Reflect.ownKeys(init)) {
      if (typeof name === "symbol") throw new TypeError("Headers: a symbol is no name");
      if (Object.prototype.propertyIsEnumerable.call(init, name)) this.append(name, (init as Record<string, string>)[name] as string);
    }
  }

  /** For the gateway's own: a list of names and values taken as it is. */
  static [raw](list: readonly string[]): Headers {
    const headers = new Headers();
    for (const text of list) headers.#list.push(text);
    return headers;
  }
  /** In the order in which they came, names repeated. */
  get [raw](): readonly string[] {
    return this.#list;
  }
  [freeze](): this {
    this.#immutable = true;
    return this;
  }

  append(name: string, value: string): void {
    const key = keyOf(name);
    const text = valueOf(key, value);
    this.#expectMutable();
    this.#list.push(key, text);
  }
  set(name: string, value: string): void {
    const key = keyOf(name);
    const text = valueOf(key, value);
    this.#expectMutable();
    const at = this.#indexOf(key);
    if (at < 0) {
      this.#list.push(key, text);
      return;
    }
    this.#list[at + 1] = text;
    this.#deleteFrom(key, at + 2);
  }
  delete(name: string): void {
    const key = keyOf(name);
    this.#expectMutable();
    this.#deleteFrom(key, 0);
  }
  get(name: string): string | null {
    const key = keyOf(name);
    let value: string | null = null;
    for (let at = 0; at < this.#list.length; at += 2) {
      if (this.#list[at] === key) value = value === null ? this.#list[at + 1]! : `${value}, ${this.#list[at + 1]!}`;
    }
    return value;
  }
  has(name: string): boolean {
    return this.#indexOf(keyOf(name)) >= 0;
  }
  getSetCookie(): string[] {
    return this.#list.filter((_, at) => at % 2 === 1 && this.#list[at - 1] === "set-cookie");
  }
  *entries(): IterableIterator<[string, string]> {
    // Sorted and combined, and asked for at each step, since the standard's iterator is live.
    for (let at = 0; ; at++) {
      const pair = (this.#sorted ??= this.#sort())[at];
      if (pair === undefined) return;
      yield [pair[0], pair[1]];
    }
  }
  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }
  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }
  forEach(run: (value: string, name: string, headers: Headers) => void, thisArgument?: unknown): void {
    if (typeof run !== "function") throw new TypeError("forEach: a function is expected");
    for (const [name, value] of this.entries()) Reflect.apply(run, thisArgument, [value, name, this]);
  }
  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }
  get [Symbol.toStringTag](): string {
    return "Headers";
  }

  /** Kept until the next change. */
  #sorted: readonly (readonly [string, string])[] | null = null;

  #sort(): readonly (readonly [string, string])[] {
    const names = [...new Set(this.#list.filter((_, at) => at % 2 === 0))].sort();
    return names.flatMap((name): [string, string][] => (name === "set-cookie" ? this.getSetCookie().map((value) => [name, value]) : [[name, this.get(name)!]]));
  }
  /** Before each change. */
  #expectMutable(): void {
    this.#sorted = null;
    if (this.#immutable) throw new TypeError("Headers: these are immutable; copy them with new Headers(headers)");
  }
  #indexOf(key: string): number {
    for (let at = 0; at < this.#list.length; at += 2) if (this.#list[at] === key) return at;
    return -1;
  }
  #deleteFrom(key: string, start: number): void {
    let kept = start;
    for (let at = start; at < this.#list.length; at += 2) {
      if (this.#list[at] === key) continue;
      this.#list[kept] = this.#list[at]!;
      this.#list[kept + 1] = this.#list[at + 1]!;
      kept += 2;
    }
    this.#list.length = kept;
  }
}

function keyOf(name: unknown): string {
  const text = String(name);
  if (!TOKEN.test(text)) throw new TypeError(`Headers: ${JSON.stringify(text.slice(0, 80))} is no header name`);
  return text.toLowerCase();
}

function valueOf(key: string, value: unknown): string {
  const text = String(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (!VALUE.test(text)) throw new TypeError(`Headers: the value of ${key} holds characters that no header may hold`);
  return text;
}
