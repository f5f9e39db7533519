/** Signatures of releases: Ed25519 as compact JWS (RFC 7515, RFC 8037). A key is known by its thumbprint (RFC 7638). */
import { calculateJwkThumbprint, CompactSign, compactVerify, decodeProtectedHeader, exportJWK, importPKCS8, importSPKI } from "jose";
import { createPrivateKey, createPublicKey } from "node:crypto";
import type { ReleasesConfig } from "../config/resolved.ts";
import { PackageError, statementOf, type ReleasePackage } from "./release-package.ts";

const ALGORITHM = "EdDSA";

/** `privateKey`: PKCS #8 in PEM. */
export async function sign(release: ReleasePackage, privateKey: string): Promise<ReleasePackage> {
  const kid = await thumbprint(createPublicKey(createPrivateKey(privateKey)).export({ type: "spki", format: "pem" }).toString());
  const signature = await new CompactSign(new TextEncoder().encode(statementOf(release)))
    .setProtectedHeader({ alg: ALGORITHM, kid })
    .sign(await importPKCS8(privateKey, ALGORITHM));
  return { ...release, signature };
}

/** The thumbprint of the key that signed, or "" for a release that needs none and has none. Throws a `PackageError` that says why it is refused. */
export async function checkSignature(release: ReleasePackage, { requireSigned, keys }: ReleasesConfig, nowUnixMs: number): Promise<string> {
  if (release.signature === "") {
    if (requireSigned) throw new PackageError("it is not signed, and releases.requireSigned is true");
    return "";
  }
  // Without keys nobody can tell whose signature it is; then it counts as none.
  if (keys.length === 0) return "";
  const kid = kidOf(release.signature);
  for (const { pem, notAfterUnixMs } of keys) {
    if ((await thumbprint(pem)) !== kid) continue;
    if (notAfterUnixMs !== null && nowUnixMs >= notAfterUnixMs)
      throw new PackageError(`it is signed with the key ${kid}, which expired on ${new Date(notAfterUnixMs).toISOString().slice(0, 10)}`);
    await verify(release, pem, kid);
    return kid;
  }
  throw new PackageError(`it is signed with the key ${kid}, which releases.keys does not name`);
}

async function verify(release: ReleasePackage, pem: string, kid: string): Promise<void> {
  let payload: Uint8Array;
  try {
    ({ payload } = await compactVerify(release.signature, await importSPKI(pem, ALGORITHM), { algorithms: [ALGORITHM] }));
  } catch (cause) {
    throw new PackageError(`its signature does not verify with the key ${kid}`, { cause });
  }
  if (new TextDecoder().decode(payload) !== statementOf(release)) throw new PackageError("its signature is about another release");
}

function kidOf(signature: string): string {
  try {
    return String(decodeProtectedHeader(signature).kid ?? "");
  } catch (cause) {
    throw new PackageError("its signature is none", { cause });
  }
}

async function thumbprint(pem: string): Promise<string> {
  return calculateJwkThumbprint(await exportJWK(createPublicKey(pem)));
}
