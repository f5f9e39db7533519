/** What a debug header holds: until when it counts, and the gateway's signature. Pure but for HMAC. */
import { createHmac, timingSafeEqual } from "node:crypto";

export const DEBUG_HEADER = "sluice-debug";
/** Whoever finds one in a log shall not have it for long. */
export const DEBUG_LONGEST_MS = 60 * 60_000;

const FORM = /^v1\.([0-9a-z]{1,11})\.([\w-]{43})$/;

export function debugToken(key: string, untilUnixMs: number): string {
  const until = Math.floor(untilUnixMs / 1000).toString(36);
  return `v1.${until}.${signature(key, until)}`;
}

export function isDebugToken(key: string, token: string, nowUnixMs: number): boolean {
  const match = FORM.exec(token);
  if (match === null) return false;
  const until = Number.parseInt(match[1]!, 36) * 1000;
  return timingSafeEqual(Buffer.from(signature(key, match[1]!)), Buffer.from(match[2]!)) && until > nowUnixMs && until <= nowUnixMs + DEBUG_LONGEST_MS;
}

function signature(key: string, until: string): string {
  return createHmac("sha256", key).update(`sluice-debug.v1.${until}`).digest("base64url");
}
