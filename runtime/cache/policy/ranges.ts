/** Parts of a whole stored answer (RFC 9110 section 14). */
import type { Fields } from "../../proxy/fields.ts";
import { parseHttpDate } from "./dates.ts";
import type { ByteRange, MultipartLayout, RangeAnswer } from "./terms.ts";

/** More parts than this, or parts that add up to the whole, get the whole: such requests are attacks or mistakes (section 14.2). */
const MOST_PARTS = 16;

const WHOLE: RangeAnswer = { kind: "whole" };
const UNSATISFIABLE: RangeAnswer = { kind: "unsatisfiable" };
const RANGE_SPEC = /^(\d*)-(\d*)$/;

export function rangeFor(request: Fields, stored: Fields, lengthBytes: number): RangeAnswer {
  const lines = request.getAll("range");
  // Two Range fields, or a unit that isn't ours: as if there were none.
  if (lines.length !== 1) return WHOLE;
  const ifRange = request.get("if-range");
  if (ifRange !== undefined && !stillTheSame(ifRange, stored)) return WHOLE;
  return parseRange(lines[0]!, lengthBytes);
}

/** A Range value against a length. Malformed: the whole. */
export function parseRange(value: string, lengthBytes: number): RangeAnswer {
  const equals = value.indexOf("=");
  if (equals < 0 || value.slice(0, equals).trim().toLowerCase() !== "bytes") return WHOLE;
  const specs = value
    .slice(equals + 1)
    .split(",", MOST_PARTS * 2)
    .map((spec) => spec.trim())
    .filter((spec) => spec !== "");
  if (specs.length === 0 || specs.length > MOST_PARTS) return WHOLE;
  const parts: ByteRange[] = [];
  for (const spec of specs) {
    const found = RANGE_SPEC.exec(spec);
    if (found === null || spec === "-") return WHOLE;
    const part = partOf(found[1]!, found[2]!, lengthBytes);
    if (part === "malformed") return WHOLE;
    if (part !== null) parts.push(part);
  }
  if (parts.length === 0) return UNSATISFIABLE;
  if (parts.length === 1) return { kind: "partial", parts };
  const apart = joined(parts);
  if (apart.reduce((sum, part) => sum + part.last - part.first + 1, 0) >= lengthBytes) return WHOLE;
  return { kind: "partial", parts: apart.length === parts.length ? parts : apart };
}

/** Null: well-formed, but outside of the answer. */
function partOf(firstText: string, lastText: string, lengthBytes: number): ByteRange | null | "malformed" {
  if (firstText === "") {
    const suffix = Math.min(Number(lastText), lengthBytes);
    return suffix === 0 ? null : { first: lengthBytes - suffix, last: lengthBytes - 1 };
  }
  const first = Number(firstText);
  const last = lastText === "" ? Infinity : Number(lastText);
  if (last < first) return "malformed";
  return first >= lengthBytes ? null : { first, last: Math.min(last, lengthBytes - 1) };
}

/** In order, those that overlap or touch made one. */
function joined(parts: readonly ByteRange[]): ByteRange[] {
  const result: ByteRange[] = [];
  for (const part of [...parts].sort((a, b) => a.first - b.first)) {
    const before = result.at(-1);
    if (before !== undefined && part.first <= before.last + 1) result[result.length - 1] = { first: before.first, last: Math.max(before.last, part.last) };
    else result.push(part);
  }
  return result;
}

/** If-Range compares strongly (RFC 9110 section 13.1.5): weak tags never match, dates only when they are a second older than Date. */
function stillTheSame(ifRange: string, stored: Fields): boolean {
  if (ifRange.includes('"')) return !ifRange.startsWith("W/") && ifRange === stored.get("etag");
  const lastModified = stored.get("last-modified");
  if (lastModified === undefined || ifRange !== lastModified) return false;
  return parseHttpDate(lastModified, 0) + 1000 <= parseHttpDate(stored.get("date") ?? "", 0);
}

/** `part` null: for a 416. */
export function contentRange(part: ByteRange | null, lengthBytes: number): string {
  return part === null ? `bytes */${lengthBytes}` : `bytes ${part.first}-${part.last}/${lengthBytes}`;
}

/** multipart/byteranges (RFC 9110 section 14.6). `contentType`: "" when the answer has none. */
export function multipartLayout(parts: readonly ByteRange[], contentType: string, lengthBytes: number, boundary: string): MultipartLayout {
  const type = contentType === "" ? "" : `Content-Type: ${contentType}\r\n`;
  const heads = parts.map((part, i) => `${i === 0 ? "" : "\r\n"}--${boundary}\r\n${type}Content-Range: ${contentRange(part, lengthBytes)}\r\n\r\n`);
  const tail = `\r\n--${boundary}--\r\n`;
  let total = tail.length;
  for (const [i, part] of parts.entries()) total += heads[i]!.length + part.last - part.first + 1;
  return { contentType: `multipart/byteranges; boundary=${boundary}`, lengthBytes: total, heads, tail };
}
