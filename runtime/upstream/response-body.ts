/** The body of a response while its connection still receives it. */
import type { GatewayError } from "../errors.ts";
import type { BodySink, BodySource } from "../proxy/exchange.ts";
import type { Fields } from "../proxy/fields.ts";

/**
 * What is read ahead of a reader that has not begun or is slow. A response whose rest fits is received whole and frees
 * its connection; a longer one leaves the origin waiting. One read (64 KiB at most) may come on top.
 */
const READ_AHEAD_BYTES = 65_536;

/** What the body asks of the connection that fills it. */
export interface BodyOrigin {
  /** There is room again. */
  resumeReading(): void;
  /** The reader began to wait for the origin, or stopped waiting for it: only then does the idle time-out run. */
  readerWaits(waits: boolean): void;
  /** Nobody wants the rest. */
  abandon(): void;
}

export class ResponseBody implements BodySource {
  readonly length: number;
  readonly endsWithConnection: boolean;
  /** Null as soon as the response was received whole, or broke off: the connection may carry another exchange by then. */
  #origin: BodyOrigin | null;
  #sink: BodySink | null = null;
  #cancelled = false;
  #paused = false;
  #delivering = false;
  #held: Buffer | null = null;
  #heldBytes = 0;
  #receivedBytes = 0;
  #originStopped = false;
  #trailers: Fields | null = null;
  #error: GatewayError | null = null;

  constructor(length: number, endsWithConnection: boolean, origin: BodyOrigin) {
    this.length = length;
    this.endsWithConnection = endsWithConnection;
    this.#origin = origin;
  }

  // The connection's side.

  /** One piece, a view that is valid during this call only. False: stop reading until `resumeReading`. */
  push(bytes: Buffer): boolean {
    if (this.#cancelled) return true;
    this.#receivedBytes += bytes.length;
    if (this.#sink && !this.#paused && !this.#delivering) {
      if (this.#sink.chunk(bytes) || this.#cancelled) return true;
      this.#pauseReader();
    } else {
      this.#hold(bytes);
    }
    const restIsTooLong = this.length - this.#receivedBytes > READ_AHEAD_BYTES;
    this.#originStopped = restIsTooLong || this.#heldBytes >= READ_AHEAD_BYTES;
    return !this.#originStopped;
  }

  /** All was received. */
  finish(trailers: Fields | null): void {
    this.#origin = null;
    this.#trailers = trailers;
    this.#deliver();
  }

  /** It broke off. What was received is still delivered first. */
  fail(error: GatewayError): void {
    this.#origin = null;
    this.#error = error;
    this.#deliver();
  }

  // The reader's side.

  read(sink: BodySink): void {
    this.#sink = sink;
    this.#origin?.readerWaits(true);
    this.#deliver();
  }

  pause(): void {
    if (!this.#paused) this.#pauseReader();
  }

  resume(): void {
    if (!this.#paused || this.#cancelled) return;
    this.#paused = false;
    this.#origin?.readerWaits(true);
    this.#deliver();
  }

  cancel(): void {
    this.#cancelled = true;
    this.#sink = null;
    this.#held = null;
    this.#heldBytes = 0;
    const origin = this.#origin;
    this.#origin = null;
    origin?.abandon();
  }

  #pauseReader(): void {
    this.#paused = true;
    this.#origin?.readerWaits(false);
  }

  #hold(bytes: Buffer): void {
    const needed = this.#heldBytes + bytes.length;
    if (this.#held === null || needed > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#held === null ? 0 : this.#held.length * 2));
      if (this.#held) this.#held.copy(larger, 0, 0, this.#heldBytes);
      this.#held = larger;
    }
    bytes.copy(this.#held, this.#heldBytes);
    this.#heldBytes = needed;
  }

  /** Gives what is held, then the end or the error; or asks for more. Safe against a sink that pauses, resumes or cancels within `chunk`. */
  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    while (this.#sink && !this.#paused && this.#held !== null) {
      const piece = this.#held.subarray(0, this.#heldBytes);
      this.#held = null;
      this.#heldBytes = 0;
      if (!this.#sink.chunk(piece) && !this.#cancelled) this.#pauseReader();
    }
    this.#delivering = false;
    if (this.#paused || !this.#sink) return;
    if (this.#origin === null) return this.#close();
    if (!this.#originStopped) return;
    this.#originStopped = false;
    this.#origin.resumeReading();
  }

  #close(): void {
    const sink = this.#sink!;
    this.#sink = null;
    if (this.#error) sink.error(this.#error);
    else sink.end(this.#trailers);
  }
}
