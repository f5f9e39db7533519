/** TextEncoder and TextDecoder (Encoding Standard): UTF-8, UTF-16LE and what the standard calls latin1 (windows-1252). */
import { bytesOf, bytesToLatin1 } from "./bytes.ts";

export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  const ascii = encodeAscii(text);
  if (ascii !== null) return ascii;
  const bytes = new Uint8Array(utf8Length(text));
  encodeUtf8Into(text, bytes);
  return bytes;
}

function encodeAscii(text: string): Uint8Array<ArrayBuffer> | null {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit > 0x7f) return null;
    bytes[at] = unit;
  }
  return bytes;
}

function utf8Length(text: string): number {
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) length += 1;
    else if (unit < 0x800) length += 2;
    else if (isHigh(unit) && isLow(text.charCodeAt(at + 1))) {
      length += 4;
      at++;
    } else length += 3;
  }
  return length;
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

/** Writes whole characters while they fit. Lone surrogates become U+FFFD. */
function encodeUtf8Into(text: string, bytes: Uint8Array): { read: number; written: number } {
  let written = 0;
  let at = 0;
  while (at < text.length) {
    const unit = text.charCodeAt(at);
    const pair = isHigh(unit) && isLow(text.charCodeAt(at + 1));
    const point = pair ? text.codePointAt(at)! : unit >= 0xd800 && unit <= 0xdfff ? 0xfffd : unit;
    const size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    if (written + size > bytes.length) break;
    if (size === 1) bytes[written++] = point;
    else {
      bytes[written++] = (size === 2 ? 0xc0 : size === 3 ? 0xe0 : 0xf0) | (point >> (6 * (size - 1)));
      for (let shift = 6 * (size - 2); shift >= 0; shift -= 6) bytes[written++] = 0x80 | ((point >> shift) & 0x3f);
    }
    at += pair ? 2 : 1;
  }
  return { read: at, written };
}

export class TextEncoder {
  get encoding(): "utf-8" {
    return "utf-8";
  }
  encode(input = ""): Uint8Array<ArrayBuffer> {
    return encodeUtf8(String(input));
  }
  encodeInto(source: string, destination: Uint8Array): { read: number; written: number } {
    if (!(destination instanceof Uint8Array)) throw new TypeError("encodeInto: a Uint8Array is expected");
    return encodeUtf8Into(String(source), destination);
  }
  get [Symbol.toStringTag](): string {
    return "TextEncoder";
  }
}

/** A decoder's machine: bytes in, characters out; `flush` ends the stream. */
interface Machine {
  decode(bytes: Uint8Array, fatal: boolean, flush: boolean): string;
}

/** Characters gathered before they become a string. */
const CHUNK = 4096;

/** Encoding Standard section 8.1.1. */
class Utf8Machine implements Machine {
  #point = 0;
  #needed = 0;
  #seen = 0;
  #lower = 0x80;
  #upper = 0xbf;

  decode(bytes: Uint8Array, fatal: boolean, flush: boolean): string {
    let text = "";
    let units: number[] = [];
    const bad = (): void => {
      if (fatal) {
        this.#reset();
        throw new TypeError("The encoded data was not valid for encoding utf-8");
      }
      units.push(0xfffd);
    };
    let at = 0;
    if (this.#needed === 0) {
      // Most text is ASCII, at least at its beginning: that goes through V8's own loop, ten times as fast.
      while (at < bytes.length && bytes[at]! < 0x80) at++;
      text = bytesToLatin1(bytes.subarray(0, at));
    }
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (units.length >= CHUNK) {
        text += String.fromCharCode.apply(null, units);
        units = [];
      }
      if (this.#needed === 0) {
        if (byte < 0x80) units.push(byte);
        else if (!this.#lead(byte)) bad();
        continue;
      }
      if (byte < this.#lower || byte > this.#upper) {
        this.#reset();
        bad();
        at--;
        continue;
      }
      this.#lower = 0x80;
      this.#upper = 0xbf;
      this.#point = (this.#point << 6) | (byte & 0x3f);
      if (++this.#seen < this.#needed) continue;
      pushPoint(units, this.#point);
      this.#reset();
    }
    if (flush && this.#needed > 0) {
      this.#reset();
      bad();
    }
    return text + String.fromCharCode.apply(null, units);
  }

  #lead(byte: number): boolean {
    if (byte >= 0xc2 && byte <= 0xdf) this.#start(1, byte & 0x1f);
    else if (byte >= 0xe0 && byte <= 0xef) {
      this.#start(2, byte & 0x0f);
      if (byte === 0xe0) this.#lower = 0xa0;
      if (byte === 0xed) this.#upper = 0x9f;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
      this.#start(3, byte & 0x07);
      if (byte === 0xf0) this.#lower = 0x90;
      if (byte === 0xf4) this.#upper = 0x8f;
    } else return false;
    return true;
  }
  #start(needed: number, point: number): void {
    this.#needed = needed;
    this.#point = point;
  }
  #reset(): void {
    this.#point = this.#needed = this.#seen = 0;
    this.#lower = 0x80;
    this.#upper = 0xbf;
  }
}

