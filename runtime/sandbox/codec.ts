/**
 * The text inside frames: numbers as decimal digits and ";", strings as length, ":" and their characters (netstrings,
 * counted in UTF-16 units). Lengths instead of separators, because values are hostile. Pure: runs in the worker, in the
 * sandbox process and inside isolates.
 */
export class TextWriter {
  #text = "";

  num(value: number): this {
    this.#text += `${value};`;
    return this;
  }
  str(value: string): this {
    this.#text += `${value.length}:${value}`;
    return this;
  }
  /** Text that another writer made. */
  raw(text: string): this {
    this.#text += text;
    return this;
  }
  get length(): number {
    return this.#text.length;
  }
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }
}

/** One string as `TextWriter` writes it, for texts that are built by plain concatenation. */
export function str(value: string): string {
  return `${value.length}:${value}`;
}

/** Thrown for text that no `TextWriter` made. The sandbox's words are a stranger's: the worker treats this as a broken sandbox. */
export class CodecError extends Error {}

export class TextReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }
  get done(): boolean {
    return this.#at >= this.#text.length;
  }
  num(): number {
    return this.#digits(59 /* ; */);
  }
  str(): string {
    const length = this.#digits(58 /* : */);
    const end = this.#at + length;
    if (end > this.#text.length) throw new CodecError(`string of ${length} units passes the end`);
    const value = this.#text.slice(this.#at, end);
    this.#at = end;
    return value;
  }
  /** Where the next value begins: with `slice`, a way to hand records on without writing them anew. */
  get position(): number {
    return this.#at;
  }
  /** The text between two positions. */
  slice(start: number, end: number): string {
    return this.#text.slice(start, end);
  }
  /** Goes on within a string whose text is values itself. */
  enter(): void {
    this.#digits(58 /* : */);
  }
  /** Passes over one string. */
  skip(): void {
    const length = this.#digits(58 /* : */);
    if (this.#at + length > this.#text.length) throw new CodecError(`string of ${length} units passes the end`);
    this.#at += length;
  }
  /** Non-negative integers and, for clocks, fractions are never written: at most 16 digits. */
  #digits(end: number): number {
    const text = this.#text;
    let at = this.#at;
    let value = 0;
    for (const last = at + 16; at < last; at++) {
      const code = text.charCodeAt(at);
      if (code === end && at > this.#at) {
        this.#at = at + 1;
        return value;
      }
      if (!(code >= 48 && code <= 57)) break;
      value = value * 10 + (code - 48);
    }
    throw new CodecError(`no number at ${this.#at}`);
  }
}
