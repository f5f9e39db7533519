/** Bodies that flow as an origin's do, and a reader for them. */
import type { BodySink, BodySource } from "../../runtime/proxy/exchange.ts";

/** An origin's body in pieces of a reused buffer, which obeys pause and resume. */
export class Origin implements BodySource {
  readonly length: number;
  paused = false;
  cancelled = false;
  givenBytes = 0;
  readonly #bytes: Buffer;
  readonly #reused: Buffer;
  readonly #end: (sink: BodySink) => void;
  #sink: BodySink | null = null;

  constructor(bytes: Buffer, size = 1000, end: (sink: BodySink) => void = (sink) => sink.end(null)) {
    this.length = bytes.length;
    this.#bytes = bytes;
    this.#reused = Buffer.alloc(size);
    this.#end = end;
  }
  read(sink: BodySink): void {
    this.#sink = sink;
    this.#flow();
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
    this.#flow();
  }
  cancel(): void {
    this.cancelled = true;
    this.#sink = null;
  }
  #flow(): void {
    while (this.#sink !== null && !this.paused) {
      if (this.givenBytes === this.#bytes.length) {
        const sink = this.#sink;
        this.#sink = null;
        this.#end(sink);
        return;
      }
      const size = this.#bytes.copy(this.#reused, 0, this.givenBytes, this.givenBytes + this.#reused.length);
      this.givenBytes += size;
      if (!this.#sink.chunk(this.#reused.subarray(0, size))) this.paused = true;
      this.#reused.fill(0);
    }
  }
}

/** Reads to the end; with `slowly`, pausing after each piece until the next turn. */
export function readAll(body: BodySource, slowly = false): Promise<Buffer> {
  const pieces: Buffer[] = [];
  return new Promise((resolve, reject) => {
    body.read({
      chunk: (bytes) => {
        pieces.push(Buffer.from(bytes));
        if (slowly) setImmediate(() => body.resume());
        return !slowly;
      },
      end: () => resolve(Buffer.concat(pieces)),
      error: reject,
    });
  });
}
