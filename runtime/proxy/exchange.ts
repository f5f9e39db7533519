/**
 * The small interface through which every front (HTTP/1.1 today, HTTP/2 and TLS as further fronts) hands a request to
 * the handler and takes its answer, and through which an upstream hands back a response. Nothing here knows of HTTP/1.
 */
import type { Duplex } from "node:stream";
import type { GatewayError } from "../errors.ts";
import type { Fields } from "./fields.ts";

/** Takes body bytes. */
export interface BodySink {
  /**
   * One piece. `bytes` may be a view of a buffer that is reused as soon as this call returns: copy what is kept.
   * False asks the source to pause; whoever returned false calls `source.resume()` later.
   */
  chunk(bytes: Buffer): boolean;
  /** The same for a piece that is at hand as Latin-1 text, a character a byte. Left out by sinks that would have to make bytes of it. */
  chunkText?(latin1: string): boolean;
  /** The body is complete. */
  end(trailers: Fields | null): void;
  /** The body broke off; nothing more follows. */
  error(error: GatewayError): void;
}

/** Gives body bytes to exactly one sink. Flows only between `read` and the end, and never while paused. */
export interface BodySource {
  /** Bytes, when known beforehand; -1 when not; 0 means that there is no body (`read` still ends at once). */
  readonly length: number;
  /** True: nothing but the end of the connection says where it ends, so nobody can tell whether all of it came. */
  readonly endsWithConnection?: boolean;
  /** All of it, as the cache holds it: nobody writes into it, and the same page is the same buffer. Left out: it is no stored body. */
  readonly stored?: Buffer;
  /** Begins to flow. May call the sink before it returns. Called once. */
  read(sink: BodySink): void;
  pause(): void;
  resume(): void;
  /** The rest is not wanted. The source frees what it holds (a front closes or drains the connection; an upstream connection is destroyed). No further call reaches the sink. */
  cancel(): void;
}

export type Scheme = "http" | "https";

/** Facts about the client's connection that hold for all its exchanges; made once per connection. */
export interface ConnectionFacts {
  readonly id: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly scheme: Scheme;
}

export type HttpVersion = "1.0" | "1.1" | "2";

/** One exchange as its front sees it. Members up to `body` are the request; the methods are the response. */
export interface Exchange {
  readonly connection: ConnectionFacts;
  readonly version: HttpVersion;
  readonly method: string;
  /** Origin-form: path and query, begins with "/" (or is "*" for OPTIONS). Absolute-form has been taken apart by the front. */
  readonly target: string;
  /** Host and port as the client wrote them, lowercase; "" only for HTTP/1.0 without Host. */
  readonly authority: string;
  /** End-to-end fields only: the front has taken out Connection and what it names, Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Upgrade, and Host (see `authority`). Content-Length stays out too: `body.length` says it. Expect is handled by the front (it sends 100 when the body is first read). */
  readonly fields: Fields;
  /** Protocol name of a valid upgrade request ("websocket"), or "". Then `body` is empty and `upgrade` may be called. */
  readonly upgradeProtocol: string;
  readonly body: BodySource;
  /** When the head's last byte was read, in the worker clock's milliseconds. */
  readonly startedAtMs: number;

  /** Called at most once, when the client is gone before the response was complete; then every method of the response is a no-op. */
  onClientGone: (() => void) | null;
  /** Called once, after the last byte of the response was handed to the socket, or the exchange was aborted. */
  onComplete: ((sentBodyBytes: number, completed: boolean) => void) | null;

