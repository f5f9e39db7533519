/**
 * `ctx.auth.jwt`: JSON Web Tokens (RFC 7519) in compact form, verified by `jose`. The key decides which algorithms are
 * believed: a public key never verifies an HMAC, `none` never verifies (RFC 8725 sections 3.1 and 3.2).
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { createRemoteJWKSet, customFetch, errors, type FetchImplementation, type JWK, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from "jose";
import { z } from "zod";
import type { Clock } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";
import type { Outgoing } from "../egress.ts";

const names = z.union([z.string(), z.array(z.string()).max(32)]);
export const JwtCall = z.strictObject({
  token: z.string(),
  key: z.string().optional(),
  jwksUrl: z.string().max(2048).optional(),
  issuer: names.optional(),
  audience: names.optional(),
  algorithms: z.array(z.string()).max(32).optional(),
});
export type JwtCall = z.infer<typeof JwtCall>;

export type JwtResult = { readonly claims: JWTPayload } | { readonly reason: JwtReason };
export type JwtReason = "malformed" | "algorithm" | "key" | "signature" | "expired" | "not-yet-valid" | "issuer" | "audience" | "denied" | "unavailable";

interface VerificationKey {
  readonly key: KeyObject | Uint8Array;
  readonly algorithms: readonly string[];
}

const HMAC = ["HS256", "HS384", "HS512"];
const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const CURVES: Readonly<Record<string, string>> = {
  "P-256": "ES256",
  "P-384": "ES384",
  "P-521": "ES512",
  prime256v1: "ES256",
  secp384r1: "ES384",
  secp521r1: "ES512",
};
const ASYMMETRIC = [...RSA, "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
/** Clocks of issuer and gateway differ by a little. */
const CLOCK_TOLERANCE_S = 5;
/** RFC 7515 section 2: base64url without padding, white space or other characters. Decoders that skip those make one token look like many. */
const COMPACT = /^[\w-]+\.[\w-]*\.[\w-]+$/;
const MAX_TOKEN_LENGTH = 16 * 1024;
/** Keys and key sets kept; rules use a handful. */
const MAX_KEPT = 64;
/** The key set serves all exchanges, so its fetch hangs on none of them. */
const JWKS_TIMEOUT_MS = 5000;
const JWKS_MAX_AGE_MS = 10 * 60_000;
/** An unknown key id asks the issuer anew at most this often, so that made-up tokens cannot flood it. */
const JWKS_COOLDOWN_MS = 30_000;

export class JwtVerifier {
  readonly #egress: Outgoing;
  readonly #clock: Clock;
  readonly #keys = new Map<string, Promise<VerificationKey>>();
  readonly #keySets = new Map<string, JWTVerifyGetKey>();

  constructor(egress: Outgoing, clock: Clock) {
    this.#egress = egress;
    this.#clock = clock;
  }

