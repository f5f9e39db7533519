/** `atob` and `btoa` (HTML section 8.3), over what V8 brings. */
import { bytesToLatin1, latin1ToBytes } from "./bytes.ts";
import { DOMException } from "./dom-exception.ts";

export function btoa(data: string): string {
  const text = String(data);
  if (/[^\x00-\xff]/.test(text)) throw new DOMException("btoa: a character above U+00FF is no byte", "InvalidCharacterError");
  return latin1ToBytes(text).toBase64();
}

export function atob(data: string): string {
  let bytes: Uint8Array;
  try {
    // "loose" is the standard's forgiving decode: white space is skipped, padding may be missing.
    bytes = Uint8Array.fromBase64(String(data), { lastChunkHandling: "loose" });
  } catch (cause) {
    throw new DOMException("atob: the text is no base64", { name: "InvalidCharacterError", cause });
  }
  return bytesToLatin1(bytes);
}

/** Base64url without padding (RFC 4648 section 5), as JWKs have it. */
export function base64UrlToBytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(text, { alphabet: "base64url", lastChunkHandling: "loose" });
}

export function bytesToBase64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
