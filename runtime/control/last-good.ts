/** The last release that served, on this gateway's own disk: what it starts with when the store is away, and how far the epochs were. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { ReleasesConfig } from "../config/resolved.ts";
import { PackageError, readMaps, readPackage } from "./release-package.ts";
import type { Head, Taken } from "./release-shelf.ts";
import { checkSignature } from "./signatures.ts";
import { writeWhole } from "./whole-file.ts";

export interface LastGood extends Taken {
  readonly head: Head;
}

export const LAST_GOOD_FILE = "last-good-release.json";

/** Whole, or not at all. */
export async function writeLastGood(stateDir: string, { head, release, maps }: LastGood): Promise<void> {
  await writeWhole(path.join(stateDir, LAST_GOOD_FILE), JSON.stringify({ head, release, maps }));
}

/** Null: there is none. Throws a `PackageError` for one that is not as it was written. */
export async function readLastGood(stateDir: string, config: ReleasesConfig, nowUnixMs: number): Promise<LastGood | null> {
  let text: string;
  try {
    text = await readFile(path.join(stateDir, LAST_GOOD_FILE), "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw thrown;
  }
  let kept: { head?: Head; release?: unknown; maps?: unknown };
  try {
    kept = JSON.parse(text) as typeof kept;
  } catch (cause) {
    throw new PackageError(`${LAST_GOOD_FILE} is no JSON`, { cause });
  }
  const { head } = kept;
  if (!Number.isSafeInteger(head?.epoch)) throw new PackageError(`${LAST_GOOD_FILE} names no epoch`);
  const release = readPackage(kept.release);
  if (release.digest !== head!.digest) throw new PackageError(`${LAST_GOOD_FILE} holds another release than it names`);
  return { head: head!, release, maps: readMaps(kept.maps, release), signedBy: await checkSignature(release, config, nowUnixMs) };
}