  async verify(call: JwtCall): Promise<JwtResult> {
    if (call.token.length > MAX_TOKEN_LENGTH || !isCompact(call.token)) return { reason: "malformed" };
    const currentDate = new Date(this.#clock.unixMs());
    const options = { issuer: call.issuer, audience: call.audience, currentDate, clockTolerance: CLOCK_TOLERANCE_S };
    try {
      if (call.jwksUrl !== undefined) {
        const { payload } = await jwtVerify(call.token, this.#keySet(call.jwksUrl), { ...options, algorithms: narrow(ASYMMETRIC, call.algorithms) });
        return { claims: payload };
      }
      const { key, algorithms } = await this.#key(call.key ?? "");
      const { payload } = await jwtVerify(call.token, key, { ...options, algorithms: narrow(algorithms, call.algorithms) });
      return { claims: payload };
    } catch (thrown) {
      return { reason: reasonOf(thrown) };
    }
  }

  #key(text: string): Promise<VerificationKey> {
    let key = this.#keys.get(text);
    if (key === undefined) {
      key = readKey(text);
      keep(this.#keys, text, key);
    }
    return key;
  }

  #keySet(url: string): JWTVerifyGetKey {
    let keySet = this.#keySets.get(url);
    if (keySet === undefined) {
      const fetchKeys: FetchImplementation = async (address, { headers, signal }) => {
        const answer = await this.#egress.fetch(
          { url: address, method: "GET", headers: [...headers], body: null, redirect: "manual", idempotencyId: "" },
          signal,
        );
        return new Response(new Uint8Array(answer.body), { status: answer.status });
      };
      keySet = createRemoteJWKSet(new URL(url), {
        timeoutDuration: JWKS_TIMEOUT_MS,
        cacheMaxAge: JWKS_MAX_AGE_MS,
        cooldownDuration: JWKS_COOLDOWN_MS,
        [customFetch]: fetchKeys,
      });
      keep(this.#keySets, url, keySet);
    }
    return keySet;
  }
}

/** Canonical, too: bits behind the last byte would give one signature several spellings. */
export function isCompact(token: string): boolean {
  return COMPACT.test(token) && token.split(".").every((part) => Buffer.from(part, "base64url").toString("base64url") === part);
}

/** PEM: a public key or certificate. JSON: a JWK. Anything else: the secret of an HMAC. */
async function readKey(text: string): Promise<VerificationKey> {
  if (text === "") throw new GatewayError("SERVICE_REFUSED", "auth.jwt: found an empty key, expected a secret, a PEM or a JWK");
  if (text.includes("-----BEGIN ")) {
    const key = createPublicKey(text);
    return { key, algorithms: algorithmsOf(key) };
  }
  if (!/^\s*\{/.test(text)) return { key: Buffer.from(text), algorithms: HMAC };
  const jwk = JSON.parse(text) as JWK;
  if (jwk.use !== undefined && jwk.use !== "sig") throw new GatewayError("SERVICE_REFUSED", `auth.jwt: found a JWK for use "${jwk.use}", expected "sig"`);
  if (jwk.key_ops !== undefined && !jwk.key_ops.includes("verify"))
    throw new GatewayError("SERVICE_REFUSED", 'auth.jwt: the JWK\'s key_ops do not allow "verify"');
  if (jwk.kty === "oct") return { key: Buffer.from(jwk.k ?? "", "base64url"), algorithms: narrow(HMAC, jwk.alg === undefined ? undefined : [jwk.alg]) };
  const { d: _private, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...open } = jwk;
  const key = createPublicKey({ key: open, format: "jwk" });
  return { key, algorithms: narrow(algorithmsOf(key), jwk.alg === undefined ? undefined : [jwk.alg]) };
}

function algorithmsOf(key: KeyObject): readonly string[] {
  switch (key.asymmetricKeyType) {
    case "rsa":
      return RSA;
    case "rsa-pss":
      return RSA.filter((name) => name.startsWith("PS"));
    case "ec":
      return [CURVES[key.asymmetricKeyDetails?.namedCurve ?? ""] ?? ""].filter((name) => name !== "");
    case "ed25519":
      return ["EdDSA", "Ed25519"];
    default:
      throw new GatewayError("SERVICE_REFUSED", `auth.jwt: found a key of type ${key.asymmetricKeyType}, expected RSA, EC or Ed25519`);
  }
}

function narrow(fitting: readonly string[], asked: readonly string[] | undefined): string[] {
  return asked === undefined ? [...fitting] : fitting.filter((name) => asked.includes(name));
}

function keep<V>(kept: Map<string, V>, name: string, value: V): void {
  if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value!);
  kept.set(name, value);
}

/** jose's error classes in the SDK's words. A key of the rule's own that cannot be read is the rule's mistake and is thrown on. */
function reasonOf(thrown: unknown): JwtReason {
  if (thrown instanceof errors.JWTExpired) return "expired";
  if (thrown instanceof errors.JWTClaimValidationFailed) return claimReason(thrown.claim);
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return "signature";
  if (thrown instanceof errors.JOSEAlgNotAllowed || thrown instanceof errors.JOSENotSupported) return "algorithm";
  if (thrown instanceof errors.JWKSNoMatchingKey || thrown instanceof errors.JWKSMultipleMatchingKeys) return "key";
  if (thrown instanceof errors.JWKSTimeout || thrown instanceof errors.JWKSInvalid) return "unavailable";
  if (thrown instanceof errors.JWTInvalid || thrown instanceof errors.JWSInvalid) return "malformed";
  if (thrown instanceof errors.JOSEError) return "unavailable";
  if (thrown instanceof GatewayError) throw thrown;
  throw new GatewayError("SERVICE_REFUSED", `auth.jwt: the key cannot be used (${thrown instanceof Error ? thrown.message : String(thrown)})`, {
    cause: thrown,
  });
}

function claimReason(claim: string): JwtReason {
  switch (claim) {
    case "iss":
      return "issuer";
    case "aud":
      return "audience";
    case "nbf":
      return "not-yet-valid";
    default:
      return "denied";
  }
}
