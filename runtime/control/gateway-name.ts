/** What a gateway is called in tables: its host, and a few digits that stay in `stateDir`, so that it is the same one after a restart. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

export const NAME_FILE = "gateway-id";

export function gatewayName(stateDir: string): string {
  const host =
    os
      .hostname()
      .replaceAll(/[^\w.-]/g, "-")
      .slice(0, 100) || "gateway";
  return `${host}-${idIn(stateDir)}`;
}

function idIn(stateDir: string): string {
  const file = path.join(stateDir, NAME_FILE);
  try {
    const kept = readFileSync(file, "utf8").trim();
    if (/^[0-9a-f]{6}$/.test(kept)) return kept;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
  }
  const made = randomBytes(3).toString("hex");
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  writeFileSync(file, `${made}\n`, { mode: 0o600 });
  return made;
}
