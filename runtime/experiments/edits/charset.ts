/**
 * A page's character set, as far as edits need it: which bytes a text becomes. Every set edited here agrees with ASCII in all bytes that
 * shape HTML, also within its multi-byte sequences, so that a page can be read as Latin-1.
 */
import { Buffer } from "node:buffer";

/** What becomes of a character that the page's set does not have: it depends on who reads it. */
export type TextContext = "markup" | "script" | "style";

export interface Charset {
  readonly name: string;
  /** Code point → byte above 0x7f; "utf-8"; or "ascii": everything else is written as a reference. */
  readonly beyondAscii: ReadonlyMap<number, number> | "utf-8" | "ascii";
}

const UTF8: Charset = { name: "utf-8", beyondAscii: "utf-8" };
/** A page that did not say what it is: right under every set. */
export const UNDECLARED: Charset = { name: "", beyondAscii: "ascii" };

const SINGLE_BYTE = /^(?:ibm866|iso-8859-\d+(?:-i)?|koi8-[ru]|macintosh|windows-(?:874|125\d)|x-mac-cyrillic)$/;
/** Bytes that look like markup but are none: a page in these passes unedited. */
const NOT_EDITABLE: readonly string[] = ["utf-16le", "utf-16be", "iso-2022-jp"];
const MAX_LABEL_UNITS = 40;

/** By the encoding's own name, of which there are about forty; labels are a stranger's. */
const known = new Map<string, Charset>([["utf-8", UTF8]]);

/** The character set of that label (WHATWG Encoding, section 4.2), or null when a page in it can't be edited. An unknown label is like none. */
export function charsetOf(label: string): Charset | null {
  const name = encodingName(label);
  if (name === "") return UNDECLARED;
  if (NOT_EDITABLE.includes(name)) return null;
  let charset = known.get(name);
  if (charset === undefined) {
    charset = { name, beyondAscii: SINGLE_BYTE.test(name) ? bytesOf(name) : "ascii" };
    known.set(name, charset);
  }
  return charset;
}

function encodingName(label: string): string {
  const wanted = label.trim().toLowerCase();
  if (wanted === "utf-8" || wanted === "utf8") return "utf-8";
  if (wanted === "" || wanted.length > MAX_LABEL_UNITS) return "";
  try {
    return new TextDecoder(wanted).encoding;
  } catch (unknownLabel) {
    if (unknownLabel instanceof RangeError) return "";
    throw unknownLabel;
  }
}

function bytesOf(name: string): ReadonlyMap<number, number> {
  const decoder = new TextDecoder(name);
  const bytes = new Map<number, number>();
  for (let byte = 0x80; byte <= 0xff; byte++) {
    const code = decoder.decode(Uint8Array.of(byte)).codePointAt(0);
    if (code !== undefined && code !== 0xfffd) bytes.set(code, byte);
  }
  return bytes;
}

const BEYOND_ASCII = /[^\x00-\x7f]/;

/** `text` as the page's bytes, in a Latin-1 string. */
export function pageText(text: string, charset: Charset, context: TextContext): string {
  if (!BEYOND_ASCII.test(text)) return text;
  const { beyondAscii } = charset;
  if (beyondAscii === "utf-8") return Buffer.from(text, "utf8").latin1Slice();
  let out = "";
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code < 0x80) out += character;
    else {
      const byte = beyondAscii === "ascii" ? undefined : beyondAscii.get(code);
      out += byte === undefined ? reference(code, context) : String.fromCharCode(byte);
    }
  }
  return out;
}

/** The page's bytes, in a Latin-1 string, as text. A page that does not say what it is is taken for UTF-8. */
export function textOfPage(bytes: string, charset: Charset): string {
  if (!BEYOND_ASCII.test(bytes)) return bytes;
  const raw = Buffer.from(bytes, "latin1");
  return charset.beyondAscii === "utf-8" || charset.name === "" ? raw.toString("utf8") : new TextDecoder(charset.name).decode(raw);
}

/** How the page itself would write `text` in an attribute that a selector asks for. A set that the gateway can't write is taken for UTF-8. */
export function comparedText(text: string, charset: Charset): string {
  return typeof charset.beyondAscii === "string" ? pageText(text, UTF8, "markup") : pageText(text, charset, "markup");
}

function reference(code: number, context: TextContext): string {
  switch (context) {
    case "markup":
      return `&#${code};`;
    case "style":
      return `\\${code.toString(16)} `;
    case "script":
      return escapedUnits(String.fromCodePoint(code));
  }
}

function escapedUnits(text: string): string {
  let out = "";
  for (let i = 0; i < text.length; i++) out += `\\u${text.charCodeAt(i).toString(16).padStart(4, "0")}`;
  return out;
}
