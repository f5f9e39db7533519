/** What a preview header or cookie holds: which release, until when, and the signature of the gateways that share a key. Pure but for HMAC. */
import { createHmac, timingSafeEqual } from "node:crypto";

/** Of the header and of the cookie. */
export const PREVIEW_NAME = "sluice-preview";
/** A cookie in a browser that somebody forgot shall not show what was never released for long. */
export const PREVIEW_LONGEST_MS = 7 * 24 * 60 * 60_000;

const FORM = /^v1\.([0-9a-f]{12})\.([0-9a-z]{1,11})\.([\w-]{43})$/;

export type PreviewRead = { readonly release: string } | { readonly refused: "forged" | "expired"; readonly release: string };

export function previewToken(key: string, release: string, untilUnixMs: number): string {
  const until = Math.floor(untilUnixMs / 1000).toString(36);
  return `v1.${release}.${until}.${signature(key, release, until)}`;
}

/** `"forged"`: not of this form, changed, or signed with a key of other gateways. */
export function readPreview(key: string, token: string, nowUnixMs: number): PreviewRead {
  const match = FORM.exec(token);
  if (match === null) return { refused: "forged", release: "" };
  const [, release, until, given] = match as unknown as [string, string, string, string];
  if (!timingSafeEqual(Buffer.from(signature(key, release, until)), Buffer.from(given))) return { refused: "forged", release };
  const untilUnixMs = Number.parseInt(until, 36) * 1000;
  return untilUnixMs > nowUnixMs && untilUnixMs <= nowUnixMs + PREVIEW_LONGEST_MS ? { release } : { refused: "expired", release };
}

function signature(key: string, release: string, until: string): string {
  return createHmac("sha256", key).update(`sluice-preview.v1.${release}.${until}`).digest("base64url");
}
