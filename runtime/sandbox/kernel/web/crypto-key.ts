/** CryptoKey, and how keys come in: HMAC secrets, and public keys for verifying. */
import { base64UrlToBytes, bytesToBase64Url } from "./base64.ts";
import { bytesOf, bytesToLatin1, latin1ToBytes } from "./bytes.ts";
import { DOMException } from "./dom-exception.ts";
import { ask } from "./host.ts";

/** What a key is made of; never visible on it. */
interface Secrets {
  readonly name: string;
  readonly hash: string;
  /** HMAC: the secret; others: SubjectPublicKeyInfo. Latin-1. */
  readonly material: string;
}

const internal = Symbol("internal");

/** For this folder only: no member of the class, so that rules can't reach it. */
export let secretsOf: (key: CryptoKey) => Secrets;

export class CryptoKey {
  readonly #secrets: Secrets;
  readonly #algorithm: object;
  readonly #extractable: boolean;
  readonly #usages: readonly string[];

  constructor(token: symbol, secrets: Secrets, algorithm: object, extractable: boolean, usages: readonly string[]) {
    if (token !== internal) throw new TypeError("Illegal constructor");
    this.#secrets = secrets;
    this.#algorithm = algorithm;
    this.#extractable = extractable;
    this.#usages = usages;
  }
  static {
    secretsOf = (key) => key.#secrets;
  }
  get type(): "secret" | "public" {
    return this.#secrets.name === "HMAC" ? "secret" : "public";
  }
  get extractable(): boolean {
    return this.#extractable;
  }
  get algorithm(): object {
    return this.#algorithm;
  }
  get usages(): string[] {
    return [...this.#usages];
  }
  get [Symbol.toStringTag](): string {
    return "CryptoKey";
  }
}

function usagesOf(wanted: readonly string[], allowed: readonly string[]): readonly string[] {
  const wrong = wanted.find((usage) => !allowed.includes(usage));
  if (wrong !== undefined)
    throw new DOMException(`importKey: such a key can't be used for ${JSON.stringify(wrong)}; known are ${allowed.join(", ")}`, "SyntaxError");
  return allowed.filter((usage) => wanted.includes(usage));
}

export function importHmac(
  format: string,
  keyData: unknown,
  hash: string,
  lengthBits: number | undefined,
  extractable: boolean,
  wanted: readonly string[],
): CryptoKey {
  const usages = usagesOf(wanted, ["sign", "verify"]);
  if (usages.length === 0) throw new DOMException("importKey: a secret key without usages is of no use", "SyntaxError");
  const bytes = format === "raw" ? bytesOf(keyData, "importKey") : format === "jwk" ? bytesOfJwk(keyData, hash) : null;
  if (bytes === null) throw new DOMException(`importKey: the format ${JSON.stringify(format)} is not supported for HMAC`, "NotSupportedError");
  if (bytes.length === 0) throw new DOMException("importKey: the key is empty", "DataError");
  if (lengthBits !== undefined && lengthBits !== bytes.length * 8) throw new DOMException("importKey: the length is not that of the key", "DataError");
  return new CryptoKey(
    internal,
    { name: "HMAC", hash, material: bytesToLatin1(bytes) },
    { name: "HMAC", hash: { name: hash }, length: bytes.length * 8 },
    extractable,
    usages,
  );
}

interface Jwk {
  readonly kty?: unknown;
  readonly k?: unknown;
  readonly d?: unknown;
  readonly alg?: unknown;
  readonly use?: unknown;
  readonly crv?: unknown;
}

function jwkOf(keyData: unknown): Jwk {
  if (typeof keyData !== "object" || keyData === null || ArrayBuffer.isView(keyData) || keyData instanceof ArrayBuffer)
    throw new TypeError("importKey: a JWK object is expected");
  const jwk = keyData as Jwk;
  if (jwk.use !== undefined && jwk.use !== "sig") throw new DOMException('importKey: a JWK whose use is "sig" is expected', "DataError");
  return jwk;
}

function bytesOfJwk(keyData: unknown, hash: string): Uint8Array {
  const jwk = jwkOf(keyData);
  if (jwk.kty !== "oct" || typeof jwk.k !== "string") throw new DOMException('importKey: a JWK with kty "oct" and k is expected', "DataError");
  if (jwk.alg !== undefined && jwk.alg !== `HS${hash.slice(4)}`) throw new DOMException(`importKey: the JWK's alg does not fit ${hash}`, "DataError");
  try {
    return base64UrlToBytes(jwk.k);
  } catch (cause) {
    throw new DOMException("importKey: k is no base64url", { name: "DataError", cause });
  }
}

/** The host's `KeyFacts`. */
interface KeyFacts {
  readonly kind: "rsa" | "ec" | "ed25519";
  readonly curve: string;
  readonly modulusBits: number;
  readonly exponent: string;
  readonly spki: string;
}

export function importPublic(
  format: string,
  keyData: unknown,
  algorithm: { readonly name: string; readonly hash: string; readonly namedCurve: string },
  extractable: boolean,
  wanted: readonly string[],
): CryptoKey {
  const usages = usagesOf(wanted, ["verify"]);
  const facts = JSON.parse(ask("key", ...materialOf(format, keyData, algorithm))) as KeyFacts;
  const kind = algorithm.name === "ECDSA" ? "ec" : algorithm.name === "Ed25519" ? "ed25519" : "rsa";
  if (facts.kind !== kind) throw new DOMException(`importKey: the key is of type ${facts.kind}, which does not fit ${algorithm.name}`, "DataError");
  if (kind === "ec" && facts.curve !== algorithm.namedCurve)
    throw new DOMException(`importKey: the key is on ${facts.curve}, not on ${algorithm.namedCurve}`, "DataError");
  return new CryptoKey(internal, { name: algorithm.name, hash: algorithm.hash, material: facts.spki }, shownAlgorithm(algorithm, facts), extractable, usages);
}

function materialOf(format: string, keyData: unknown, algorithm: { readonly name: string; readonly namedCurve: string }): [format: string, data: string] {
  if (format === "spki") return ["spki", bytesToLatin1(bytesOf(keyData, "importKey"))];
  if (format === "raw" && algorithm.name === "ECDSA") return [algorithm.namedCurve, bytesToLatin1(bytesOf(keyData, "importKey"))];
  if (format === "raw" && algorithm.name === "Ed25519") return ["Ed25519", bytesToLatin1(bytesOf(keyData, "importKey"))];
  if (format !== "jwk")
    throw new DOMException(`importKey: the format ${JSON.stringify(format)} is not supported for ${algorithm.name}; rules only verify`, "NotSupportedError");
  const jwk = jwkOf(keyData);
  if (jwk.d !== undefined) throw new DOMException("importKey: a public key is expected; rules only verify", "NotSupportedError");
  return ["jwk", JSON.stringify(jwk)];
}

function shownAlgorithm(algorithm: { readonly name: string; readonly hash: string }, facts: KeyFacts): object {
  if (facts.kind === "ec") return { name: algorithm.name, namedCurve: facts.curve };
  if (facts.kind === "ed25519") return { name: algorithm.name };
  const exponent = BigInt(facts.exponent).toString(16);
  return {
    name: algorithm.name,
    modulusLength: facts.modulusBits,
    publicExponent: Uint8Array.fromHex(exponent.padStart(exponent.length + (exponent.length % 2), "0")),
    hash: { name: algorithm.hash },
  };
}

export function exportRaw(format: string, key: CryptoKey): ArrayBuffer | object {
  if (!key.extractable) throw new DOMException("exportKey: the key is not extractable", "InvalidAccessError");
  const { name, hash, material } = secretsOf(key);
  const bytes = latin1ToBytes(material);
  if (name === "HMAC" && format === "raw") return bytes.buffer;
  if (name === "HMAC" && format === "jwk") return { kty: "oct", k: bytesToBase64Url(bytes), alg: `HS${hash.slice(4)}`, key_ops: key.usages, ext: true };
  if (name !== "HMAC" && format === "spki") return bytes.buffer;
  throw new DOMException(`exportKey: the format ${JSON.stringify(format)} is not supported for ${name}`, "NotSupportedError");
}
