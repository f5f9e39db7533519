/** One client connection: its bytes in, its exchanges one after another, its end. `connection-deadlines.ts` says when it is too slow. */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { GatewayError } from "../../errors.ts";
import type { ConnectionFacts } from "../exchange.ts";
import { ConnectionDeadlines } from "./connection-deadlines.ts";
import type { FrontState } from "./front.ts";
import { parseRequestHead } from "./grammar.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import type { ExchangeOwner } from "./http1-exchange.ts";
import { writeLent } from "./lent-bytes.ts";
import { PartialHead } from "./partial-head.ts";
import { RepeatedSection } from "./repeated-section.ts";
import { refusalText } from "./refusal-reply.ts";
import { RequestBody } from "./request-body.ts";
import type { BodyOwner } from "./request-body.ts";
import type { DateLine } from "./response-head.ts";
import { adoptSocket, resumeReading } from "./socket.ts";
import type { WireReceiver } from "./socket.ts";
import { Tunnel } from "./tunnel.ts";

/**
 * "head": between requests or within a head. "exchange": from a whole head until response and request body are both over.
 * "closing": the last response has been written; what the client still sends is thrown away until it has seen our end.
 */
export type Mode = "head" | "exchange" | "closing" | "tunnel" | "closed";

/** An unread request body up to this size is read and dropped to keep the connection; a larger one costs more than a new connection. */
const DISCARD_BYTES = 65536;
/** What a closing connection may still send before it is cut. Closing at once would answer it with RST, which may destroy the response in the client's hands (RFC 9112 section 9.6). */
const LINGER_BYTES = 1048576;

export class Connection implements WireReceiver, ExchangeOwner, BodyOwner {
  readonly facts: ConnectionFacts;
  readonly dates: DateLine;
  mode: Mode = "head";
  exchange: Http1Exchange | null = null;
  readonly socket: Socket;
  /** The client has half-closed. */
  ended = false;
  /** A write returned false; `onDrain` comes. */
  writeBlocked = false;
  requests = 0;

  readonly #front: FrontState;
  readonly #head = new PartialHead();
  readonly #section: RepeatedSection;
  readonly #deadlines: ConnectionDeadlines;
  readonly #onClosed: () => void;
  /** Bytes read that nobody can take yet; while there are some, reading stands still. */
  #held: Buffer | null = null;
  #readingPaused = false;
  /** Within `#take`: whatever asks for more bytes meanwhile is served by its loop. */
  #taking = false;
  #keepsOpen = false;
  /** Bytes behind the head just parsed, in the buffer in hand. */
  #behindHead = 0;
  #waitsForDrain = false;
  #tunnel: Tunnel | null = null;
  #discardedBytes = 0;

  constructor(accepted: Socket, front: FrontState, onClosed: () => void) {
    this.#front = front;
    this.#onClosed = onClosed;
    this.dates = front.dates;
    this.#section = new RepeatedSection(front.sections);
    this.socket = adoptSocket(accepted, this);
    const { socket } = this;
    this.facts = {
      id: front.options.connectionId(),
      remoteAddress: plainAddress(socket.remoteAddress),
      remotePort: socket.remotePort ?? 0,
      localAddress: plainAddress(socket.localAddress),
      localPort: socket.localPort ?? 0,
      scheme: front.options.scheme,
    };
    this.#deadlines = new ConnectionDeadlines(this, front.options.clock, front.options.limits);
    this.#deadlines.opened();
  }

  get headStarted(): boolean {
    return this.#head.started;
  }

  // --- bytes in

  onBytes(bytes: Buffer, length: number): boolean {
    if (this.#held !== null) {
      // A read that was under way when reading was paused.
      this.#held = Buffer.concat([this.#held, bytes.subarray(0, length)]);
    } else {
      const stopped = this.#take(bytes, 0, length);
      if (stopped < length) this.#held = Buffer.from(bytes.subarray(stopped, length));
    }
    const body = this.exchange?.requestBody ?? null;
    this.#readingPaused = this.#held !== null || (body !== null && body.flowing && !body.wanting) || (this.mode === "tunnel" && this.#tunnel!.full);
    return !this.#readingPaused;
  }

