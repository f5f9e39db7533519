/**
 * What visitor cookies and QA links are signed with. From config; else one that all gateways of a store agree on: the first proposal wins, and each
 * keeps it in a file of its own, so that neither a restart nor an emptied Redis makes everybody a new visitor.
 */
import { createHash, randomBytes } from "node:crypto";
import { link, mkdir, readFile, rename, unlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { AGREE, type Store } from "../../store/store.ts";
import type { SealKeys } from "../assign/assign.ts";

export const KEY_FILE = "experiments-key";
const PLACE = "experiments:signing-key";
const KEY = /^[0-9a-f]{64}$/;

export interface KeyParts {
  /** Of `config.experiments`. */
  readonly configured: readonly string[];
  /** "": nothing is kept on disk. */
  readonly stateDir: string;
  readonly store: Store;
  readonly warn: (text: string) => void;
}

export interface AgreedKeys {
  readonly keys: SealKeys;
  /** False: the store did not say, and other gateways may use another one. */
  readonly agreed: boolean;
}

/** Never rejects: a store that is away leaves the key that this gateway knows, which all of its processes share by a file. */
export async function agreeOnKeys({ configured, stateDir, store, warn }: KeyParts): Promise<AgreedKeys> {
  if (configured.length > 0) {
    const [first, ...others] = configured.map((text) => createHash("sha256").update(`sluice experiments\n${text}`).digest());
    return { keys: [first!, ...others], agreed: true };
  }
  const file = stateDir === "" ? "" : path.join(stateDir, KEY_FILE);
  const kept = await keptKey(file, warn);
  try {
    const [told] = await store.run(AGREE, [PLACE], [kept]);
    if (typeof told !== "string" || !KEY.test(told)) {
      warn("the store holds something else than a key for visitor cookies; this gateway uses its own");
      return { keys: [Buffer.from(kept, "hex")], agreed: true };
    }
    if (told !== kept && file !== "") await keep(file, told, warn);
    return { keys: [Buffer.from(told, "hex")], agreed: true };
  } catch (thrown) {
    warn(`the gateways could not agree on a key for visitor cookies: ${String(thrown)}; this one goes on with the key that it knows`);
    return { keys: [Buffer.from(kept, "hex")], agreed: false };
  }
}

export async function signingKeys(parts: KeyParts): Promise<SealKeys> {
  return (await agreeOnKeys(parts)).keys;
}

/** The file's; else a new one, that of the process which was first. */
async function keptKey(file: string, warn: KeyParts["warn"]): Promise<string> {
  const fresh = randomBytes(32).toString("hex");
  if (file === "") return fresh;
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    // A link appears with its content, or not at all: nobody reads half a key.
    const part = await written(file, fresh);
    try {
      await link(part, file);
    } finally {
      await unlink(part);
    }
    return fresh;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") {
      warn(`${file} cannot be written: ${String(thrown)}; ${LOST}`);
      return fresh;
    }
  }
  const text = (await readFile(file, "utf8").catch((thrown: unknown) => String(thrown))).trim();
  if (KEY.test(text)) return text;
  warn(`${file} holds no key, and is written anew`);
  await keep(file, fresh, warn);
  return fresh;
}

const LOST = "visitors are new ones after a restart, unless the store remembers the key";

async function keep(file: string, key: string, warn: KeyParts["warn"]): Promise<void> {
  try {
    await rename(await written(file, key), file);
  } catch (thrown) {
    warn(`${file} cannot be written: ${String(thrown)}; ${LOST}`);
  }
}

/** A file beside it, for its owner alone. */
async function written(file: string, key: string): Promise<string> {
  const part = `${file}.${randomBytes(6).toString("hex")}`;
  await writeFile(part, `${key}\n`, { mode: 0o600 });
  return part;
}
