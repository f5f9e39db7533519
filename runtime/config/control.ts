/** The keys `releases` (its `canary` stands in `canary.ts`) and `admin.tokens`: who may sign releases, who may ask what of the admin API. Tokens are kept as digests only. */
import { createHash, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { canaryOf } from "./canary.ts";
import { shown } from "./problems.ts";
import type { AdminTokenConfig, ReleasesConfig } from "./resolved.ts";
import type { ConfigInput } from "./schema.ts";
import { secretOf, type StoreParts } from "./store.ts";

/** Shorter ones can be guessed over a network. */
const SHORTEST_TOKEN = 16;

export function adminTokensOf(input: ConfigInput["admin"], parts: StoreParts): AdminTokenConfig[] {
  const tokens = input === undefined || input === false ? [] : (input.tokens ?? []);
  const names = new Set<string>(["admin"]);
  return tokens.map(({ name, roles, token }, i) => {
    const at = ["admin", "tokens", i] as const;
    if (names.has(name)) parts.report([...at, "name"], `found "${name}" again, expected a name for each token ("admin" is the one in stateDir)`);
    names.add(name);
    const value = secretOf(token, ["admin", "tokens", String(i), "token"], parts);
    if (value !== "" && (value.length < SHORTEST_TOKEN || !/^[\x21-\x7e]+$/.test(value)))
      parts.report([...at, "token"], `found one of ${value.length} characters, not shown, expected at least ${SHORTEST_TOKEN} visible ASCII characters`);
    return { name, roles, sha256: createHash("sha256").update(value).digest("hex") };
  });
}

export function releasesOf(input: ConfigInput["releases"], parts: StoreParts): ReleasesConfig {
  const keys = (input?.keys ?? []).map(({ file, publicKey, notAfter }, i) => {
    const at = ["releases", "keys", i] as const;
    if ((file === undefined) === (publicKey === undefined)) parts.report(at, "found both or none of file and publicKey, expected one of them");
    const notAfterUnixMs = notAfter === undefined ? null : Date.parse(notAfter);
    if (notAfterUnixMs !== null && Number.isNaN(notAfterUnixMs))
      parts.report([...at, "notAfter"], `found ${shown(notAfter)}, expected a date such as "2027-01-31"`);
    return { pem: pemOf(file, publicKey, at, parts), notAfterUnixMs };
  });
  const requireSigned = input?.requireSigned ?? false;
  if (requireSigned && keys.length === 0) parts.report(["releases", "keys"], "found no key, expected at least one: requireSigned would refuse every release");
  return { requireSigned, keys, kept: input?.keep ?? 100, canary: canaryOf(input?.canary, parts) };
}

function pemOf(file: string | undefined, inline: string | undefined, at: readonly (string | number)[], { baseDir, report }: StoreParts): string {
  let pem = inline ?? "";
  if (file !== undefined) {
    try {
      pem = readFileSync(path.resolve(baseDir, file), "utf8");
    } catch (error) {
      report([...at, "file"], `${shown(file)} cannot be read (${(error as NodeJS.ErrnoException).code})`);
      return "";
    }
  }
  if (pem === "") return "";
  let kind: string | undefined;
  // A private key would be read as its public half; it has no place here.
  if (!pem.includes("PRIVATE")) {
    try {
      kind = createPublicKey(pem).asymmetricKeyType;
    } catch {
      kind = undefined;
    }
  }
  if (kind !== "ed25519")
    report(at, `found ${pem.includes("PRIVATE") ? "a private key" : (kind ?? "no key")}, expected an Ed25519 public key in PEM (BEGIN PUBLIC KEY)`);
  return pem;
}