  /** 1xx, not 101. Left out silently for HTTP/1.0 clients. */
  informational(status: number, fields: Fields): void;
  /**
   * Status and fields of the response; the front adds framing (Content-Length, Transfer-Encoding, Connection, Date when absent),
   * nothing else. `bodyLength`: bytes, or -1 when unknown. It decides alone about HEAD, 204 and 304, whose bodies it swallows.
   * Head and the first piece of body leave in one write.
   */
  head(status: number, fields: Fields, bodyLength: number): void;
  /** The response body; valid after `head`. `drain` is called when `chunk` returned false and more may come. */
  readonly out: BodySink & { onDrain: (() => void) | null };
  /** A whole small response in one call and one write. */
  reply(status: number, fields: Fields, body: string | Buffer): void;
  /** Answers 101 with `fields` (the upstream's, `upgrade` and `connection` are written by the front) and gives the raw connection, with bytes already read from it unshifted. Valid when `upgradeProtocol` is set. */
  upgrade(fields: Fields): Duplex;
  /** Breaks the response off so that the client can tell (RST or close without the last chunk). */
  abort(error: GatewayError): void;
}

/** What the handler asks of the upstream room for one exchange. */
export interface UpstreamRequest {
  readonly method: string;
  readonly target: string;
  /** Host as the origin shall see it. */
  readonly authority: string;
  readonly fields: Fields;
  readonly body: BodySource;
  readonly upgradeProtocol: string;
  /** A target of the upstream ("http://127.0.0.1:9002") that a rule picked, or "". */
  readonly pinnedTarget: string;
  /** 1xx responses other than 101, as they come. */
  readonly onInformational: ((status: number, fields: Fields) => void) | null;
}

export interface UpstreamResponse {
  readonly status: number;
  /** End-to-end fields only, as for `Exchange.fields`; Content-Length stays out. */
  readonly fields: Fields;
  /** Bytes, -1 unknown, 0 none (also for HEAD, 204, 304; then `declaredLength` may still say what a GET would have had). */
  readonly body: BodySource;
  /** Content-Length as the origin declared it, or -1. For HEAD and 304 it is passed on. */
  readonly declaredLength: number;
  /** The target that answered, as in config. */
  readonly target: string;
  /** The raw connection when `status` is 101. */
  readonly tunnel: Duplex | null;
  /** From the moment the request was handed over. */
  readonly connectMs: number;
  readonly firstByteMs: number;
  /** Connections tried for this request; 1 when the first did it. */
  readonly attempts: number;
}

/** A body that is there already. Empty for no bytes. */
export function bodyOf(bytes: Buffer): BodySource {
  return new BytesBody(bytes, false);
}

/** The same for bytes that are at hand as Latin-1 text. */
export function bodyOfText(latin1: string): BodySource {
  return latin1 === "" ? NO_BODY : new BytesBody(latin1, false);
}

/** The same for what is kept in the cache. */
export function storedBody(bytes: Buffer): BodySource {
  return new BytesBody(bytes, true);
}

class BytesBody implements BodySource {
  readonly length: number;
  readonly stored: Buffer | undefined;
  readonly #bytes: Buffer | string;
  #sink: BodySink | null = null;
  #paused = false;

  constructor(bytes: Buffer | string, isStored: boolean) {
    this.#bytes = bytes;
    this.length = bytes.length;
    this.stored = isStored && typeof bytes !== "string" ? bytes : undefined;
  }
  read(sink: BodySink): void {
    this.#sink = sink;
    if (this.length > 0 && !this.#give(sink)) {
      this.#paused = true;
      return;
    }
    this.#finish();
  }
  pause(): void {
    this.#paused = true;
  }
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#finish();
  }
  cancel(): void {
    this.#sink = null;
  }
  #give(sink: BodySink): boolean {
    const bytes = this.#bytes;
    if (typeof bytes !== "string") return sink.chunk(bytes);
    return sink.chunkText === undefined ? sink.chunk(Buffer.from(bytes, "latin1")) : sink.chunkText(bytes);
  }
  #finish(): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.end(null);
  }
}

/** The one empty body. It holds no state between uses: `read` ends at once. */
export const NO_BODY: BodySource = {
  length: 0,
  read: (sink) => sink.end(null),
  pause: () => undefined,
  resume: () => undefined,
  cancel: () => undefined,
};
