/** `crypto` (Web Cryptography): random values, and of `subtle` what a gateway needs: digests, HMAC, verifying signatures. */
import { bytesOf, bytesToLatin1, latin1ToBytes } from "./bytes.ts";
import { CryptoKey, exportRaw, importHmac, importPublic, secretsOf } from "./crypto-key.ts";
import { DOMException } from "./dom-exception.ts";
import { ask, host } from "./host.ts";

/** Web Cryptography section 10.1.1. */
const MAX_RANDOM_BYTES = 65536;

export type AlgorithmInput =
  | string
  | { readonly name?: string; readonly hash?: AlgorithmInput; readonly namedCurve?: string; readonly saltLength?: number; readonly length?: number };

const NAMES = ["HMAC", "RSASSA-PKCS1-v1_5", "RSA-PSS", "ECDSA", "Ed25519", "SHA-1", "SHA-256", "SHA-384", "SHA-512"];

/** An algorithm's name in its standard spelling. */
export function nameOf(algorithm: AlgorithmInput | undefined): string {
  const given = String(typeof algorithm === "object" && algorithm !== null ? algorithm.name : algorithm);
  const name = NAMES.find((known) => known.toLowerCase() === given.toLowerCase());
  if (name === undefined)
    throw new DOMException(`the algorithm ${JSON.stringify(given.slice(0, 80))} is not supported; known are ${NAMES.join(", ")}`, "NotSupportedError");
  return name;
}

const internal = Symbol("internal");

export class SubtleCrypto {
  constructor(token?: symbol) {
    if (token !== internal) throw new TypeError("Illegal constructor");
  }

  async digest(algorithm: AlgorithmInput, data: unknown): Promise<ArrayBuffer> {
    return latin1ToBytes(ask("digest", nameOf(algorithm), textOf(data, "digest"))).buffer;
  }

  async importKey(format: string, keyData: unknown, algorithm: AlgorithmInput, extractable: boolean, usages: readonly string[]): Promise<CryptoKey> {
    const name = nameOf(algorithm);
    const options = typeof algorithm === "object" && algorithm !== null ? algorithm : {};
    const wanted = [...usages].map(String);
    if (name === "HMAC") return importHmac(format, keyData, hashNameOf(options), options.length, Boolean(extractable), wanted);
    if (name.startsWith("SHA-")) throw new DOMException(`${name} has no keys`, "NotSupportedError");
    const hash = name.startsWith("RSA") ? hashNameOf(options) : "";
    return importPublic(format, keyData, { name, hash, namedCurve: options.namedCurve ?? "" }, Boolean(extractable), wanted);
  }

  async exportKey(format: string, key: CryptoKey): Promise<ArrayBuffer | object> {
    return exportRaw(format, expectKey(key));
  }

  async sign(algorithm: AlgorithmInput, key: CryptoKey, data: unknown): Promise<ArrayBuffer> {
    expectUse(expectKey(key), nameOf(algorithm), "sign");
    return latin1ToBytes(hmac(key, data, "sign")).buffer;
  }

  async verify(algorithm: AlgorithmInput, key: CryptoKey, signature: unknown, data: unknown): Promise<boolean> {
    const name = nameOf(algorithm);
    expectUse(expectKey(key), name, "verify");
    const given = textOf(signature, "verify");
    if (name === "HMAC") return sameText(hmac(key, data, "verify"), given);
    const options = typeof algorithm === "object" && algorithm !== null ? algorithm : {};
    const hash = name === "ECDSA" ? hashNameOf(options) : secretsOf(key).hash;
    const saltLength = name === "RSA-PSS" ? Number(options.saltLength) : 0;
    if (!Number.isInteger(saltLength) || saltLength < 0 || saltLength > 1024) throw new TypeError("verify: RSA-PSS: saltLength: a number of bytes is expected");
    const how = JSON.stringify({ name, hash, saltLength, spki: secretsOf(key).material });
    return ask("verify", how, given, textOf(data, "verify")) === "1";
  }

  get [Symbol.toStringTag](): string {
    return "SubtleCrypto";
  }
}

for (const name of ["encrypt", "decrypt", "generateKey", "deriveKey", "deriveBits", "wrapKey", "unwrapKey"]) {
  Object.defineProperty(SubtleCrypto.prototype, name, {
    value: async () => {
      throw new DOMException(`subtle.${name} is not supported in rules`, "NotSupportedError");
    },
    writable: true,
    configurable: true,
  });
}

function textOf(data: unknown, where: string): string {
  return bytesToLatin1(bytesOf(data, where));
}

function hashNameOf(options: { readonly hash?: AlgorithmInput }): string {
  if (options.hash === undefined) throw new TypeError("a hash is expected in the algorithm");
  const hash = nameOf(options.hash);
  if (!hash.startsWith("SHA-")) throw new DOMException(`${hash} is no hash`, "NotSupportedError");
  return hash;
}

function expectKey(key: unknown): CryptoKey {
  if (!(key instanceof CryptoKey)) throw new TypeError("a CryptoKey is expected");
  return key;
}

function expectUse(key: CryptoKey, name: string, usage: string): void {
  if (secretsOf(key).name !== name) throw new DOMException(`the key is for ${secretsOf(key).name}, not for ${name}`, "InvalidAccessError");
  if (!key.usages.includes(usage)) throw new DOMException(`the key's usages do not hold "${usage}"`, "InvalidAccessError");
}

function hmac(key: CryptoKey, data: unknown, where: string): string {
  const { hash, material } = secretsOf(key);
  return ask("hmac", hash, material, textOf(data, where));
}

/** Looks at every unit whatever it finds, so that time tells nothing about where two signatures differ. */
function sameText(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let at = 0; at < a.length; at++) difference |= a.charCodeAt(at) ^ b.charCodeAt(at);
  return difference === 0;
}

export class Crypto {
  readonly #subtle = new SubtleCrypto(internal);

  constructor(token?: symbol) {
    if (token !== internal) throw new TypeError("Illegal constructor");
  }
  get subtle(): SubtleCrypto {
    return this.#subtle;
  }
  /** The randomness is the worker's, handed in with the hook, so that a re-run after a lost sandbox takes the same path. */
  getRandomValues<T>(array: T): T {
    if (
      !ArrayBuffer.isView(array) ||
      array instanceof Float32Array ||
      array instanceof Float64Array ||
      array instanceof Float16Array ||
      array instanceof DataView
    ) {
      throw new DOMException("getRandomValues: a typed array of integers is expected", "TypeMismatchError");
    }
    if (array.byteLength > MAX_RANDOM_BYTES) throw new DOMException(`getRandomValues: at most ${MAX_RANDOM_BYTES} bytes at once`, "QuotaExceededError");
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let at = 0; at < bytes.length; at++) bytes[at] = host().randomByte();
    return array;
  }
  /** RFC 9562 section 5.4, version 4. */
  randomUUID(): string {
    const bytes = this.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6]! & 0x0f) | 0x40;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    const hex = bytes.toHex();
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }
  get [Symbol.toStringTag](): string {
    return "Crypto";
  }
}

/** Taken by `crypto-lazy.ts` through `require`. @public */
export const crypto = new Crypto(internal);
export { CryptoKey } from "./crypto-key.ts";