function pushPoint(units: number[], point: number): void {
  if (point < 0x10000) units.push(point);
  else units.push(0xd800 + ((point - 0x10000) >> 10), 0xdc00 + ((point - 0x10000) & 0x3ff));
}

/** Encoding Standard section 14.4. */
class Utf16Machine implements Machine {
  #byte = -1;
  #high = -1;

  decode(bytes: Uint8Array, fatal: boolean, flush: boolean): string {
    let text = "";
    const bad = (): void => {
      if (fatal) {
        this.#byte = this.#high = -1;
        throw new TypeError("The encoded data was not valid for encoding utf-16le");
      }
      text += "\ufffd";
    };
    for (const byte of bytes) {
      if (this.#byte < 0) {
        this.#byte = byte;
        continue;
      }
      const unit = this.#byte | (byte << 8);
      this.#byte = -1;
      if (this.#high >= 0 && isLow(unit)) {
        text += String.fromCharCode(this.#high, unit);
        this.#high = -1;
        continue;
      }
      if (this.#high >= 0) {
        this.#high = -1;
        bad();
      }
      if (isHigh(unit)) this.#high = unit;
      else if (isLow(unit)) bad();
      else text += String.fromCharCode(unit);
    }
    if (flush && (this.#byte >= 0 || this.#high >= 0)) {
      this.#byte = this.#high = -1;
      bad();
    }
    return text;
  }
}

/** Where windows-1252 differs from Latin-1: 0x80 – 0x9f. */
const WINDOWS_1252 = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";

class Windows1252Machine implements Machine {
  decode(bytes: Uint8Array): string {
    let text = "";
    for (const byte of bytes) text += byte >= 0x80 && byte <= 0x9f ? WINDOWS_1252[byte - 0x80]! : String.fromCharCode(byte);
    return text;
  }
}

const LABELS: Readonly<Record<string, readonly string[]>> = {
  "utf-8": ["unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "utf-8", "utf8", "x-unicode20utf8"],
  "utf-16le": ["csunicode", "iso-10646-ucs-2", "ucs-2", "unicode", "unicodefeff", "utf-16", "utf-16le"],
  "windows-1252": [
    ...["ansi_x3.4-1968", "ascii", "cp1252", "cp819", "csisolatin1", "ibm819", "iso-8859-1", "iso-ir-100", "iso8859-1", "iso88591"],
    ...["iso_8859-1", "iso_8859-1:1987", "l1", "latin1", "us-ascii", "windows-1252", "x-cp1252"],
  ],
};

export class TextDecoder {
  readonly #encoding: string;
  readonly #fatal: boolean;
  readonly #ignoreBOM: boolean;
  #machine: Machine | null = null;
  #bomSeen = false;

  constructor(label = "utf-8", options: { readonly fatal?: boolean; readonly ignoreBOM?: boolean } = {}) {
    const name = String(label)
      .replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, "")
      .toLowerCase();
    const encoding = Object.keys(LABELS).find((known) => LABELS[known]!.includes(name));
    if (encoding === undefined)
      throw new RangeError(`TextDecoder: the encoding ${JSON.stringify(String(label))} is not supported; utf-8, utf-16le and latin1 are`);
    this.#encoding = encoding;
    this.#fatal = Boolean(options?.fatal);
    this.#ignoreBOM = Boolean(options?.ignoreBOM);
  }
  get encoding(): string {
    return this.#encoding;
  }
  get fatal(): boolean {
    return this.#fatal;
  }
  get ignoreBOM(): boolean {
    return this.#ignoreBOM;
  }
  decode(input?: unknown, options: { readonly stream?: boolean } = {}): string {
    const bytes = input === undefined ? new Uint8Array(0) : bytesOf(input, "decode");
    const stream = Boolean(options?.stream);
    const machine = (this.#machine ??= this.#start());
    if (!stream) this.#machine = null;
    let text = machine.decode(bytes, this.#fatal, !stream);
    if (!this.#bomSeen && text !== "") {
      this.#bomSeen = true;
      if (!this.#ignoreBOM && this.#encoding !== "windows-1252" && text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    }
    return text;
  }
  #start(): Machine {
    this.#bomSeen = false;
    return this.#encoding === "utf-8" ? new Utf8Machine() : this.#encoding === "utf-16le" ? new Utf16Machine() : new Windows1252Machine();
  }
  get [Symbol.toStringTag](): string {
    return "TextDecoder";
  }
}

/** As `Body.text()` decodes: UTF-8, a byte order mark dropped, broken sequences as U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
