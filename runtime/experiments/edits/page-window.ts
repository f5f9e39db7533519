/**
 * The part of a page at which the editor looks: the current chunk, and before it what is held back because a tag is not whole yet. Bytes leave
 * in order, by their offsets in the page as it came; what is between two splices passes as a view of the chunk, uncopied.
 */
import { Buffer } from "node:buffer";

const EMPTY = Buffer.alloc(0);
const FIRST_HOLD_BYTES = 512;

export class PageWindow {
  /** Everything before this offset has left or was dropped. */
  cursor = 0;
  /** Bytes that pass are dropped, not given out. */
  dropping = false;

  /** The chunk, and where it begins. */
  #chunk: Buffer = EMPTY;
  #text = "";
  #base = 0;
  /** Bytes of [holdStart, base). */
  #hold = EMPTY;
  #holdStart = 0;
  #holdLength = 0;
  #out: Buffer[] = [];

  get end(): number {
    return this.#base + this.#chunk.length;
  }

  /** The next chunk; its bytes as Latin-1. */
  begin(chunk: Buffer): string {
    this.#base += this.#chunk.length;
    this.#chunk = chunk;
    this.#text = chunk.latin1Slice();
    return this.#text;
  }

  /** Bytes of the window as Latin-1. */
  read(start: number, end: number): string {
    const base = this.#base;
    if (start >= base) return this.#text.slice(start - base, end - base);
    const held = this.#hold.latin1Slice(start - this.#holdStart, Math.min(end, base) - this.#holdStart);
    return end <= base ? held : held + this.#text.slice(0, end - base);
  }

  /** Offset of the first `>` at or behind `from`, or -1 when this chunk has none. */
  tagEnd(from: number): number {
    const found = this.#text.indexOf(">", Math.max(0, from - this.#base));
    return found < 0 ? -1 : found + this.#base;
  }

  /** Lets everything up to `offset` leave. */
  passTo(offset: number): void {
    const { cursor } = this;
    if (offset <= cursor) return;
    this.cursor = offset;
    if (this.dropping) return;
    const base = this.#base;
    if (cursor < base) {
      // The hold is written over later; what leaves must stay.
      this.#out.push(Buffer.from(this.#hold.subarray(cursor - this.#holdStart, Math.min(offset, base) - this.#holdStart)));
      if (offset > base) this.#out.push(this.#chunk.subarray(0, offset - base));
    } else this.#out.push(this.#chunk.subarray(cursor - base, offset - base));
  }

  /** Everything up to `offset` is left out. */
  skipTo(offset: number): void {
    if (offset > this.cursor) this.cursor = offset;
  }

  insert(bytes: Buffer): void {
    if (bytes.length > 0) this.#out.push(bytes);
  }
  insertAll(all: readonly Buffer[]): void {
    for (const bytes of all) this.insert(bytes);
  }

  /** The chunk is read: what stands before `holdFrom` leaves, the rest is kept for the next one. */
  finish(holdFrom: number): void {
    this.passTo(holdFrom);
    const from = Math.max(holdFrom, this.cursor);
    const base = this.#base;
    if (from >= base) {
      this.#holdStart = from;
      this.#holdLength = 0;
      this.#keep(this.#chunk, from - base);
      return;
    }
    if (from > this.#holdStart) {
      this.#hold.copyWithin(0, from - this.#holdStart, this.#holdLength);
      this.#holdLength -= from - this.#holdStart;
      this.#holdStart = from;
    }
    this.#keep(this.#chunk, 0);
  }

  #keep(bytes: Buffer, from: number): void {
    const added = bytes.length - from;
    if (added <= 0) return;
    const length = this.#holdLength + added;
    if (length > this.#hold.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#hold.length, FIRST_HOLD_BYTES));
      this.#hold.copy(grown, 0, 0, this.#holdLength);
      this.#hold = grown;
    }
    bytes.copy(this.#hold, this.#holdLength, from);
    this.#holdLength = length;
  }

  /** What has left since the last call. */
  take(): Buffer[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }
}
