/** `ctx.auth`: who is asking? Each way resolves to who it is, or to null with the reason in `ctx.auth.reason`. It answers nothing by itself. */

/** Where a credential stands in the request. */
export type CredentialSource = { readonly header: string } | { readonly cookie: string } | { readonly query: string };

/**
 * Why the last call of `ctx.auth` gave null:
 * `missing` (no credential), `malformed` (it can't be read), `algorithm` (one that is not allowed, `none` among them), `key` (no key fits),
 * `signature` (it does not verify), `expired`, `not-yet-valid`, `issuer`, `audience`, `replayed` (older than `maxAge`), `denied` (the verifier or
 * the auth service said no), `unavailable` (keys or auth service could not be reached).
 */
export type AuthReason =
  | "missing"
  | "malformed"
  | "algorithm"
  | "key"
  | "signature"
  | "expired"
  | "not-yet-valid"
  | "issuer"
  | "audience"
  | "replayed"
  | "denied"
  | "unavailable";

/** Options of `ctx.auth.basic`: `users` or `verify`. */
export type BasicOptions = {
  /** Shown by the browser's prompt; part of `ctx.auth.challenge`. `"restricted"` by default. */
  readonly realm?: string;
} & (
  | { /** Name → password. Compared in constant time. */ readonly users: Readonly<Record<string, string>>; readonly verify?: undefined }
  | { /** Says whether the password is right. */ readonly verify: (user: string, password: string) => boolean | Promise<boolean>; readonly users?: undefined }
);

/** Signature algorithms of JSON Web Tokens (RFC 7518, RFC 8037). */
export type JwtAlgorithm = "HS256" | "HS384" | "HS512" | "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "ES256" | "ES384" | "ES512" | "EdDSA";

/** Options of `ctx.auth.jwt`: `key` or `jwksUrl`. */
export type JwtOptions = {
  /** Required value of `iss`, or a list of which one must stand there. Not checked when left out. */
  readonly issuer?: string | readonly string[];
  /** `aud` must name one of these. Not checked when left out. */
  readonly audience?: string | readonly string[];
  /** Which algorithms are believed. By default those that fit the key: a public key never verifies an HMAC. */
  readonly algorithms?: readonly JwtAlgorithm[];
  /** Where the token stands. By default `Authorization: Bearer`. A header's value may begin with `Bearer `. */
  readonly from?: CredentialSource;
} & (
  | { /** A secret for HS…, a public key as PEM or a JWK as JSON for the others. */ readonly key: string; readonly jwksUrl?: undefined }
  | { /** A key set by URL, fetched and kept by the gateway; its origin must be allowed under `fetch`. */ readonly jwksUrl: string; readonly key?: undefined }
);

/** Claims of a verified token (RFC 7519); `exp` and `nbf` have been checked. */
export interface Claims {
  /** Whom the token is about; `""` when it names nobody. */
  readonly sub: string;
  readonly iss?: string;
  readonly aud?: string | readonly string[];
  /** Seconds since 1970, like `nbf` and `iat`. */
  readonly exp?: number;
  readonly nbf?: number;
  readonly iat?: number;
  readonly jti?: string;
  /** The issuer's own. */
  readonly [claim: string]: unknown;
}

/** Options of `ctx.auth.apiKey`. */
export interface ApiKeyOptions<Identity> {
  /** Where the key stands. */
  readonly from: CredentialSource;
  /** Gives whoever owns the key, or null (false, undefined) when nobody does. Compare with `===` only what is not secret; better look the key up. */
  readonly verify: (key: string) => Identity | null | undefined | false | Promise<Identity | null | undefined | false>;
}

/** Options of `ctx.auth.hmac`. */
export interface HmacOptions {
  /** Shared with whoever signs. */
  readonly secret: string;
  /** Names of headers that must be signed beside method, path and query. */
  readonly headers?: readonly string[];
  /** How old a signature may be, in seconds. 300 by default. */
  readonly maxAge?: number;
}

/** Who signed a request. */
export interface HmacIdentity {
  /** The id that the signer gave, or `""`. */
  readonly keyId: string;
  /** When it was signed, in seconds since 1970. */
  readonly signedAt: number;
}

/** Options of `ctx.auth.forward`. */
export interface ForwardOptions {
  /** The service that decides; its origin must be allowed under `fetch`. It is asked with GET; 2xx means yes. */
  readonly url: string;
  /** Request headers that it gets. `authorization` and `cookie` by default. */
  readonly copyRequestHeaders?: readonly string[];
  /** Headers of its yes that are set on the request. What the client sent under these names is removed, whatever the service says. None by default. */
  readonly copyResponseHeaders?: readonly string[];
}

/** What the service said: its yes as the result of `forward`, its no as `ctx.auth.refusal`. */
export interface ForwardAnswer {
  readonly status: number;
  /** Names in lowercase; several fields of one name joined by `", "`, all but `set-cookie`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Each `Set-Cookie` by itself. */
  readonly setCookies: readonly string[];
  readonly body: string;
}

/**
 * Ways to ask who sends a request. None of them answers or throws because of a bad credential: they resolve to who it is, or to null, and the
 * rule decides. A key or URL of the rule's own that can't be used rejects, which `onFailure` then handles.
 *
 * @example
 * import { defineRule, respond } from "sluice"
 * export default defineRule({
 *   when: { path: "/account/*" },
 *   secrets: ["jwtKey"],
 *   async onRequest(req, ctx) {
 *     const user = await ctx.auth.jwt({ key: ctx.secrets.jwtKey, issuer: "https://login.example.com", from: { cookie: "session" } })
 *     if (!user) return respond(401, `sign in: ${ctx.auth.reason}`)
 *     req.headers.set("x-user", user.sub)
 *   },
 * })
 */
export interface Auth {
  /**
   * User and password by HTTP Basic (RFC 7617).
   *
   * @example
   * import { defineRule, respond } from "sluice"
   * export default defineRule({
   *   secrets: ["staffPassword"],
   *   async onRequest(req, ctx) {
   *     const who = await ctx.auth.basic({ users: { staff: ctx.secrets.staffPassword }, realm: "staff" })
   *     if (!who) return respond(401, "", { "www-authenticate": ctx.auth.challenge })
   *     req.headers.set("x-user", who.user)
   *   },
   * })
   */
  basic(options: BasicOptions): Promise<{ readonly user: string } | null>;
  /** A JSON Web Token (RFC 7519): its claims when signature, lifetime, issuer and audience hold. */
  jwt(options: JwtOptions): Promise<Claims | null>;
  /** A key that the rule itself knows: what `verify` gave. */
  apiKey<Identity>(options: ApiKeyOptions<Identity>): Promise<Identity | null>;
  /** A request signed with a shared secret. */
  hmac(options: HmacOptions): Promise<HmacIdentity | null>;
  /** Asks an auth service. */
  forward(options: ForwardOptions): Promise<ForwardAnswer | null>;
  /** Why the last call gave null; null after a yes and before the first call. */
  readonly reason: AuthReason | null;
  /** The `WWW-Authenticate` value that fits the last call (RFC 9110 section 11.6.1), or `""`. */
  readonly challenge: string;
  /** What the auth service said when `forward` gave null because of it (a redirect to a login page, say); else null. */
  readonly refusal: ForwardAnswer | null;
}
