/** The chunked coding (RFC 9112 section 7.1), read incrementally: any way of splitting the bytes gives the same. */
import { fieldLines, readFieldLines, refusal } from "./field-lines.ts";
import type { Refusal, WireLimits } from "./field-lines.ts";

/**
 * "data": `dataStart` to `dataEnd` of the bytes handed in are body. "more": all bytes are used up. "end": the body is
 * complete, `at` stands behind its last byte. "refused": see `refusal`.
 */
export type ChunkStep = "data" | "more" | "end" | "refused";

// Sixteen hex digits would pass 2^53; thirteen hold 4 PiB. Leading zeros count, so that a size line stays short.
const MAX_SIZE_DIGITS = 13;
/** Of all extensions of one body. Nobody needs them; unbounded they are bytes that no body limit counts (CVE-2024-22019, CVE-2023-39326). */
const MAX_EXTENSION_BYTES = 4096;

const CR = 13;
const LF = 10;
const SEMICOLON = 59;

// No blanks around ";" and "=": RFC 9112 lets a recipient parse them as "bad white space", and parsers disagree there.
const TOKEN_SOURCE = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const QUOTED_SOURCE = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])*"';
const EXTENSIONS = new RegExp(`^(?:;${TOKEN_SOURCE}(?:=(?:${TOKEN_SOURCE}|${QUOTED_SOURCE}))?)+$`);

/**
 * What a trailer must not carry, because it would change how a message is framed, routed, authorised or understood after the
 * fact (RFC 9110 section 6.5.1). Dropped. (Connection, Host, Content-Length and their like never reach `list`.)
 */
const FORBIDDEN_IN_TRAILERS = new Set(
  (
    "age authorization cache-control content-encoding content-range content-type cookie date expires forwarded if-match " +
    "if-modified-since if-none-match if-range if-unmodified-since location max-forwards pragma proxy-authenticate " +
    "proxy-authorization range retry-after set-cookie set-cookie2 sluice-error sluice-release trailer vary via warning " +
    "www-authenticate x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-real-ip x-request-id"
  ).split(" "),
);

type State = "size" | "extension" | "size-lf" | "data" | "data-cr" | "data-lf" | "trailer" | "end" | "refused";

export class ChunkedDecoder {
  /** How far the last `next` came in the bytes handed to it. */
  at = 0;
  dataStart = 0;
  dataEnd = 0;
  /** Set after "refused": CHUNK_MALFORMED or HEADERS_TOO_LARGE. */
  refusal: Refusal | null = null;
  /** Set after "end" when there were trailer fields; forbidden ones are gone. name, value, … */
  trailers: string[] | null = null;

  readonly #limits: WireLimits;
  #state: State = "size";
  #sizeDigits = 0;
  #size = 0;
  /** Of the current chunk's data, still to come. */
  #left = 0;
  #extension = "";
  #extensionBytes = 0;
  #trailer = "";

  constructor(limits: WireLimits) {
    this.#limits = limits;
  }

  /**
   * Reads on up to `to`, and leaves all data found in one piece from `dataStart` to `dataEnd` (empty: none), chunks pushed together where they lie in
   * `bytes`. Given one by one, 64 KiB of chunks of one byte were 10,000 writes: 1 MiB of them took a worker's core for half a second.
   */
  gather(bytes: Buffer, from: number, to: number): Exclude<ChunkStep, "data"> {
    let start = from;
    let end = from;
    let step = this.next(bytes, from, to);
    for (; step === "data"; step = this.next(bytes, this.at, to)) {
      if (start === end) start = end = this.dataStart;
      else bytes.copyWithin(end, this.dataStart, this.dataEnd);
      end += this.dataEnd - this.dataStart;
    }
    this.dataStart = start;
    this.dataEnd = end;
    return step;
  }

