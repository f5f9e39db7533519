/** Rules of this folder, with the config that goes with them, as a release that can be handed in: compiled, type-checked, told whose it is, signed. */
import { execFile } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import os from "node:os";
import { promisify } from "node:util";
import { createCompiler, type Problem } from "../compile/compile.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { packageOf, type ReleasePackage } from "../control/release-package.ts";
import { sign } from "../control/signatures.ts";
import { checkedRules } from "./checked-rules.ts";

export interface Built {
  readonly package: ReleasePackage;
  readonly maps: SourceMaps;
}

/** PKCS #8 in PEM. */
const KEY_VARIABLE = "SLUICE_SIGNING_KEY";
const GIT_DEADLINE_MS = 5_000;
const run = promisify(execFile);

/** `serving`: what it is to follow. `warn`: told what is compiled all the same. */
export async function buildRelease(
  config: ResolvedConfig,
  message: string,
  signKey: string | undefined,
  serving: Promise<Release>,
  warn: (warnings: readonly Problem[] | undefined) => void,
): Promise<Built | readonly Problem[]> {
  const key = signingKey(signKey);
  if (typeof key !== "string") return [key];
  await using compiler = createCompiler(config);
  const [compiled, commit, author] = await Promise.all([checkedRules(compiler, config, serving), commitOf(config.baseDir), authorOf(config.baseDir)]);
  warn(compiled.warnings);
  if (compiled.release === null) return compiled.problems;
  const made = packageOf(compiled.release, config.shared, compiled.maps, { author, message, commit, builtUnixMs: Date.now() });
  return { package: key === "" ? made : await sign(made, key), maps: compiled.maps };
}

/** In PEM; "": none was given. */
function signingKey(file: string | undefined): string | Problem {
  const problem = (found: string): Problem => ({
    file: file ?? "",
    line: 0,
    column: 0,
    text: `${file === undefined ? `${KEY_VARIABLE}: ` : ""}${found}, expected an Ed25519 private key in PEM, as openssl genpkey -algorithm ed25519 makes it`,
    frame: "",
  });
  let pem = process.env[KEY_VARIABLE] ?? "";
  if (file !== undefined) {
    try {
      pem = readFileSync(file, "utf8");
    } catch (thrown) {
      return problem(`cannot be read (${(thrown as NodeJS.ErrnoException).code})`);
    }
  }
  if (pem === "" && file === undefined) return "";
  try {
    const { asymmetricKeyType = "" } = createPrivateKey(pem);
    return asymmetricKeyType === "ed25519" ? pem : problem(`found a key of type ${asymmetricKeyType}`);
  } catch {
    return problem("found no private key");
  }
}

/** With "+" when what is deployed is not what was committed; "" outside Git. */
async function commitOf(folder: string): Promise<string> {
  const commit = await git(folder, ["rev-parse", "HEAD"]);
  if (commit === "") return "";
  return (await git(folder, ["status", "--porcelain", "--", "."])) === "" ? commit : `${commit}+`;
}

async function authorOf(folder: string): Promise<string> {
  return (await git(folder, ["config", "user.name"])) || process.env["USER"] || os.hostname();
}

async function git(folder: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run("git", [...args], { cwd: folder, timeout: GIT_DEADLINE_MS, maxBuffer: 16 * 1024 * 1024 });
    return stdout.trim();
  } catch {
    // No Git, or no repository: then a release names none.
    return "";
  }
}
