/** Bodies as rules give and get them, and as they cross: Latin-1 strings, one unit a byte. */
import { bytesToLatin1, latin1ToBytes } from "./web/bytes.ts";
import { decodeUtf8, encodeUtf8 } from "./web/encoding.ts";
import { describe } from "./failure.ts";

const ASCII = /^[\x00-\x7f]*$/;

export interface Content {
  readonly bytes: string;
  /** Content type that fits when nobody said another, or "". */
  readonly type: string;
}

/** `BodyInput` of the SDK. Runs `toJSON` of what it is given. */
export function contentOf(body: unknown, where: string): Content {
  if (body === undefined || body === null) return { bytes: "", type: "" };
  if (typeof body === "string") return { bytes: utf8Bytes(body), type: "text/plain;charset=UTF-8" };
  if (body instanceof Uint8Array) return { bytes: bytesToLatin1(body), type: "" };
  if (body instanceof ArrayBuffer) return { bytes: bytesToLatin1(new Uint8Array(body)), type: "" };
  if (ArrayBuffer.isView(body)) return { bytes: bytesToLatin1(new Uint8Array(body.buffer as ArrayBuffer, body.byteOffset, body.byteLength)), type: "" };
  const json = JSON.stringify(body);
  if (json === undefined) throw new TypeError(`${where}: a body of type ${describe(body)} has no JSON`);
  return { bytes: utf8Bytes(json), type: "application/json" };
}

/** UTF-8 of `text`, one unit a byte. */
export function utf8Bytes(text: string): string {
  return ASCII.test(text) ? text : bytesToLatin1(encodeUtf8(text));
}

/** The text of UTF-8 bytes; broken sequences become U+FFFD. */
export function utf8Text(bytes: string): string {
  return ASCII.test(bytes) ? bytes : decodeUtf8(latin1ToBytes(bytes));
}
