/** Links for looking at a variant: signed, expiring, good for one gateway's key, and never counted. */
import type { SealKeys } from "./sealed.ts";
import { seal, unseal } from "./sealed.ts";

export interface ForcedVariants {
  /** Experiment to variant. */
  readonly variants: Readonly<Record<string, string>>;
  /** Unix time. */
  readonly expiresAtMs: number;
}

export type QaToken = { readonly outcome: "valid"; readonly forced: ForcedVariants } | { readonly outcome: "expired" | "invalid" };

/** The query parameter of a QA link, and the cookie that keeps what it said while a tester clicks on. */
export const QA_COOKIE = "sluice_qa";

/** A link that outlives its purpose is a back door: a week at most. */
export const QA_LIFETIME_LIMIT_MS = 7 * 24 * 60 * 60 * 1000;
const MAX_FORCED = 16;
const MAX_CHARACTERS = 2048;

export function signQaToken(forced: ForcedVariants, keys: SealKeys, nowMs: number): string {
  const pairs = Object.entries(forced.variants);
  if (pairs.length === 0 || pairs.length > MAX_FORCED) throw new RangeError(`a QA link forces 1 to ${MAX_FORCED} experiments, found ${pairs.length}`);
  if (!(forced.expiresAtMs > nowMs && forced.expiresAtMs <= nowMs + QA_LIFETIME_LIMIT_MS)) {
    throw new RangeError(`a QA link lives for up to ${QA_LIFETIME_LIMIT_MS} ms from now, found ${forced.expiresAtMs - nowMs} ms`);
  }
  const payload = Buffer.from(JSON.stringify([Math.floor(forced.expiresAtMs), pairs]), "utf8").toString("base64url");
  const token = seal(payload, "qa", keys);
  if (token.length > MAX_CHARACTERS) throw new RangeError(`a QA link holds up to ${MAX_CHARACTERS} characters, found ${token.length}`);
  return token;
}

/** A whole Set-Cookie value; `forced` null: it is over. */
export function qaCookie(token: string, forced: ForcedVariants | null, nowMs: number, https: boolean): string {
  const lastsS = forced === null ? 0 : Math.ceil((forced.expiresAtMs - nowMs) / 1000);
  return `${QA_COOKIE}=${token}; Path=/; Max-Age=${lastsS}; HttpOnly; SameSite=Lax${https ? "; Secure" : ""}`;
}

export function verifyQaToken(token: string, keys: SealKeys, nowMs: number): QaToken {
  if (token.length > MAX_CHARACTERS) return { outcome: "invalid" };
  const payload = unseal(token, "qa", keys);
  if (payload === null) return { outcome: "invalid" };
  // The seal holds, so this is what `signQaToken` wrote.
  const [expiresAtMs, pairs] = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as [number, [string, string][]];
  if (nowMs >= expiresAtMs) return { outcome: "expired" };
  return { outcome: "valid", forced: { variants: Object.fromEntries(pairs), expiresAtMs } };
}
