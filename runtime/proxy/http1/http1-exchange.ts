/** One request on one connection, and the writing of its response. */
import type { Duplex } from "node:stream";
import type { GatewayError } from "../../errors.ts";
import { asGatewayError, GatewayError as Failure } from "../../errors.ts";
import type { BodySink, BodySource, ConnectionFacts, Exchange } from "../exchange.ts";
import { NO_BODY } from "../exchange.ts";
import { Fields } from "../fields.ts";
import type { RequestHead } from "./grammar.ts";
import { headLines, statusLine, trailerLines } from "./response-head.ts";
import type { DateLine } from "./response-head.ts";
import type { RequestBody } from "./request-body.ts";

/** What an exchange asks of its connection. */
export interface ExchangeOwner {
  readonly facts: ConnectionFacts;
  readonly dates: DateLine;
  /** May the connection serve another request after this response? Asked once, when the head is made. */
  staysOpen(exchange: Http1Exchange): boolean;
  /** False: wait for `onDrain`. */
  writeText(latin1: string): boolean;
  /** `bytes` must not be reused by their owner, unless they are `lent`. */
  writeBytes(before: string, bytes: Buffer, after: string, lent: boolean): boolean;
  readonly writeBlocked: boolean;
  /** Calls `exchange.flush()` before this turn of the event loop ends. */
  flushSoon(exchange: Http1Exchange): void;
  responseDone(exchange: Http1Exchange, keepAlive: boolean): void;
  /** `reset`: the client can't tell a broken end from a good one otherwise. */
  breakOff(reset: boolean): void;
  openTunnel(): Duplex;
}

type Phase = "waiting" | "streaming" | "done";
type Framing = "none" | "length" | "chunked" | "close";

// Pieces up to this size are joined with the head (and with each other) as text, so that a small response is one write;
// larger ones are copied once and written behind it with writev. Latin-1 text of up to 16 KiB leaves without an allocation in Node's stream layer.
const JOINED_BYTES = 8192;
const PENDING_BYTES = 16384;

export class Http1Exchange implements Exchange, BodySink {
  readonly connection: ConnectionFacts;
  readonly version: "1.0" | "1.1";
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly fields: Fields;
  readonly upgradeProtocol: string;
  readonly startedAtMs: number;
  readonly requestBody: RequestBody | null;
  /** The request allows another one behind it. */
  readonly keepAlive: boolean;
  /** The client waits for 100 (Continue). */
  awaitsContinue: boolean;

  onClientGone: (() => void) | null = null;
  onComplete: ((sentBodyBytes: number, completed: boolean) => void) | null = null;
  onDrain: (() => void) | null = null;

  readonly #owner: ExchangeOwner;
  #phase: Phase = "waiting";
  #framing: Framing = "none";
  #declaredBytes = 0;
  #sentBytes = 0;
  #keepsOpen = false;
  #pending = "";
  #flushQueued = false;

  constructor(head: RequestHead, body: RequestBody | null, owner: ExchangeOwner, startedAtMs: number) {
    this.connection = owner.facts;
    this.version = head.version;
    this.method = head.method;
    this.target = head.target;
    this.authority = head.authority;
    this.fields = new Fields(head.fields);
    this.upgradeProtocol = head.upgradeProtocol;
    this.keepAlive = head.keepAlive;
    this.awaitsContinue = head.expectContinue;
    this.requestBody = body;
    this.startedAtMs = startedAtMs;
    this.#owner = owner;
  }

  get body(): BodySource {
    return this.requestBody ?? NO_BODY;
  }
  get out(): this {
    return this;
  }
  get answered(): boolean {
    return this.#phase !== "waiting";
  }
  get over(): boolean {
    return this.#phase === "done";
  }

