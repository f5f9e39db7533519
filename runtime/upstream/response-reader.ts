/** The bytes of a connection to responses: heads, bodies by length, chunked or until close (RFC 9112 section 6.3). */
import type { ErrorCode } from "../errors.ts";
import { bodyOf, bodyOfText, type BodySource, NO_BODY } from "../proxy/exchange.ts";
import { Fields } from "../proxy/fields.ts";
import { ChunkedDecoder, parseResponseHead, type ResponseHead, type WireLimits } from "../proxy/http1/grammar.ts";

export type Answer = ResponseHead;
export type HeadLimits = WireLimits;

export interface ResponseProblem {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** Views of bytes are valid during the call only. `overrun`: bytes came behind the response, so that the connection can't be trusted. */
export interface ResponseEvents {
  informational(status: number, fields: Fields): void;
  /** Head and whole body came in one read. Nothing follows, and the body is its taker's own. */
  responseWhole(answer: Answer, body: BodySource, overrun: boolean): void;
  /** Bytes, or -1 when unknown; `responseBytes` and `responseEnds` follow. */
  responseBegins(answer: Answer, length: number): void;
  responseBytes(bytes: Buffer): void;
  responseEnds(answer: Answer, trailers: Fields | null, overrun: boolean): void;
  responseSwitches(answer: Answer, early: Buffer | null): void;
}

/** Hints and "still working" come in ones and twos; a flood of them would keep a request alive for ever. */
const INFORMATIONAL_RESPONSES = 32;
/** A status line with its reason phrase may take this on top of the fields' limit. */
const STATUS_LINE_BYTES = 1_024;
/** Most heads are shorter: a large body that came with one is not made a string. */
const FIRST_LOOK_BYTES = 4_096;
const STATUS_LINE_START = "HTTP/1.";

type State = "head" | "length" | "chunked" | "close" | "done";

export class ResponseReader {
  /** Has a byte of the present answer come? */
  heard = false;
  readonly #limits: WireLimits;
  readonly #events: ResponseEvents;
  #state: State = "done";
  #withoutBody = false;
  #upgradeProtocol = "";
  #partialHead = "";
  /** Its last characters, where the blank line may have begun. */
  #partialEnd = "";
  #informationalLeft = 0;
  #answer: Answer | null = null;
  #bodyBytes = 0;
  #leftBytes = 0;
  #decoder: ChunkedDecoder | null = null;

  constructor(limits: WireLimits, events: ResponseEvents) {
    this.#limits = limits;
    this.#events = events;
  }

  /** The body ends when the connection does. */
  get untilClose(): boolean {
    return this.#state === "close";
  }

  /** A request goes out now. */
  expect(method: string, upgradeProtocol: string): void {
    this.heard = false;
    this.#state = "head";
    this.#withoutBody = method === "HEAD";
    this.#upgradeProtocol = upgradeProtocol;
    this.#informationalLeft = INFORMATIONAL_RESPONSES;
    this.#answer = null;
    this.#bodyBytes = 0;
  }

  /** Nothing more is wanted, even of the bytes that are being read. */
  stop(): void {
    this.#state = "done";
  }

  /** Reads the first `length` bytes of `buffer`. What was wrong, or null. */
  feed(buffer: Buffer, length: number): ResponseProblem | null {
    this.heard = true;
    let at = 0;
    while (this.#state === "head") {
      const next = this.#readHead(buffer, at, length);
      if (typeof next !== "number") return next;
      at = next;
      if (at >= length) return null;
    }
    switch (this.#state) {
      case "length":
        this.#readLength(buffer, at, length);
        return null;
      case "chunked":
        return this.#readChunks(buffer, at, length);
      case "close":
        this.#bodyBytes += length - at;
        this.#events.responseBytes(buffer.subarray(at, length));
        return null;
      case "done":
        return null;
    }
  }

  /** The connection was closed, which ends a body `untilClose`. */
  closed(): void {
    this.#end(null, false);
  }

