/** Text that only this gateway, or one that shares its key, can have written: `payload.mac`. Each use has its own purpose, so that none stands for another. */
import { createHmac, timingSafeEqual } from "node:crypto";

export type SealPurpose = "visitor" | "sticky" | "qa" | "canary";

/** The first seals; all open, so that a key can be replaced without losing every visitor. */
export type SealKeys = readonly [Uint8Array, ...Uint8Array[]];

/** 128 bits of HMAC-SHA-256 (RFC 2104 section 5 allows half), 22 characters. */
const MAC_BYTES = 16;

export function seal(payload: string, purpose: SealPurpose, keys: SealKeys): string {
  return `${payload}.${macOf(payload, purpose, keys[0]).toString("base64url")}`;
}

/** The payload, or null when no key made this. */
export function unseal(text: string, purpose: SealPurpose, keys: SealKeys): string | null {
  const dot = text.lastIndexOf(".");
  if (dot < 0) return null;
  const given = Buffer.from(text.slice(dot + 1), "base64url");
  // Another spelling of the same octets is refused too: one seal has one text.
  if (given.length !== MAC_BYTES || given.toString("base64url") !== text.slice(dot + 1)) return null;
  const payload = text.slice(0, dot);
  return keys.some((key) => timingSafeEqual(macOf(payload, purpose, key), given)) ? payload : null;
}

function macOf(payload: string, purpose: SealPurpose, key: Uint8Array): Buffer {
  return createHmac("sha256", key).update(`sluice ${purpose} 1\n${payload}`).digest().subarray(0, MAC_BYTES);
}
