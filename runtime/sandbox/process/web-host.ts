/**
 * The host half of the sandbox's web-standard classes: cheap pure things that a bare V8 context lacks (URL parsing with IDNA, digests,
 * signatures). Called synchronously from inside the isolate, so: text in, text out, bounded input, and it never throws (a thrown host error
 * carries host paths). A result begins with "=", an error is "!" NAME ":" sentence. Bytes are Latin-1 strings, one unit a byte.
 */
import { constants, createHash, createHmac, createPublicKey, type KeyObject, verify, type webcrypto } from "node:crypto";

/** Input of one call. Hashing this much takes some 20 ms, below a rule's CPU bound. */
const MAX_INPUT_LENGTH = 8 * 1024 * 1024;
const MAX_URL_LENGTH = 256 * 1024;
/** Imported public keys kept, since parsing one costs more than verifying with it; rules use a handful. */
const MAX_KEPT_KEYS = 64;

class HostError extends Error {
  readonly domName: string;
  constructor(domName: string, message: string) {
    super(message);
    this.domName = domName;
  }
}

/** `op`: "url", "url.set", "digest", "hmac", "key", "verify"; arguments as its function below says. */
export function webHostOp(op: string, a: string, b: string, c: string): string {
  try {
    if (typeof a !== "string" || typeof b !== "string" || typeof c !== "string") return "!TypeError:text is expected";
    if (a.length + b.length + c.length > MAX_INPUT_LENGTH) return `!QuotaExceededError:at most ${MAX_INPUT_LENGTH} bytes at once`;
    return `=${run(op, a, b, c)}`;
  } catch (thrown) {
    if (thrown instanceof HostError) return `!${thrown.domName}:${thrown.message}`;
    // Whatever Node or OpenSSL says stays here: it may name files or internals.
    return "!OperationError:the operation failed";
  }
}

function run(op: string, a: string, b: string, c: string): string {
  switch (op) {
    case "url":
      return parseUrl(a, b, c);
    case "url.set":
      return setUrl(a, b, c);
    case "digest":
      return createHash(hashOf(a)).update(b, "latin1").digest("latin1");
    case "hmac":
      return createHmac(hashOf(a), Buffer.from(b, "latin1")).update(c, "latin1").digest("latin1");
    case "key":
      return importKey(a, b);
    case "verify":
      return verifySignature(a, b, c);
    default:
      throw new HostError("NotSupportedError", "no such operation");
  }
}

/** Input, base, "1" when there is a base → href. All components follow from the href, so nothing else crosses. */
function parseUrl(input: string, base: string, hasBase: string): string {
  if (input.length + base.length > MAX_URL_LENGTH) throw new HostError("TypeError", "Invalid URL");
  const url = hasBase === "1" ? URL.parse(input, base) : URL.parse(input);
  if (url === null) throw new HostError("TypeError", "Invalid URL");
  return url.href;
}

const SETTABLE = ["href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"] as const;

/** href, property, value → href. Values that don't fit leave it as it was, as the URL standard says. */
function setUrl(href: string, property: string, value: string): string {
  const name = SETTABLE.find((known) => known === property);
  if (name === undefined || href.length + value.length > MAX_URL_LENGTH) throw new HostError("TypeError", "Invalid URL");
  const url = URL.parse(name === "href" ? value : href);
  if (url === null) throw new HostError("TypeError", "Invalid URL");
  if (name !== "href") url[name] = value;
  return url.href;
}

const HASHES: Readonly<Record<string, string>> = { "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512" };

function hashOf(name: string): string {
  const hash = Object.hasOwn(HASHES, name) ? HASHES[name] : undefined;
  if (hash === undefined) throw new HostError("NotSupportedError", "a hash of SHA-1, SHA-256, SHA-384 or SHA-512 is expected");
  return hash;
}

/** What `subtle.importKey` needs to know of a public key. */
interface KeyFacts {
  readonly kind: "rsa" | "ec" | "ed25519";
  readonly curve: string;
  readonly modulusBits: number;
  /** Decimal. */
  readonly exponent: string;
  /** SubjectPublicKeyInfo as Latin-1: how the key is named in "verify". */
  readonly spki: string;
}

const CURVES: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };
/** A modulus above this makes one verification cost milliseconds. */
const MAX_MODULUS_BITS = 8192;

