/** Where this checkout stands, and how its command line is started. */
import { join } from "node:path";

export const PACKAGE_ROOT = join(import.meta.dirname, "..", "..");

export function sluiceCommand(...args: readonly string[]): string[] {
  return [process.execPath, "--conditions=sluice-source", join(PACKAGE_ROOT, "runtime", "cli", "main.ts"), ...args];
}