  /** Takes what can be taken now; returns where it stopped. */
  #take(bytes: Buffer, from: number, to: number): number {
    this.#taking = true;
    let at = from;
    take: while (at < to) {
      switch (this.mode) {
        case "head":
          if (this.#waitsForDrain) break take;
          at = this.#takeHead(bytes, at, to);
          break;
        case "exchange": {
          const body = this.exchange!.requestBody;
          if (body === null || body.complete) break take;
          if (body.wanting) at = this.#feed(body, bytes, at, to);
          else if (body.cancelled && this.exchange!.over) at = body.discard(at, to);
          else break take;
          // The end of the body may have brought the response, and that the next exchange.
          if (body.complete && this.exchange?.requestBody === body) this.#bodyDone();
          break;
        }
        case "tunnel":
          this.#tunnel!.received(Buffer.from(bytes.subarray(at, to)));
          at = to;
          break;
        case "closing":
          this.#discardedBytes += to - at;
          if (this.#discardedBytes > LINGER_BYTES) this.socket.destroy();
          at = to;
          break;
        case "closed":
          at = to;
          break;
      }
    }
    this.#taking = false;
    return at;
  }

  #feed(body: RequestBody, bytes: Buffer, from: number, to: number): number {
    this.#deadlines.bodyBytes(to - from);
    const at = body.feed(bytes, from, to);
    if (body.failed) this.#bodyFailed();
    return at;
  }

  #takeHead(bytes: Buffer, from: number, to: number): number {
    const { limits } = this.#front.options;
    const head = this.#head.take(bytes, from, to, limits);
    if (head === null) {
      this.#deadlines.headBytes();
      return this.#head.at;
    }
    if (typeof head !== "string") {
      this.refuse(new GatewayError(head.refused, head.detail));
      return to;
    }
    const at = this.#head.at;
    const parsed = parseRequestHead(head, limits, this.#section);
    if (parsed.refused !== null) {
      this.refuse(new GatewayError(parsed.refused, parsed.detail));
      return to;
    }
    if (parsed.bodyLength > limits.bodyBytes) {
      this.refuse(new GatewayError("BODY_TOO_LARGE", `Content-Length ${parsed.bodyLength}, at most ${limits.bodyBytes} allowed`));
      return to;
    }
    const body = parsed.bodyLength === 0 ? null : new RequestBody(parsed.bodyLength, this, limits);
    const exchange = new Http1Exchange(parsed, body, this, this.#front.options.clock.now());
    this.mode = "exchange";
    this.exchange = exchange;
    this.requests++;
    this.#behindHead = to - at;
    this.#deadlines.requestStarted();
    this.#front.options.onExchange(exchange);
    this.#behindHead = 0;
    return at;
  }

  /** Takes held bytes again, and reads on when there is room. */
  #pump(): void {
    if (this.#taking) return;
    const held = this.#held;
    if (held !== null) {
      this.#held = null;
      const stopped = this.#take(held, 0, held.length);
      if (stopped < held.length) {
        this.#held = held.subarray(stopped);
        return;
      }
    }
    this.#readOn();
    this.#deadlines.update();
    if (this.ended) this.#ended();
  }

  #readOn(): void {
    if (!this.#readingPaused || this.mode === "closed") return;
    this.#readingPaused = false;
    resumeReading(this.socket);
  }

  // --- the request body

  bodyWanted(): void {
    if (this.exchange !== null && !this.exchange.answered && this.#held === null) this.exchange.sendContinue();
    this.#deadlines.bodyWanted();
    this.#pump();
  }

  bodyCancelled(): void {
    this.#afterResponse();
  }

  #bodyDone(): void {
    this.#deadlines.update();
    if (this.exchange!.over) this.#next();
  }

  /** The sink was told; the handler answers, and nothing more can be read from this connection. */
  #bodyFailed(): void {
    this.#deadlines.bodyFailed();
    if (this.exchange?.over) this.close();
  }

  /** Called by the deadlines. */
  failBody(error: GatewayError): void {
    this.exchange?.requestBody?.fail(error);
    this.#bodyFailed();
  }

  // --- the response

  staysOpen(exchange: Http1Exchange): boolean {
    if (!exchange.keepAlive || this.#front.draining || (this.ended && this.#held === null && this.#behindHead === 0)) return false;
    const body = exchange.requestBody;
    if (body === null || body.complete) return true;
    // The client may or may not send a body after this answer: nobody can tell where the next request begins (RFC 9110 section 10.1.1).
    if (exchange.awaitsContinue || body.failed) return false;
    return body.flowing || (body.leftBytes >= 0 && body.leftBytes <= DISCARD_BYTES);
  }

  writeText(latin1: string): boolean {
    return this.#wrote(this.socket.write(latin1, "latin1"));
  }

  writeBytes(before: string, bytes: Buffer, after: string, lent: boolean): boolean {
    const { socket } = this;
    if (before === "" && after === "") return this.#wrote(lent ? writeLent(socket, bytes) : socket.write(bytes));
    socket.cork();
    if (before !== "") socket.write(before, "latin1");
    let ready = lent ? writeLent(socket, bytes) : socket.write(bytes);
    if (after !== "") ready = socket.write(after, "latin1");
    socket.uncork();
    return this.#wrote(ready);
  }

  #wrote(ready: boolean): boolean {
    // A write above the high-water mark returns false although the system has taken all of it.
    if (ready || this.socket.writableLength === 0) return !this.writeBlocked;
    if (!this.writeBlocked && !this.socket.destroyed) {
      this.writeBlocked = true;
      this.#deadlines.writeBlocked();
    }
    return false;
  }

