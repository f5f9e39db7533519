/** `POST /v1/debug`: a signed, expiring header with which answers tell where the time went. Its key is made once and kept where only the owner reads it. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { DEBUG_HEADER, DEBUG_LONGEST_MS, debugToken } from "../security/debug-token.ts";
import { type Endpoint, json } from "./answers.ts";

export const DEBUG_KEY_FILE = "debug-key";
const KEY = /^[0-9a-f]{64}$/;
const DEFAULT_MS = 10 * 60_000;
const Lifetime = z.strictObject({ lifetimeMs: z.number().min(1000).lt(DEBUG_LONGEST_MS).optional().describe("ten minutes by default") });

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
    about: "A signed, expiring header: answers to requests with it tell where the time went, and tail keeps their trace.",
    asks: Lifetime,
    answers: { 200: z.strictObject({ header: z.string(), value: z.string(), untilUnixMs: z.number() }) },
    answer({ body }) {
      const { lifetimeMs = DEFAULT_MS } = body as z.infer<typeof Lifetime>;
      const untilUnixMs = nowUnixMs() + lifetimeMs;
      return json(200, { header: DEBUG_HEADER, value: debugToken(key, untilUnixMs), untilUnixMs });
    },
  };
}