  /** Reads on in `bytes` from `from` to at most `to`. After "data" call again with `at`. */
  next(bytes: Buffer, from: number, to: number): ChunkStep {
    this.at = from;
    while (this.at < to) {
      switch (this.#state) {
        case "data": {
          const take = Math.min(this.#left, to - this.at);
          this.dataStart = this.at;
          this.at += take;
          this.dataEnd = this.at;
          this.#left -= take;
          if (this.#left === 0) this.#state = "data-cr";
          return "data";
        }
        case "size":
          this.#readSize(bytes[this.at]!);
          break;
        case "extension":
          this.#readExtension(bytes, to);
          break;
        case "size-lf":
          this.#endSizeLine(bytes[this.at]!);
          break;
        case "data-cr":
          if (bytes[this.at] !== CR) this.#refuse("chunk data is not followed by CRLF");
          else this.#state = "data-lf";
          break;
        case "data-lf":
          if (bytes[this.at] !== LF) this.#refuse("chunk data is not followed by CRLF");
          else this.#state = "size";
          break;
        case "trailer":
          this.#readTrailer(bytes, to);
          break;
        case "end":
          return "end";
        case "refused":
          return "refused";
      }
      this.at++;
    }
    if (this.#state === "end") return "end";
    return this.#state === "refused" ? "refused" : "more";
  }

  #readSize(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (++this.#sizeDigits > MAX_SIZE_DIGITS) return this.#refuse("a chunk size overflows");
      this.#size = this.#size * 16 + digit;
      return;
    }
    if (this.#sizeDigits === 0) return this.#refuse("a chunk has no size");
    if (byte === CR) this.#state = "size-lf";
    else if (byte === SEMICOLON) {
      this.#state = "extension";
      this.#extension = ";";
    } else this.#refuse(`byte ${byte} in a chunk size`);
  }

  /** Takes the extension up to its CR; `at` is left on the last byte taken. */
  #readExtension(bytes: Buffer, to: number): void {
    const cr = bytes.indexOf(CR, this.at);
    const end = cr < 0 || cr >= to ? to : cr;
    this.#extensionBytes += end - this.at;
    if (this.#extensionBytes > MAX_EXTENSION_BYTES) return this.#refuse(`more than ${MAX_EXTENSION_BYTES} bytes of chunk extensions`);
    this.#extension += bytes.toString("latin1", this.at, end);
    if (end === to) {
      this.at = to - 1;
      return;
    }
    this.at = end;
    if (!EXTENSIONS.test(this.#extension)) return this.#refuse("a chunk extension breaks the grammar");
    this.#state = "size-lf";
  }

  #endSizeLine(byte: number): void {
    if (byte !== LF) return this.#refuse("a bare CR in a chunk size line");
    this.#left = this.#size;
    this.#state = this.#size === 0 ? "trailer" : "data";
    this.#size = 0;
    this.#sizeDigits = 0;
  }

  /** Gathers the trailer up to its blank line; `at` is left on the last byte taken. */
  #readTrailer(bytes: Buffer, to: number): void {
    const before = this.#trailer.length;
    const limit = this.#limits.headerBytes + 2;
    // One byte more than allowed is enough to know.
    const text = this.#trailer + bytes.toString("latin1", this.at, Math.min(to, this.at + limit + 1 - before));
    const end = text.startsWith("\r\n") ? 0 : text.indexOf("\r\n\r\n", Math.max(0, before - 3));
    if (end < 0) {
      if (text.length > limit) return this.#refuse(`more than ${this.#limits.headerBytes} bytes of trailers`, "HEADERS_TOO_LARGE");
      if (STRAY_CONTROL.test(text.slice(Math.max(0, before - 1))) || text.startsWith("\n")) return this.#refuse("a control byte in the trailers");
      this.#trailer = text;
      this.at = to - 1;
      return;
    }
    const section = end === 0 ? "\r\n" : text.slice(0, end + 4);
    this.at += section.length - before - 1;
    this.#trailer = "";
    if (section.length > 2) {
      const refused = readFieldLines(section, 0, this.#limits);
      if (refused !== null) return this.#refuse(`trailers: ${refused.detail}`, refused.refused === "HEADERS_TOO_LARGE" ? refused.refused : "CHUNK_MALFORMED");
      // Another reader may frame what follows by them, as llhttp tries to (RFC 9110 section 6.5.1 forbids them here).
      if (fieldLines.contentLengths + fieldLines.transferEncodings > 0) return this.#refuse("a trailer that speaks of framing");
      this.trailers = allowedTrailers(fieldLines.list);
    }
    this.#state = "end";
  }

  #refuse(detail: string, code: "CHUNK_MALFORMED" | "HEADERS_TOO_LARGE" = "CHUNK_MALFORMED"): void {
    this.#state = "refused";
    this.refusal = refusal(code, detail);
  }
}

// A CR is left for the next piece to judge when it stands last.
const STRAY_CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|[^\r]\n/;

function allowedTrailers(list: string[]): string[] | null {
  const allowed: string[] = [];
  for (let i = 0; i < list.length; i += 2) {
    // Some origins read "_" as "-".
    if (!FORBIDDEN_IN_TRAILERS.has(list[i]!.replaceAll("_", "-"))) allowed.push(list[i]!, list[i + 1]!);
  }
  return allowed.length > 0 ? allowed : null;
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
