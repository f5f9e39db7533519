/** Sends a request's body behind its head, by length or chunked (RFC 9112 sections 6.2 and 7.1). */
import { GatewayError } from "../errors.ts";
import type { BodySink, BodySource } from "../proxy/exchange.ts";
import type { Fields } from "../proxy/fields.ts";

/** A first piece up to this leaves in one string with the head; joining a larger one costs more than a second buffer in the same writev. */
const JOINED_BYTES = 8_192;

/** The connection that carries the body. */
export interface BodyCarrier {
  write(latin1: string): boolean;
  /** The bytes are the caller's again when this returns. */
  writeLent(bytes: Buffer): boolean;
  cork(): void;
  uncork(): void;
  /** The last byte was handed to the socket. */
  bodySent(): void;
  /** The source broke off, or gave more or less than it declared: the message can't be completed. */
  bodyBroke(error: GatewayError): void;
  /** Bytes wait for the target to take them; `drained` follows. */
  bodyBlocked(): void;
}

export class RequestBodySender implements BodySink {
  readonly #source: BodySource;
  readonly #carrier: BodyCarrier;
  readonly #chunked: boolean;
  #leftBytes: number;
  /** The head, until it was written. */
  #head: string | null = null;
  #over = false;
  /** The target has to take what it was given before more is asked of the source. */
  blocked = false;

  constructor(source: BodySource, carrier: BodyCarrier) {
    this.#source = source;
    this.#carrier = carrier;
    this.#chunked = source.length < 0;
    this.#leftBytes = source.length;
  }

  /** Writes the head, with what the source has at hand. */
  start(head: string): void {
    this.#head = head;
    this.#source.read(this);
    this.#flushHead();
  }

  /** The target took what it was given. */
  drained(): void {
    this.blocked = false;
    this.#source.resume();
  }

  /** The rest is not wanted any more. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.blocked = false;
    this.#head = null;
    this.#source.cancel();
  }

  chunk(bytes: Buffer): boolean {
    if (this.#over || bytes.length === 0) return true;
    if (!this.#chunked && bytes.length > this.#leftBytes) {
      this.#fail(`the body is longer than the ${this.#source.length} bytes declared`);
      return false;
    }
    this.#leftBytes -= bytes.length;
    const flowing = this.#head !== null && bytes.length <= JOINED_BYTES ? this.#joinHead(bytes) : this.#writePiece(bytes);
    if (flowing) return true;
    this.blocked = true;
    this.#carrier.bodyBlocked();
    return false;
  }

  end(trailers: Fields | null): void {
    if (this.#over) return;
    if (!this.#chunked && this.#leftBytes > 0) return this.#fail(`the body ended ${this.#leftBytes} of ${this.#source.length} bytes early`);
    this.#over = true;
    if (this.#chunked) this.#writeText(lastChunk(trailers));
    this.#flushHead();
    this.#carrier.bodySent();
  }

  error(error: GatewayError): void {
    if (this.#over) return;
    this.#over = true;
    this.#head = null;
    this.#carrier.bodyBroke(error);
  }

  #joinHead(bytes: Buffer): boolean {
    const piece = bytes.latin1Slice(0, bytes.length);
    this.#head += this.#chunked ? `${bytes.length.toString(16)}\r\n${piece}\r\n` : piece;
    // More may be at hand, the end among it; a second piece finds the head too long to be worth joining.
    return this.#head!.length <= 2 * JOINED_BYTES || this.#flushHead();
  }

  #writePiece(bytes: Buffer): boolean {
    const carrier = this.#carrier;
    carrier.cork();
    this.#flushHead();
    if (this.#chunked) carrier.write(`${bytes.length.toString(16)}\r\n`);
    let flowing = carrier.writeLent(bytes);
    if (this.#chunked) flowing = carrier.write("\r\n");
    carrier.uncork();
    return flowing;
  }

  #writeText(text: string): void {
    if (this.#head === null) this.#carrier.write(text);
    else this.#head += text;
  }

  #flushHead(): boolean {
    if (this.#head === null) return true;
    const head = this.#head;
    this.#head = null;
    return this.#carrier.write(head);
  }

  #fail(detail: string): void {
    this.#over = true;
    this.#head = null;
    this.#source.cancel();
    this.#carrier.bodyBroke(new GatewayError("INTERNAL", detail));
  }
}

function lastChunk(trailers: Fields | null): string {
  if (trailers === null) return "0\r\n\r\n";
  let text = "0\r\n";
  for (let i = 0; i < trailers.list.length; i += 2) text += `${trailers.list[i]}: ${trailers.list[i + 1]}\r\n`;
  return `${text}\r\n`;
}
