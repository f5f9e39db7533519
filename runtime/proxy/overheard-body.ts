/**
 * A body on its way to the client that somebody else wants to know whole. It flows as it comes: whoever waits for a slow one waits no longer than without. Only
 * its last piece stays until `heard` is through with it, so that what is written down about it is written before the client has all of it.
 */
import type { GatewayError } from "../errors.ts";
import type { BodySink, BodySource } from "./exchange.ts";
import type { Fields } from "./fields.ts";

export class OverheardBody implements BodySource, BodySink {
  readonly #source: BodySource;
  readonly #limitBytes: number;
  /** Asked once. Null: it is longer than the limit, broke off, or nobody took it to its end. */
  readonly #heard: (whole: Buffer | null) => Promise<void> | null;
  /** All of it so far; null: it was told, or is too long. */
  #whole: Buffer[] | null = [];
  #wholeBytes = 0;
  /** What the client has not taken. */
  #held: Buffer[] = [];
  #ended: { readonly trailers: Fields | null } | null = null;
  #sink: BodySink | null = null;
  #paused = false;
  #telling = false;

  constructor(source: BodySource, limitBytes: number, heard: (whole: Buffer | null) => Promise<void> | null) {
    this.#source = source;
    this.#limitBytes = limitBytes;
    this.#heard = heard;
  }

  get length(): number {
    return this.#source.length;
  }
  get endsWithConnection(): boolean {
    return this.#source.endsWithConnection === true;
  }

  // As the source.
  read(sink: BodySink): void {
    this.#sink = sink;
    this.#source.read(this);
  }
  pause(): void {
    this.#paused = true;
    // Up to the limit it is heard at its own pace, whatever the client's is.
    if (this.#whole === null && this.#ended === null) this.#source.pause();
  }
  resume(): void {
    this.#paused = false;
    this.#flow();
    if (!this.#paused && this.#ended === null) this.#source.resume();
  }
  cancel(): void {
    this.#sink = null;
    this.#held = [];
    if (this.#ended === null) this.#source.cancel();
    void this.#tell(null);
  }

  // As the sink.
  chunk(bytes: Buffer): boolean {
    if (this.#whole === null) {
      if (this.#sink === null) return true;
      if (this.#held.length > 0 || this.#paused || this.#telling) {
        this.#held.push(Buffer.from(bytes));
        return false;
      }
      if (!this.#sink.chunk(bytes)) this.#paused = true;
      return !this.#paused;
    }
    const piece = Buffer.from(bytes);
    this.#held.push(piece);
    this.#whole.push(piece);
    this.#wholeBytes += piece.length;
    if (this.#wholeBytes > this.#limitBytes) void this.#tell(null);
    else if (this.#wholeBytes === this.#source.length) this.#tellWhole(this.#whole);
    this.#flow();
    return this.#whole !== null || !this.#paused;
  }
  end(trailers: Fields | null): void {
    this.#ended = { trailers };
    if (this.#whole !== null) this.#tellWhole(this.#whole);
    this.#flow();
  }
  error(error: GatewayError): void {
    const sink = this.#sink;
    this.#sink = null;
    void this.#tell(null);
    sink?.error(error);
  }

  #tellWhole(pieces: readonly Buffer[]): void {
    const telling = this.#tell(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces));
    if (telling === null) return;
    this.#telling = true;
    void telling.finally(() => {
      this.#telling = false;
      this.#flow();
    });
  }

  #tell(whole: Buffer | null): Promise<void> | null {
    if (this.#whole === null) return null;
    this.#whole = null;
    return this.#heard(whole);
  }

  #flow(): void {
    const sink = this.#sink;
    if (sink === null) return;
    while (this.#held.length > 0 && !this.#paused && !(this.#telling && this.#held.length === 1)) {
      if (!sink.chunk(this.#held.shift()!)) this.#paused = true;
    }
    if (this.#held.length > 0 || this.#paused || this.#telling || this.#ended === null) return;
    this.#sink = null;
    sink.end(this.#ended.trailers);
  }
}
