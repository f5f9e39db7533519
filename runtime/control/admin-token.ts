/** The admin API's bearer token: from the environment, or made on first start and kept where only the owner reads it. */
import { randomBytes } from "node:crypto";
import { chmod, readFile } from "node:fs/promises";
import path from "node:path";
import { writeWhole } from "./whole-file.ts";

const TOKEN_BYTES = 32;
/** Shorter ones can be guessed over a network. */
const SHORTEST_TOKEN = 16;
const LONGEST_TOKEN = 4096;

export const TOKEN_FILE = "admin-token";

export async function adminToken(stateDir: string, fromEnvironment: string | undefined): Promise<string> {
  if (fromEnvironment !== undefined && fromEnvironment !== "") return checked(fromEnvironment, "SLUICE_ADMIN_TOKEN");
  const file = path.join(stateDir, TOKEN_FILE);
  const kept = await readKept(file);
  return kept ?? (await make(file));
}

async function readKept(file: string): Promise<string | null> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new Error(`the admin token cannot be read from ${file}: ${(thrown as Error).message}`, { cause: thrown });
  }
  // Someone may have copied the folder with other modes.
  await chmod(file, 0o600);
  return checked(text.trim(), file);
}

async function make(file: string): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  await writeWhole(file, `${token}\n`);
  return token;
}

function checked(token: string, where: string): string {
  if (token.length < SHORTEST_TOKEN || token.length > LONGEST_TOKEN || !/^[\x21-\x7e]+$/.test(token)) {
    throw new Error(`${where}: found a token of ${token.length} characters, expected ${SHORTEST_TOKEN} to ${LONGEST_TOKEN} visible ASCII characters`);
  }
  return token;
}
