import type { GatewayError } from "../../errors.ts";
import { GatewayError as Failure } from "../../errors.ts";
import type { BodySink, BodySource } from "../exchange.ts";
import { Fields } from "../fields.ts";
import { ChunkedDecoder } from "./grammar.ts";
import type { WireLimits } from "./grammar.ts";

/** What a body asks of its connection. */
export interface BodyOwner {
  /** Bytes are wanted again: after `read` and after a pause. */
  bodyWanted(): void;
  /** The rest of the body is not wanted. */
  bodyCancelled(): void;
}

type State = "unread" | "flowing" | "complete" | "cancelled" | "failed";

/** A request body on its way from the socket to one sink. The connection feeds it; nothing is gathered here. */
export class RequestBody implements BodySource {
  readonly length: number;
  /** Body bytes taken from the wire, chunk framing apart. */
  receivedBytes = 0;

  readonly #owner: BodyOwner;
  readonly #limitBytes: number;
  readonly #decoder: ChunkedDecoder | null;
  #left: number;
  #sink: BodySink | null = null;
  #state: State = "unread";
  #paused = false;
  #endPending = false;
  #failure: GatewayError | null = null;

  constructor(length: number, owner: BodyOwner, limits: WireLimits & { readonly bodyBytes: number }) {
    this.length = length;
    this.#owner = owner;
    this.#limitBytes = limits.bodyBytes;
    this.#left = length;
    this.#decoder = length < 0 ? new ChunkedDecoder(limits) : null;
  }

  /** All its bytes have been taken from the wire. */
  get complete(): boolean {
    return this.#state === "complete";
  }
  get cancelled(): boolean {
    return this.#state === "cancelled";
  }
  /** Has a sink and takes bytes now. */
  get wanting(): boolean {
    return this.#state === "flowing" && !this.#paused;
  }
  get flowing(): boolean {
    return this.#state === "flowing";
  }
  get unread(): boolean {
    return this.#state === "unread";
  }
  get failed(): boolean {
    return this.#state === "failed";
  }
  /** Bytes still to come from the wire, or -1 when nobody knows. */
  get leftBytes(): number {
    if (this.#state === "complete") return 0;
    return this.#decoder === null ? this.#left : -1;
  }

  read(sink: BodySink): void {
    if (this.#failure !== null) {
      sink.error(this.#failure);
      return;
    }
    if (this.#state !== "unread") return;
    this.#sink = sink;
    this.#state = "flowing";
    this.#owner.bodyWanted();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#endPending) this.#end();
    else if (this.#state === "flowing") this.#owner.bodyWanted();
  }

  cancel(): void {
    this.#sink = null;
    this.#endPending = false;
    if (this.#state !== "unread" && this.#state !== "flowing") return;
    this.#state = "cancelled";
    this.#owner.bodyCancelled();
  }

  /** Breaks off: the sink hears `error`, and so does one that comes later. */
  fail(error: GatewayError): void {
    if (this.#state !== "unread" && this.#state !== "flowing") {
      // Complete on the wire, but its end not told yet: the sink still gets the whole body.
      return;
    }
    this.#state = "failed";
    this.#failure = error;
    const sink = this.#sink;
    this.#sink = null;
    sink?.error(error);
  }

  /** Takes bytes from `from` on; returns where it stopped: at `to`, at the end of the body, or where it was paused. */
  feed(bytes: Buffer, from: number, to: number): number {
    return this.#decoder === null ? this.#feedKnown(bytes, from, to) : this.#feedChunked(this.#decoder, bytes, from, to);
  }

  /** Takes bytes that nobody wants; returns where the body ended, or `to`. Used to reach the next request. */
  discard(from: number, to: number): number {
    if (this.#decoder !== null) return to;
    const end = Math.min(to, from + this.#left);
    this.#left -= end - from;
    if (this.#left === 0) this.#state = "complete";
    return end;
  }

  #feedKnown(bytes: Buffer, from: number, to: number): number {
    const end = Math.min(to, from + this.#left);
    this.#left -= end - from;
    this.receivedBytes += end - from;
    if (this.#left === 0) this.#state = "complete";
    if (!this.#sink!.chunk(bytes.subarray(from, end))) this.#paused = true;
    if (this.#left === 0) this.#finish();
    return end;
  }

  #feedChunked(decoder: ChunkedDecoder, bytes: Buffer, from: number, to: number): number {
    const step = decoder.gather(bytes, from, to);
    const { at, dataStart, dataEnd } = decoder;
    this.receivedBytes += dataEnd - dataStart;
    if (this.receivedBytes > this.#limitBytes) {
      this.fail(new Failure("BODY_TOO_LARGE", `a chunked body of more than ${this.#limitBytes} bytes`));
      return at;
    }
    if (dataEnd > dataStart && !this.#sink!.chunk(bytes.subarray(dataStart, dataEnd))) this.#paused = true;
    // The sink may have had enough.
    if (this.#state !== "flowing") return at;
    if (step === "refused") this.fail(new Failure(decoder.refusal!.refused, decoder.refusal!.detail));
    else if (step === "end") {
      this.#state = "complete";
      this.#finish();
    }
    return at;
  }

  /** A paused sink hears of the end when it resumes. */
  #finish(): void {
    if (this.#paused) this.#endPending = true;
    else this.#end();
  }

  #end(): void {
    this.#endPending = false;
    const sink = this.#sink;
    this.#sink = null;
    const trailers = this.#decoder?.trailers ?? null;
    sink?.end(trailers === null ? null : new Fields(trailers));
  }
}
