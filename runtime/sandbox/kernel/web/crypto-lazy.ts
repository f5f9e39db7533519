/** `crypto`, evaluated when something first names it. */
import { hardenAll } from "./host.ts";

type CryptoClasses = typeof import("./crypto.ts");

let evaluated: CryptoClasses | null = null;

export function cryptoClasses(): CryptoClasses {
  if (evaluated !== null) return evaluated;
  // A bundler's `require`: the module stands in the bundle, wrapped in a function that runs here.
  evaluated = require("./crypto.ts") as CryptoClasses;
  const { Crypto, CryptoKey, SubtleCrypto, crypto } = evaluated;
  hardenAll([Crypto, CryptoKey, SubtleCrypto, crypto, crypto.subtle]);
  return evaluated;
}
