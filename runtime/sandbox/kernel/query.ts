/** `req.query`: parameters as `application/x-www-form-urlencoded` decodes them; a change rewrites the query, an untouched one keeps its spelling. */
import { URLSearchParams } from "./web/search-params.ts";

export class Query {
  readonly #read: () => string;
  readonly #write: (query: string) => void;
  /** The spelling that `#params` was read from. */
  #text = "";
  #params: URLSearchParams | null = null;

  constructor(read: () => string, write: (query: string) => void) {
    this.#read = read;
    this.#write = write;
  }

  get(name: string): string | null {
    return this.#parsed().get(name);
  }
  getAll(name: string): string[] {
    return this.#parsed().getAll(name);
  }
  has(name: string, value?: string): boolean {
    return value === undefined ? this.#parsed().has(name) : this.#parsed().has(name, value);
  }
  get size(): number {
    return this.#parsed().size;
  }
  set(name: string, value: string): void {
    this.#parsed().set(name, value);
    this.#changed();
  }
  append(name: string, value: string): void {
    this.#parsed().append(name, value);
    this.#changed();
  }
  delete(name: string, value?: string): void {
    const params = this.#parsed();
    const before = params.size;
    if (value === undefined) params.delete(name);
    else params.delete(name, value);
    // What was not there leaves the spelling alone.
    if (params.size !== before) this.#changed();
  }
  sort(): void {
    this.#parsed().sort();
    this.#changed();
  }
  entries(): IterableIterator<[string, string]> {
    return this.#parsed().entries();
  }
  keys(): IterableIterator<string> {
    return this.#parsed().keys();
  }
  values(): IterableIterator<string> {
    return this.#parsed().values();
  }
  forEach(run: (value: string, name: string) => void): void {
    for (const [name, value] of this.entries()) run(value, name);
  }
  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }
  toString(): string {
    return this.#read();
  }

  #parsed(): URLSearchParams {
    const text = this.#read();
    if (this.#params === null || text !== this.#text) {
      this.#params = new URLSearchParams(text);
      this.#text = text;
    }
    return this.#params;
  }
  #changed(): void {
    this.#text = this.#params!.toString();
    this.#write(this.#text);
  }
}
