/** The last release that served, on this gateway's own disk: what it starts with when the store is away, and how far the epochs were. */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { ReleasesConfig } from "../config/resolved.ts";
import { PackageError, readMaps, readPackage } from "./release-package.ts";
import type { Head, Taken } from "./release-shelf.ts";
import { checkSignature } from "./signatures.ts";
import { writeWhole } from "./whole-file.ts";

export interface LastGood extends Taken {
  readonly head: Head;
  /** Of the head. Left out or null: none runs, or it could not be had. */
  readonly canary?: Taken | null;
}

export const LAST_GOOD_FILE = "last-good-release.json";

/** Whole, or not at all. */
export async function writeLastGood(stateDir: string, { head, release, maps, canary = null }: LastGood): Promise<void> {
  const beside = canary === null ? {} : { canary: { release: canary.release, maps: canary.maps } };
  await writeWhole(path.join(stateDir, LAST_GOOD_FILE), JSON.stringify({ head, release, maps, ...beside }));
}

/**
 * Null: there is none. Throws a `PackageError` for one that is not as it was written. Its key must have held when it was written: one that has expired since
 * takes nothing away that it brought, or a gateway would not come up again after a restart.
 */
export async function readLastGood(stateDir: string, config: ReleasesConfig): Promise<LastGood | null> {
  let text: string;
  let writtenUnixMs: number;
  try {
    const file = path.join(stateDir, LAST_GOOD_FILE);
    text = await readFile(file, "utf8");
    writtenUnixMs = (await stat(file)).mtimeMs;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw thrown;
  }
  let kept: { head?: Head; release?: unknown; maps?: unknown; canary?: { release?: unknown; maps?: unknown } };
  try {
    kept = JSON.parse(text) as typeof kept;
  } catch (cause) {
    throw new PackageError(`${LAST_GOOD_FILE} is no JSON`, { cause });
  }
  const { head } = kept;
  if (!Number.isSafeInteger(head?.epoch)) throw new PackageError(`${LAST_GOOD_FILE} names no epoch`);
  const taken = async (value: { release?: unknown; maps?: unknown }, digest: string): Promise<Taken> => {
    const release = readPackage(value.release);
    if (release.digest !== digest) throw new PackageError(`${LAST_GOOD_FILE} holds another release than it names`);
    return { release, maps: readMaps(value.maps, release), signedBy: await checkSignature(release, config, writtenUnixMs) };
  };
  const good = await taken(kept, head!.digest);
  // What serves must not wait for a canary that is damaged here: the store has it.
  const canary = kept.canary === undefined || !head!.canary ? null : await taken(kept.canary, head!.canary.digest).catch(() => null);
  return { head: head!, ...good, ...(canary === null ? {} : { canary }) };
}
