/**
 * A head that has not come whole yet: gathers it, and refuses what can never become valid without waiting for the rest,
 * so that garbage, bare LF endings and oversize heads are answered at once instead of by the head time-out.
 */
import { refusal } from "./field-lines.ts";
import { readRequestLine } from "./grammar.ts";
import type { Refusal, WireLimits } from "./grammar.ts";

/** Most heads are smaller; reading only this much as text spares a large body behind the head a second copy. */
const FIRST_LOOK_BYTES = 4096;

// A last CR may still get its LF.
const STRAY_CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|[^\r]\n/;
const LINE_START = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:/;

export class PartialHead {
  #text = "";
  /** RFC 9112 section 2.2: one empty line before a request line is skipped. */
  #skippedEmptyLine = false;
  #requestLineEnd = -1;
  /** Start of the line that is still incomplete. */
  #lineStart = 0;
  /** Where `take` stopped in the bytes handed to it. */
  at = 0;

  get started(): boolean {
    return this.#text !== "";
  }

  /** The whole head with its blank line, or null while more is needed, or why it can't become one. */
  take(bytes: Buffer, from: number, to: number, limits: WireLimits): string | Refusal | null {
    const before = this.#text;
    let looked = Math.min(to, from + FIRST_LOOK_BYTES);
    let text = before + bytes.toString("latin1", from, looked);
    if (!this.#skippedEmptyLine && text.charCodeAt(0) === 13) {
      if (text === "\r") {
        this.#text = text;
        this.at = to;
        return null;
      }
      if (text.charCodeAt(1) === 10) {
        this.#skippedEmptyLine = true;
        this.#text = "";
        this.at = from + 2 - before.length;
        return this.at < to ? this.take(bytes, this.at, to, limits) : null;
      }
    }
    let end = text.indexOf("\r\n\r\n", Math.max(0, before.length - 3));
    if (end < 0 && looked < to) {
      // No head may be longer than this; what lies behind need not be looked at.
      looked = Math.min(to, from + limits.targetBytes + limits.headerBytes + FIRST_LOOK_BYTES);
      text = before + bytes.toString("latin1", from, looked);
      end = text.indexOf("\r\n\r\n", Math.max(0, before.length - 3));
    }
    if (end >= 0) {
      this.at = from + end + 4 - before.length;
      this.clear();
      return end + 4 === text.length ? text : text.slice(0, end + 4);
    }
    this.at = looked;
    this.#text = text;
    return this.#refuseEarly(text, before.length, limits);
  }

  clear(): void {
    this.#text = "";
    this.#skippedEmptyLine = false;
    this.#requestLineEnd = -1;
    this.#lineStart = 0;
  }

  /** Looks only at what is new, so that a head sent byte by byte costs no more than one sent whole. */
  #refuseEarly(text: string, seen: number, limits: WireLimits): Refusal | null {
    const fresh = text.slice(Math.max(0, seen - 1));
    if (STRAY_CONTROL.test(fresh) || (seen === 0 && fresh.startsWith("\n"))) {
      return refusal("REQUEST_MALFORMED", `a control byte or bare line end in ${JSON.stringify(fresh.slice(0, 80))}`);
    }
    let lineEnd: number;
    while ((lineEnd = text.indexOf("\r\n", Math.max(this.#lineStart, seen - 1))) >= 0) {
      const refused = this.#checkLine(text, lineEnd, limits);
      if (refused !== null) return refused;
      this.#lineStart = lineEnd + 2;
    }
    const rest = text.length - this.#lineStart;
    if (this.#requestLineEnd < 0) {
      if (rest > limits.targetBytes + 64) return refusal("TARGET_TOO_LONG", `a request line of more than ${rest} bytes`);
      return null;
    }
    if (rest > limits.headerLineBytes) return refusal("HEADERS_TOO_LARGE", `a header line of more than ${limits.headerLineBytes} bytes`);
    if (text.length - this.#requestLineEnd > limits.headerBytes) return refusal("HEADERS_TOO_LARGE", `more than ${limits.headerBytes} bytes of fields`);
    return null;
  }

  #checkLine(text: string, lineEnd: number, limits: WireLimits): Refusal | null {
    const line = text.slice(this.#lineStart, lineEnd + 2);
    if (this.#requestLineEnd < 0) {
      this.#requestLineEnd = lineEnd + 2;
      const parsed = readRequestLine(line, limits);
      return parsed.refused === null ? null : parsed;
    }
    if (line.length - 2 > limits.headerLineBytes) return refusal("HEADERS_TOO_LARGE", `a header line of ${line.length - 2} bytes`);
    if (!LINE_START.test(line)) return refusal("REQUEST_MALFORMED", `header line ${JSON.stringify(line.slice(0, 80))} breaks the grammar`);
    return null;
  }
}
