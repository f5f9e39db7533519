/** Who may ask what of the admin API: bearer tokens, each with a name and roles. Pure. */
import { createHash, timingSafeEqual } from "node:crypto";

export const ROLES = ["read", "upload", "activate", "recordings", "admin"] as const;
/** `"read"`: look; `"upload"`: hand in releases; `"activate"`: change what is served; `"recordings"`: read and purge recorded requests; `"admin"`: all of it. */
export type Role = (typeof ROLES)[number];

export interface TokenConfig {
  /** Who it is, for the audit log. */
  readonly name: string;
  readonly roles: readonly Role[];
  /** Hex. The token itself is kept nowhere. */
  readonly sha256: string;
}

export function tokenDigest(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Null: no token, or none that is known. Looks at all of them, each in the same time. */
export function bearerOf(authorization: string | undefined, tokens: readonly TokenConfig[]): TokenConfig | null {
  const match = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? "");
  if (!match) return null;
  const given = Buffer.from(tokenDigest(match[1]!), "hex");
  let found: TokenConfig | null = null;
  for (const token of tokens) if (timingSafeEqual(given, Buffer.from(token.sha256, "hex"))) found ??= token;
  return found;
}

export function mayDo({ roles }: TokenConfig, role: Role): boolean {
  return roles.includes("admin") || roles.includes(role);
}
