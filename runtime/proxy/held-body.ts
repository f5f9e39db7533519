/** A body that a rule asked to read: kept up to a limit, and still there for whoever is next. */
import { GatewayError } from "../errors.ts";
import type { BodySink, BodySource } from "./exchange.ts";
import type { Fields } from "./fields.ts";

/** Smaller pieces are gathered in blocks of this size. */
const BLOCK_BYTES = 16_384;

/**
 * Wraps a source. `collect` reads it whole; afterwards the wrapper is a source again that gives the same bytes.
 * When the body is larger than the limit nothing is lost: what was read is given first, the rest flows behind it.
 */
export class HeldBody implements BodySource, BodySink {
  readonly #source: BodySource;
  #pieces: Buffer[] = [];
  /** Behind the last piece, where the next small ones go; null: the last piece is as large as its bytes. */
  #block: Buffer | null = null;
  #heldBytes = 0;
  #limitBytes = 0;
  #collecting: PromiseWithResolvers<Buffer> | null = null;
  #collected: Promise<Buffer> | null = null;
  #ended: { trailers: Fields | null } | null = null;
  #failed: GatewayError | null = null;
  #overflowed = false;
  #started = false;
  #sink: BodySink | null = null;
  #paused = false;

  constructor(source: BodySource) {
    this.#source = source;
  }

  get length(): number {
    return this.#ended && this.#collected ? this.#heldBytes : this.#source.length;
  }

  get endsWithConnection(): boolean {
    return this.#source.endsWithConnection === true;
  }

  collect(limitBytes: number): Promise<Buffer> {
    if (this.#collected) return this.#collected;
    if (this.#source.length > limitBytes) return Promise.reject(tooLarge(this.#source.length, limitBytes));
    this.#limitBytes = limitBytes;
    this.#collecting = Promise.withResolvers<Buffer>();
    this.#collected = this.#collecting.promise;
    this.#started = true;
    this.#source.read(this);
    return this.#collected;
  }

  // As the sink of the wrapped source.
  chunk(bytes: Buffer): boolean {
    if (this.#sink && this.#pieces.length === 0 && !this.#paused) return this.#sink.chunk(bytes);
    this.#keep(bytes);
    this.#heldBytes += bytes.length;
    if (this.#collecting && this.#heldBytes <= this.#limitBytes) return true;
    this.#overflow();
    return false;
  }
  /** A body of single bytes would otherwise hold a hundred bytes for each of them. */
  #keep(bytes: Buffer): void {
    const { length } = bytes;
    if (length >= BLOCK_BYTES || this.#pieces.length === 0) {
      this.#pieces.push(Buffer.from(bytes));
      this.#block = null;
      return;
    }
    const block = this.#block;
    const used = block === null ? 0 : this.#pieces.at(-1)!.length;
    if (block === null || used + length > block.length) {
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      bytes.copy(this.#block);
      this.#pieces.push(this.#block.subarray(0, length));
      return;
    }
    bytes.copy(block, used);
    this.#pieces[this.#pieces.length - 1] = block.subarray(0, used + length);
  }

  end(trailers: Fields | null): void {
    this.#ended = { trailers };
    if (this.#collecting) {
      const whole = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
      this.#pieces = whole.length > 0 ? [whole] : [];
      const { resolve } = this.#collecting;
      this.#collecting = null;
      resolve(whole);
    }
    this.#flow();
  }
  error(error: GatewayError): void {
    this.#failed = error;
    this.#collecting?.reject(error);
    this.#collecting = null;
    this.#sink?.error(error);
    this.#sink = null;
  }

  // As the source for whoever is next.
  read(sink: BodySink): void {
    if (this.#failed) {
      sink.error(this.#failed);
      return;
    }
    this.#sink = sink;
    if (this.#started) this.#flow();
    else this.#source.read(this);
  }
  pause(): void {
    this.#paused = true;
    if (!this.#ended) this.#source.pause();
  }
  resume(): void {
    this.#paused = false;
    this.#flow();
  }
  cancel(): void {
    this.#sink = null;
    this.#pieces = [];
    if (!this.#ended && !this.#failed) this.#source.cancel();
  }

  #overflow(): void {
    if (this.#overflowed) return;
    this.#overflowed = true;
    this.#collecting?.reject(tooLarge(this.#heldBytes, this.#limitBytes));
    this.#collecting = null;
  }

  #flow(): void {
    const sink = this.#sink;
    if (!sink || this.#collecting) return;
    this.#block = null;
    while (this.#pieces.length > 0 && !this.#paused) {
      if (!sink.chunk(this.#pieces.shift()!)) this.#paused = true;
    }
    if (this.#paused || this.#pieces.length > 0) return;
    if (this.#ended) {
      this.#sink = null;
      sink.end(this.#ended.trailers);
    } else {
      this.#source.resume();
    }
  }
}

function tooLarge(bytes: number, limitBytes: number): GatewayError {
  return new GatewayError("BODY_TOO_LARGE", `a rule reads a body of at least ${bytes} bytes; limits.ruleBodySize is ${limitBytes}`);
}
