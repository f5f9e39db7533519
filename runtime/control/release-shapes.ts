/** What `/v1/releases` and `/v1/rollouts` ask and answer, for the listener and the OpenAPI file. */
import { z } from "zod";
import { CanaryPolicyShape } from "./canary/shapes.ts";
import type { ShelfEntry } from "./release-shelf.ts";

const LONGEST_TIMEOUT_MS = 600_000;

export const Upload = z.strictObject({ package: z.unknown(), maps: z.unknown() });
export const Order = z.strictObject({
  release: z.string().regex(/^[0-9a-f]{12}$/, "a release id of 12 hex digits"),
  base: z.int().min(0).describe("the epoch that the caller saw"),
  kind: z.enum(["deploy", "rollback"]).optional(),
  dryRun: z.boolean().optional(),
  message: z.string().max(1000).optional(),
  timeoutMs: z.int().min(1).max(LONGEST_TIMEOUT_MS).optional(),
  canary: CanaryPolicyShape.nullable().optional().describe("first on a share of the clients; left out or null: it serves at once"),
});

export const ShelfEntryShape: z.ZodType<ShelfEntry> = z.strictObject({
  id: z.string(),
  digest: z.string().describe("SHA-256 over rules and config, in hex; the id is its beginning"),
  author: z.string(),
  message: z.string(),
  commit: z.string().describe("of Git; empty when there is none"),
  builtUnixMs: z.number(),
  uploadedUnixMs: z.number(),
  rules: z.array(z.string()),
  signedBy: z.string().describe("thumbprint of the key; empty: not signed, or by nobody known"),
  codeBytes: z.int(),
});

export const RolloutShape = z.looseObject({ number: z.int(), release: z.string(), base: z.int(), state: z.string(), reason: z.string(), epoch: z.int() });