  informational(status: number, fields: Fields): void {
    if (this.#phase !== "waiting" || this.version === "1.0" || status < 100 || status > 199 || status === 101) return;
    if (status === 100) this.sendContinue();
    else this.#owner.writeText(`${headLines(status, fields, this.#owner.dates)}\r\n`);
  }

  /** 100 (Continue), if the client waits for it. */
  sendContinue(): void {
    if (!this.awaitsContinue || this.#phase !== "waiting") return;
    this.awaitsContinue = false;
    this.#owner.writeText(CONTINUE);
  }

  head(status: number, fields: Fields, bodyLength: number): void {
    if (this.#phase !== "waiting") return;
    this.#phase = "streaming";
    this.#pending = this.#makeHead(status, fields, bodyLength);
    this.#queueFlush();
  }

  chunk(bytes: Buffer): boolean {
    const { length } = bytes;
    if (this.#isJoined(length)) return this.chunkText(bytes.latin1Slice(0, length));
    if (!this.#takes(length)) return true;
    const chunked = this.#framing === "chunked";
    const before = chunked ? `${this.#pending}${length.toString(16)}\r\n` : this.#pending;
    this.#pending = "";
    // They may be a view of the shared read buffer.
    return this.#owner.writeBytes(before, bytes, chunked ? "\r\n" : "", true);
  }

  chunkText(latin1: string): boolean {
    const { length } = latin1;
    if (!this.#isJoined(length)) return this.chunk(Buffer.from(latin1, "latin1"));
    if (!this.#takes(length)) return true;
    this.#pending += this.#framing === "chunked" ? `${length.toString(16)}\r\n${latin1}\r\n` : latin1;
    if (this.#sentBytes === this.#declaredBytes && this.#framing === "length") this.flush();
    else this.#queueFlush();
    return !this.#owner.writeBlocked;
  }

  #isJoined(length: number): boolean {
    return length <= JOINED_BYTES && this.#pending.length + length <= PENDING_BYTES;
  }

  /** Counts a piece of the body. False: it is not sent. */
  #takes(length: number): boolean {
    if (this.#phase !== "streaming" || this.#framing === "none" || length === 0) return false;
    if (this.#framing === "length" && this.#sentBytes + length > this.#declaredBytes) {
      this.abort(new Failure("INTERNAL", `a response body is longer than the ${this.#declaredBytes} bytes declared`));
      return false;
    }
    this.#sentBytes += length;
    return true;
  }

  end(trailers: Fields | null): void {
    if (this.#phase !== "streaming") return;
    if (this.#framing === "length" && this.#sentBytes !== this.#declaredBytes) {
      this.abort(new Failure("INTERNAL", `a response body ended after ${this.#sentBytes} of ${this.#declaredBytes} bytes`));
      return;
    }
    if (this.#framing === "chunked") this.#pending += trailers === null ? LAST_CHUNK : `0\r\n${trailerLines(trailers)}\r\n`;
    this.flush();
    this.#complete();
  }

  error(error: GatewayError): void {
    this.abort(error);
  }

  reply(status: number, fields: Fields, body: string | Buffer): void {
    if (this.#phase !== "waiting") return;
    this.#phase = "streaming";
    // Text whose bytes are as many as its letters is ASCII, and Latin-1 then writes the same bytes.
    const bytes = typeof body !== "string" ? body : Buffer.byteLength(body) === body.length ? null : Buffer.from(body);
    const length = bytes === null ? body.length : bytes.length;
    const head = this.#makeHead(status, fields, length);
    if (this.#framing === "none" || length === 0) this.#owner.writeText(head);
    else {
      this.#sentBytes = length;
      if (bytes === null) this.#owner.writeText(head + (body as string));
      else if (length <= JOINED_BYTES) this.#owner.writeText(head + bytes.toString("latin1"));
      else this.#owner.writeBytes(head, bytes, "", false);
    }
    this.#complete();
  }

  upgrade(fields: Fields): Duplex {
    this.#owner.writeText(`${headLines(101, fields, this.#owner.dates)}connection: upgrade\r\nupgrade: ${this.upgradeProtocol}\r\n\r\n`);
    this.#phase = "done";
    // Whoever joins the tunnel knows when it is over; the exchange has nothing more to say.
    return this.#owner.openTunnel();
  }

  abort(error: GatewayError): void {
    if (this.#phase === "done") return;
    // What was joined but not yet sent goes out first: a response cut short tells the client more than none.
    if (this.#phase === "streaming") this.flush();
    this.#phase = "done";
    this.#owner.breakOff(this.#framing === "close");
    this.requestBody?.fail(asGatewayError(error));
    this.onComplete?.(this.#sentBytes, false);
  }

  /** The connection is gone. */
  clientGone(error: GatewayError): void {
    const wasOver = this.#phase === "done";
    this.#phase = "done";
    this.#pending = "";
    this.requestBody?.fail(error);
    if (wasOver) return;
    this.onClientGone?.();
    this.onComplete?.(this.#sentBytes, false);
  }

  /** Writes what has been held back for the first or next piece. */
  flush(): void {
    this.#flushQueued = false;
    if (this.#pending === "") return;
    const text = this.#pending;
    this.#pending = "";
    this.#owner.writeText(text);
  }

  #queueFlush(): void {
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    this.#owner.flushSoon(this);
  }

  #complete(): void {
    this.#phase = "done";
    this.onComplete?.(this.#sentBytes, true);
    this.#owner.responseDone(this, this.#keepsOpen);
  }

  /** RFC 9112 section 6: how the client will know where the body ends. */
  #makeHead(status: number, fields: Fields, bodyLength: number): string {
    const lines = headLines(status, fields, this.#owner.dates);
    const bodiless = this.method === "HEAD" || status === 204 || status === 304;
    let framing = "";
    if (bodiless) {
      // A Content-Length here says what a GET would get; 204 has none, and 304 only a true one (RFC 9110 section 8.6).
      this.#framing = "none";
      if (status !== 204 && (bodyLength > 0 || (bodyLength === 0 && status !== 304))) framing = `content-length: ${bodyLength}\r\n`;
    } else if (bodyLength >= 0) {
      this.#framing = "length";
      this.#declaredBytes = bodyLength;
      framing = `content-length: ${bodyLength}\r\n`;
    } else if (this.version === "1.1") {
      this.#framing = "chunked";
      framing = "transfer-encoding: chunked\r\n";
    } else this.#framing = "close";
    this.#keepsOpen = this.#framing !== "close" && this.#owner.staysOpen(this);
    if (!this.#keepsOpen) framing += "connection: close\r\n";
    else if (this.version === "1.0") framing += "connection: keep-alive\r\n";
    return `${lines}${framing}\r\n`;
  }
}

const LAST_CHUNK = "0\r\n\r\n";
const CONTINUE = `${statusLine(100)}\r\n`;
