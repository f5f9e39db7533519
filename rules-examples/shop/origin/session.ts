/** The shop's login: a session is a signed token (RFC 7519, HS256) in a cookie, so that the gateway can verify it without asking. */
import { createHmac } from "node:crypto";

export const ISSUER = "https://shop.example.com";
const LIFETIME_S = 3600;
const PASSWORDS: Readonly<Record<string, string>> = { ada: "clay", ben: "wheel" };

export function passwordFits(name: string, password: string): boolean {
  return Object.hasOwn(PASSWORDS, name) && PASSWORDS[name] === password;
}

export function makeToken(user: string, key: string, nowS = Math.floor(Date.now() / 1000)): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, iss: ISSUER, iat: nowS, exp: nowS + LIFETIME_S })}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

export function sessionCookie(token: string): string {
  return `session=${token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${LIFETIME_S}`;
}

export const NO_SESSION_COOKIE = "session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0";

/** Only paths of this site: `//elsewhere` and `/\elsewhere` are other hosts to a browser. */
export function safeNext(next: string | null): string {
  return next && /^\/(?![/\\])[\x21-\x7e]*$/.test(next) ? next : "/account";
}
