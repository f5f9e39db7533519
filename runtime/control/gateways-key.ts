/** What all gateways of one store sign previews and canary cookies with: agreed upon there, and kept on each disk for when the store is away. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { AGREE, type Store } from "../store/store.ts";
import { KEYS } from "./scripts/scripts.ts";

export const GATEWAYS_KEY_FILE = "gateways-key";
const KEY = /^[0-9a-f]{64}$/;

/** As this disk has it, else a new one: until the store says otherwise. */
export function ownGatewaysKey(stateDir: string): string {
  if (stateDir === "") return randomBytes(32).toString("hex");
  try {
    const kept = readFileSync(path.join(stateDir, GATEWAYS_KEY_FILE), "utf8").trim();
    if (KEY.test(kept)) return kept;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
  }
  const key = randomBytes(32).toString("hex");
  keep(stateDir, key);
  return key;
}

/** What stands in the store; an emptied one takes what this gateway has. Rejects when it is away. */
export async function agreedGatewaysKey(store: Store, stateDir: string, own: string): Promise<string> {
  const [standing] = await store.run(AGREE, [KEYS.key], [own]);
  const key = String(standing);
  // Damaged there: nobody but the store's owner can have done it.
  if (!KEY.test(key)) return own;
  if (key !== own && stateDir !== "") keep(stateDir, key);
  return key;
}

function keep(stateDir: string, key: string): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  writeFileSync(path.join(stateDir, GATEWAYS_KEY_FILE), `${key}\n`, { mode: 0o600 });
}
