/** `POST /v1/debug`: a signed, expiring header with which answers tell where the time went. Its key is made once and kept where only the owner reads it. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DEBUG_HEADER, DEBUG_LONGEST_MS, debugToken } from "../security/debug-token.ts";
import { type Endpoint, failure, json } from "./answers.ts";

export const DEBUG_KEY_FILE = "debug-key";
const KEY = /^[0-9a-f]{64}$/;
const DEFAULT_MS = 10 * 60_000;

/** Another one takes the place of what is no key. */
export function debugKey(stateDir: string): string {
  if (stateDir === "") return randomBytes(32).toString("hex");
  const file = path.join(stateDir, DEBUG_KEY_FILE);
  try {
    const kept = readFileSync(file, "utf8").trim();
    if (KEY.test(kept)) return kept;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
  }
  const key = randomBytes(32).toString("hex");
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  writeFileSync(file, `${key}\n`, { mode: 0o600 });
  return key;
}

export function debugEndpoint(key: string, nowUnixMs: () => number): Endpoint {
  return {
    path: "/v1/debug",
    method: "POST",
    role: "activate",
    answer({ body }) {
      const { lifetimeMs = DEFAULT_MS } = (typeof body === "object" && body !== null ? body : {}) as { lifetimeMs?: unknown };
      if (typeof lifetimeMs !== "number" || !(lifetimeMs >= 1000 && lifetimeMs < DEBUG_LONGEST_MS))
        return failure(400, { code: "BODY_REFUSED", found: "another lifetimeMs", expected: `1000 to ${DEBUG_LONGEST_MS}` });
      const untilUnixMs = nowUnixMs() + lifetimeMs;
      return json(200, { header: DEBUG_HEADER, value: debugToken(key, untilUnixMs), untilUnixMs });
    },
  };
}