/** "spki", DER as Latin-1; or "jwk", JSON; or a curve's name, raw point → KeyFacts as JSON. */
function importKey(format: string, data: string): string {
  if (data.length > 16 * 1024) throw new HostError("DataError", "the key is too long");
  const key = readKey(format, data);
  const details = key.asymmetricKeyDetails ?? {};
  const spki = key.export({ format: "der", type: "spki" }).toString("latin1");
  const facts: KeyFacts = {
    kind: kindOf(key),
    curve: CURVES[details.namedCurve ?? ""] ?? "",
    modulusBits: details.modulusLength ?? 0,
    exponent: String(details.publicExponent ?? 0),
    spki,
  };
  if (facts.kind === "ec" && facts.curve === "") throw new HostError("DataError", "a key on P-256, P-384 or P-521 is expected");
  if (facts.modulusBits > MAX_MODULUS_BITS) throw new HostError("DataError", `a modulus of at most ${MAX_MODULUS_BITS} bits is expected`);
  return JSON.stringify(facts);
}

function kindOf(key: KeyObject): KeyFacts["kind"] {
  const type = key.asymmetricKeyType;
  if (type === "rsa" || type === "ec" || type === "ed25519") return type;
  throw new HostError("DataError", "an RSA, EC or Ed25519 key is expected");
}

function readKey(format: string, data: string): KeyObject {
  try {
    if (format === "spki") return createPublicKey({ key: Buffer.from(data, "latin1"), format: "der", type: "spki" });
    if (format === "jwk") return publicKeyOfJwk(JSON.parse(data) as Record<string, unknown>);
    return rawKey(format, data);
  } catch (thrown) {
    if (thrown instanceof HostError) throw thrown;
    throw new HostError("DataError", "the key can't be read");
  }
}

/** Private members are left out, so that only a public key can come of it. */
function publicKeyOfJwk(jwk: Record<string, unknown>): KeyObject {
  const { kty, n, e, crv, x, y } = jwk;
  return createPublicKey({ key: { kty, n, e, crv, x, y } as webcrypto.JsonWebKey, format: "jwk" });
}

const COORDINATE_BYTES: Readonly<Record<string, number>> = { "P-256": 32, "P-384": 48, "P-521": 66 };

/** Ed25519: 32 bytes. A curve: an uncompressed point (SEC 1 section 2.3.3), 4, x, y. */
function rawKey(curve: string, data: string): KeyObject {
  const bytes = Buffer.from(data, "latin1");
  if (curve === "Ed25519" && bytes.length === 32) return publicKeyOfJwk({ kty: "OKP", crv: curve, x: bytes.toString("base64url") });
  const size = Object.hasOwn(COORDINATE_BYTES, curve) ? COORDINATE_BYTES[curve]! : 0;
  if (size === 0 || bytes.length !== 1 + 2 * size || bytes[0] !== 4) throw new HostError("DataError", "an uncompressed point is expected");
  return publicKeyOfJwk({ kty: "EC", crv: curve, x: bytes.subarray(1, 1 + size).toString("base64url"), y: bytes.subarray(1 + size).toString("base64url") });
}

/** How to verify; JSON in the first argument of "verify". */
interface Verification {
  readonly name: string;
  readonly hash: string;
  readonly saltLength: number;
  readonly spki: string;
}

const keptKeys = new Map<string, KeyObject>();

/** `Verification` as JSON, signature, data → "1" or "0". */
function verifySignature(how: string, signature: string, data: string): string {
  const { name, hash, saltLength, spki } = JSON.parse(how) as Verification;
  let key = keptKeys.get(spki);
  if (key === undefined) {
    key = readKey("spki", spki);
    if (keptKeys.size >= MAX_KEPT_KEYS) keptKeys.delete(keptKeys.keys().next().value!);
    keptKeys.set(spki, key);
  }
  return verify(name === "Ed25519" ? null : hashOf(hash), Buffer.from(data, "latin1"), optionsOf(name, key, saltLength), Buffer.from(signature, "latin1"))
    ? "1"
    : "0";
}

function optionsOf(name: string, key: KeyObject, saltLength: number): import("node:crypto").VerifyKeyObjectInput {
  switch (name) {
    case "RSASSA-PKCS1-v1_5":
      return { key, padding: constants.RSA_PKCS1_PADDING };
    case "RSA-PSS":
      return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
    case "ECDSA":
      return { key, dsaEncoding: "ieee-p1363" };
    case "Ed25519":
      return { key };
    default:
      throw new HostError("NotSupportedError", "no such algorithm");
  }
}