  onDrain(): void {
    if (!this.writeBlocked) return;
    this.writeBlocked = false;
    this.#deadlines.update();
    if (this.#waitsForDrain) {
      this.#waitsForDrain = false;
      this.#pump();
      return;
    }
    const exchange = this.exchange;
    if (exchange !== null && !exchange.over) exchange.onDrain?.();
  }

  flushSoon(exchange: Http1Exchange): void {
    this.#front.flushSoon(exchange);
  }

  responseDone(_exchange: Http1Exchange, keepAlive: boolean): void {
    this.#keepsOpen = keepAlive;
    this.#afterResponse();
  }

  /** Once the response is out: what happens to a request body that is not over. */
  #afterResponse(): void {
    const exchange = this.exchange;
    if (exchange === null || !exchange.over || this.mode !== "exchange") return;
    const body = exchange.requestBody;
    if (body === null || body.complete) this.#next();
    else if (body.flowing) this.#deadlines.update();
    else if (body.unread) body.cancel();
    else if (this.#keepsOpen && body.cancelled && body.leftBytes >= 0 && body.leftBytes <= DISCARD_BYTES) {
      this.#deadlines.bodyWanted();
      this.#pump();
    } else this.close();
  }

  /** Both halves of an exchange are over. */
  #next(): void {
    this.exchange = null;
    if (!this.#keepsOpen) return this.close();
    this.mode = "head";
    // A client that asks without reading must not fill memory with answers.
    this.#waitsForDrain = this.writeBlocked;
    this.#deadlines.requestEnded();
    if (!this.#waitsForDrain) this.#pump();
  }

  breakOff(reset: boolean): void {
    if (reset) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  openTunnel(): Duplex {
    this.mode = "tunnel";
    this.exchange = null;
    const tunnel = new Tunnel(this.socket);
    this.#tunnel = tunnel;
    this.#deadlines.update();
    this.#pump();
    if (this.ended) tunnel.peerEnded();
    return tunnel;
  }

  // --- the end

  /** Answers bytes that were no request, then closes. */
  refuse(error: GatewayError): void {
    this.#front.options.onRefused(error, this.facts);
    this.writeText(refusalText(error, this.dates));
    this.close();
  }

  /** The front is stopping: the next answer is the last, and an idle connection waits only for a request that is on its way. */
  drain(): void {
    this.#deadlines.draining();
  }

  /** Sends our end and waits, within bounds, for the client's. */
  close(): void {
    if (this.mode === "closing" || this.mode === "closed") return;
    this.mode = "closing";
    this.exchange = null;
    this.#held = null;
    this.#head.clear();
    this.socket.end();
    this.#deadlines.closing();
    this.#readOn();
  }

  onEnd(): void {
    this.ended = true;
    if (this.#tunnel !== null) this.#tunnel.peerEnded();
    else if (this.#held === null) this.#ended();
  }

  /** The client has half-closed, and everything it sent has been looked at. */
  #ended(): void {
    if (this.mode === "head") {
      if (this.#waitsForDrain) return;
      if (this.#head.started) this.refuse(new GatewayError("REQUEST_MALFORMED", "the client ended within a request head"));
      else this.close();
      return;
    }
    if (this.mode !== "exchange") return;
    const exchange = this.exchange!;
    const body = exchange.requestBody;
    if (body === null || body.complete || body.failed) {
      this.#deadlines.halfClosed();
      return;
    }
    exchange.clientGone(new GatewayError("CLIENT_CLOSED", "the client ended within a request body"));
    this.socket.destroy();
  }

  onClose(error: Error | null): void {
    this.mode = "closed";
    this.#held = null;
    this.#section.forget();
    this.#deadlines.cancel();
    const exchange = this.exchange;
    this.exchange = null;
    exchange?.clientGone(new GatewayError("CLIENT_CLOSED", error?.message ?? "the client closed the connection", { cause: error ?? undefined }));
    this.#tunnel?.peerClosed(error);
    this.#front.forget(this);
    this.#onClosed();
  }
}

/** IPv4 clients of a dual-stack listener come as ::ffff:192.0.2.1. */
function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
