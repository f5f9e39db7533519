/**
 * What visitor cookies and QA links are signed with. From config; else one that all gateways of a store agree on: the first proposal wins, and each
 * keeps it in a file of its own, so that neither a restart nor an emptied Redis makes everybody a new visitor.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { defineScript, type Store, type StoreScript } from "../../store/store.ts";
import type { SealKeys } from "../assign/assign.ts";

export const KEY_FILE = "experiments-key";
const PLACE = "experiments:signing-key";
const KEY = /^[0-9a-f]{64}$/;

export const AGREE_KEY: StoreScript = defineScript({
  name: "experiments:agree-key",
  lua: new URL("./agree-key.lua", import.meta.url),
  durable: true,
  repeatable: true,
  embedded(db, [place], [proposal]) {
    const there = db.get(place!) as string | undefined;
    if (there !== undefined) return [there];
    db.set(place!, String(proposal), null);
    return [String(proposal)];
  },
});

export interface KeyParts {
  /** Of `config.experiments`. */
  readonly configured: readonly string[];
  /** "": nothing is kept on disk. */
  readonly stateDir: string;
  readonly store: Store;
  readonly warn: (text: string) => void;
}

/** Never rejects: a store that is away leaves the key that this gateway knows. */
export async function signingKeys({ configured, stateDir, store, warn }: KeyParts): Promise<SealKeys> {
  if (configured.length > 0) {
    const [first, ...others] = configured.map((text) => createHash("sha256").update(`sluice experiments\n${text}`).digest());
    return [first!, ...others];
  }
  const file = stateDir === "" ? "" : path.join(stateDir, KEY_FILE);
  const kept = await readKept(file, warn);
  const proposal = kept ?? randomBytes(32).toString("hex");
  let agreed = proposal;
  try {
    const [told] = await store.run(AGREE_KEY, [PLACE], [proposal]);
    if (typeof told === "string" && KEY.test(told)) agreed = told;
    else warn("the store holds something else than a key for visitor cookies; this gateway uses its own");
  } catch (thrown) {
    warn(
      `the gateways could not agree on a key for visitor cookies: ${String(thrown)}; until the next start this one uses ${kept === null ? "a new one" : "the one that it knows"}`,
    );
  }
  if (agreed !== kept && file !== "") await keep(file, agreed, warn);
  return [Buffer.from(agreed, "hex")];
}

async function readKept(file: string, warn: KeyParts["warn"]): Promise<string | null> {
  if (file === "") return null;
  try {
    const text = (await readFile(file, "utf8")).trim();
    if (KEY.test(text)) return text;
    warn(`${file} holds no key, and is written anew`);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") warn(`${file} cannot be read: ${String(thrown)}`);
  }
  return null;
}

/** Whole or not at all: several workers write the same at once. */
async function keep(file: string, key: string, warn: KeyParts["warn"]): Promise<void> {
  const part = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(part, `${key}\n`, { mode: 0o600 });
    await rename(part, file);
  } catch (thrown) {
    warn(`${file} cannot be written: ${String(thrown)}; visitors are new ones after a restart, unless the store remembers the key`);
  }
}