  /** How far the answer came and what was expected, for the error's detail. */
  progress(): string {
    switch (this.#state) {
      case "head":
        if (!this.heard) return "no byte of an answer, expected a status line";
        if (this.#partialHead === "") return "informational responses only, expected a final one";
        return `${this.#partialHead.length} bytes of a response head, expected its end`;
      case "length":
        return `${this.#bodyBytes} of ${this.#answer?.declaredLength ?? 0} bytes of the body`;
      case "chunked":
        return `${this.#bodyBytes} bytes of a chunked body, expected its last chunk`;
      case "close":
        return `${this.#bodyBytes} bytes of a body that ends with the connection`;
      case "done":
        return "the answer was complete";
    }
  }

  /** Where to read on; `length` when more must come first. */
  #readHead(buffer: Buffer, at: number, length: number): number | ResponseProblem {
    const before = this.#partialHead.length;
    const longest = this.#limits.headerBytes + STATUS_LINE_BYTES;
    if (before >= STATUS_LINE_START.length && before + length - at <= longest && length - at <= FIRST_LOOK_BYTES) {
      // Looking only at what is new keeps a head that comes byte by byte from costing its square (32 KiB: 150 ms).
      const piece = buffer.latin1Slice(at, length);
      const seam = this.#partialEnd + piece;
      if (!seam.includes("\r\n\r\n")) {
        this.#partialHead += piece;
        this.#partialEnd = seam.slice(-3);
        return length;
      }
    }
    const searchFrom = Math.max(0, before - 3);
    let text = this.#partialHead + buffer.latin1Slice(at, Math.min(length, at + FIRST_LOOK_BYTES));
    let end = text.indexOf("\r\n\r\n", searchFrom);
    if (end < 0 && length - at > FIRST_LOOK_BYTES) {
      text = this.#partialHead + buffer.latin1Slice(at, Math.min(length, at + longest + 4));
      end = text.indexOf("\r\n\r\n", searchFrom);
    }
    if (end < 0) {
      if (text.length > longest) return { code: "UPSTREAM_HEAD_TOO_LARGE", detail: `more than ${longest} bytes of a response head without its end` };
      if (!couldBeHead(text)) return { code: "UPSTREAM_MALFORMED", detail: `expected a status line, found ${JSON.stringify(text.slice(0, 80))}` };
      this.#partialHead = text;
      this.#partialEnd = text.slice(-3);
      return length;
    }
    this.#partialHead = "";
    const head = end + 4 === text.length ? text : text.slice(0, end + 4);
    const answer = parseResponseHead(head, this.#limits);
    if (answer.refused !== null) return { code: answer.refused, detail: answer.detail };
    const bodyAt = at + head.length - before;
    if (answer.status === 101) return this.#switch(answer, buffer, bodyAt, length);
    if (answer.status >= 200) return this.#begin(answer, buffer, bodyAt, length, text, end + 4);
    if (--this.#informationalLeft < 0) return { code: "UPSTREAM_MALFORMED", detail: `more than ${INFORMATIONAL_RESPONSES} informational responses` };
    this.#events.informational(answer.status, new Fields(answer.fields));
    return bodyAt;
  }

  #switch(answer: Answer, buffer: Buffer, bodyAt: number, length: number): number | ResponseProblem {
    if (this.#upgradeProtocol === "") return { code: "UPSTREAM_MALFORMED", detail: "101 (Switching Protocols) that nobody asked for" };
    if (answer.upgradeProtocol !== this.#upgradeProtocol)
      return { code: "UPSTREAM_MALFORMED", detail: `101 switches to "${answer.upgradeProtocol}", asked for was "${this.#upgradeProtocol}"` };
    this.#state = "done";
    this.#events.responseSwitches(answer, bodyAt < length ? buffer.subarray(bodyAt, length) : null);
    return length;
  }

  /** `text` from `textAt` on is the same as `buffer` from `bodyAt` on, as far as it goes. */
  #begin(answer: Answer, buffer: Buffer, bodyAt: number, length: number, text: string, textAt: number): number {
    const kind = this.#withoutBody ? "none" : answer.bodyKind;
    const size = kind === "length" ? answer.declaredLength : 0;
    const available = length - bodyAt;
    if (kind === "none" || (kind === "length" && size <= available)) {
      this.#state = "done";
      const inText = textAt + size <= text.length;
      const body = size === 0 ? NO_BODY : inText ? bodyOfText(text.slice(textAt, textAt + size)) : bodyOf(Buffer.from(buffer.subarray(bodyAt, bodyAt + size)));
      this.#events.responseWhole(answer, body, size < available);
      return length;
    }
    this.#answer = answer;
    this.#state = kind;
    this.#leftBytes = size;
    if (kind === "chunked") this.#decoder = new ChunkedDecoder(this.#limits);
    this.#events.responseBegins(answer, kind === "length" ? size : -1);
    return bodyAt;
  }

  #readLength(buffer: Buffer, at: number, length: number): void {
    const take = Math.min(this.#leftBytes, length - at);
    this.#leftBytes -= take;
    this.#bodyBytes += take;
    this.#events.responseBytes(take === buffer.length ? buffer : buffer.subarray(at, at + take));
    if (this.#leftBytes === 0) this.#end(null, at + take < length);
  }

  #readChunks(buffer: Buffer, from: number, length: number): ResponseProblem | null {
    const decoder = this.#decoder!;
    const step = decoder.gather(buffer, from, length);
    const { at, dataStart, dataEnd } = decoder;
    if (dataEnd > dataStart) {
      this.#bodyBytes += dataEnd - dataStart;
      this.#events.responseBytes(buffer.subarray(dataStart, dataEnd));
    }
    // Whoever took them may want no more.
    if (this.#state !== "chunked") return null;
    if (step === "refused") return { code: "UPSTREAM_MALFORMED", detail: decoder.refusal?.detail ?? "the chunked body breaks the grammar" };
    if (step === "end") this.#end(decoder.trailers === null ? null : new Fields(decoder.trailers), at < length);
    return null;
  }

  #end(trailers: Fields | null, overrun: boolean): void {
    if (this.#state === "done") return;
    const answer = this.#answer!;
    this.#state = "done";
    this.#decoder = null;
    this.#answer = null;
    this.#events.responseEnds(answer, trailers, overrun);
  }
}

/** Tells garbage at its first bytes, instead of waiting for the end of a head that never comes. */
function couldBeHead(text: string): boolean {
  return text.length < STATUS_LINE_START.length ? STATUS_LINE_START.startsWith(text) : text.startsWith(STATUS_LINE_START);
}
