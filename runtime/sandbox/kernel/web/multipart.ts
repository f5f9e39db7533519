/** `multipart/form-data` (RFC 7578), written and read as the Fetch and HTML standards say. */
import { contents, File } from "./blob.ts";
import { bytesToLatin1, concatBytes, latin1ToBytes } from "./bytes.ts";
import { decodeUtf8, encodeUtf8 } from "./encoding.ts";
import { FormData } from "./form-data.ts";
import { host } from "./host.ts";

/** Parts of one form. Browsers' forms have a handful. */
const MAX_PARTS = 1000;
const CRLF = "\r\n";

export function writeMultipart(data: FormData): { readonly bytes: Uint8Array<ArrayBuffer>; readonly type: string } {
  const boundary = `----formdata-sluice-${digits()}${digits()}`;
  const parts: Uint8Array[] = [];
  for (const [name, value] of data) {
    const head = `--${boundary}${CRLF}Content-Disposition: form-data; name="${escape(name)}"`;
    if (typeof value === "string") parts.push(encodeUtf8(`${head}${CRLF}${CRLF}${value.replace(/\r?\n|\r/g, CRLF)}${CRLF}`));
    else {
      parts.push(encodeUtf8(`${head}; filename="${escape(value.name, false)}"${CRLF}Content-Type: ${value.type || "application/octet-stream"}${CRLF}${CRLF}`));
      parts.push(value[contents], latin1ToBytes(CRLF));
    }
  }
  parts.push(latin1ToBytes(`--${boundary}--${CRLF}`));
  return { bytes: concatBytes(parts), type: `multipart/form-data; boundary=${boundary}` };
}

function digits(): string {
  return Array.from({ length: 6 }, () => host().randomByte().toString(16).padStart(2, "0")).join("");
}

/** HTML section 4.10.21.8: line breaks of names, not of file names, are made CRLF first. */
function escape(text: string, breaks = true): string {
  const normal = breaks ? text.replace(/\r?\n|\r/g, CRLF) : text;
  return normal.replace(/[\r\n"]/g, (one) => (one === "\r" ? "%0D" : one === "\n" ? "%0A" : "%22"));
}

/** @throws TypeError when it is none. */
export function readMultipart(bytes: Uint8Array, boundary: string): FormData {
  // As Latin-1 every byte is one unit, so that native search finds the boundaries.
  const text = bytesToLatin1(bytes);
  const data = new FormData();
  const delimiter = `--${boundary}`;
  let at = text.startsWith(delimiter) ? delimiter.length : startAfter(text, `${CRLF}${delimiter}`);
  for (let count = 0; ; count++) {
    if (text.startsWith("--", at)) return data;
    if (count >= MAX_PARTS) throw new TypeError(`multipart/form-data: at most ${MAX_PARTS} parts are expected`);
    // RFC 2046 section 5.1.1 lets white space stand after a boundary.
    const line = /[\t ]*\r\n/y;
    line.lastIndex = at;
    if (!line.test(text)) throw malformed();
    const headStart = line.lastIndex;
    const headEnd = text.startsWith(CRLF, headStart) ? headStart - 2 : text.indexOf(CRLF + CRLF, headStart);
    if (headEnd < headStart - 2) throw malformed();
    const bodyEnd = text.indexOf(`${CRLF}${delimiter}`, headEnd + 4 - 2);
    if (bodyEnd < 0) throw malformed();
    readPart(data, text.slice(headStart, Math.max(headEnd, headStart)), bytes.subarray(headEnd + 4, Math.max(bodyEnd, headEnd + 4)));
    at = bodyEnd + CRLF.length + delimiter.length;
  }
}

function startAfter(text: string, mark: string): number {
  const found = text.indexOf(mark);
  if (found < 0) throw malformed();
  return found + mark.length;
}

function readPart(data: FormData, head: string, body: Uint8Array): void {
  let disposition = "";
  let type = "text/plain";
  for (const line of head.split(CRLF)) {
    const colon = line.indexOf(":");
    if (colon < 0) throw malformed();
    const name = line.slice(0, colon).trim().toLowerCase();
    if (name === "content-disposition") disposition = line.slice(colon + 1).trim();
    if (name === "content-type") type = line.slice(colon + 1).trim();
  }
  if (!/^form-data\s*;/i.test(disposition)) throw malformed();
  const name = parameter(disposition, "name");
  if (name === null) throw malformed();
  const fileName = parameter(disposition, "filename");
  if (fileName === null) data.append(name, decodeUtf8(body));
  else data.append(name, new File([body], fileName, { type }));
}

/** A quoted parameter; its bytes are UTF-8. */
function parameter(disposition: string, name: string): string | null {
  const found = new RegExp(`;\\s*${name}="([^"]*)"`, "i").exec(disposition);
  if (found === null) return null;
  const text = found[1]!.replace(/%0A/gi, "\n").replace(/%0D/gi, "\r").replace(/%22/g, '"');
  return decodeUtf8(latin1ToBytes(text));
}

function malformed(): TypeError {
  return new TypeError("the body is no well-formed multipart/form-data");
}
