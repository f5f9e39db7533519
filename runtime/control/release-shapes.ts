/** What `/v1/releases` and `/v1/rollouts` ask and answer, for the listener and the OpenAPI file. */
import { z } from "zod";
import { CanaryPolicyShape } from "./canary/shapes.ts";
import type { Head, HeadKind, ShelfEntry } from "./release-shelf.ts";
import type { Rollout, RolloutGateway } from "./rollouts.ts";

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

const KINDS = ["deploy", "rollback", "canary", "step", "promotion", "canary-end"] as const satisfies readonly HeadKind[];

/** With the canary that began or ended with it, if there was one. */
export const HeadShape = z.looseObject({
  epoch: z.int(),
  release: z.string(),
  digest: z.string(),
  kind: z.enum(KINDS),
  by: z.string(),
  message: z.string(),
  atUnixMs: z.number(),
  rollout: z.int().describe("number of the rollout that made it head"),
}) satisfies z.ZodType<Omit<Head, "canary" | "ended">>;

const RolloutGatewayShape = z.looseObject({
  name: z.string(),
  host: z.string(),
  live: z.boolean(),
  state: z.string().describe("away, waiting, prepared, rejected, activating, serving, behind"),
  reason: z.string(),
  epoch: z.int(),
  release: z.string(),
}) satisfies z.ZodType<RolloutGateway>;

export const RolloutShape = z.looseObject({
  number: z.int(),
  release: z.string(),
  base: z.int(),
  kind: z.enum(KINDS),
  dryRun: z.boolean(),
  state: z.enum(["preparing", "rejected", "expired", "outdated", "checked", "active", "serving", "incomplete", "failed"]),
  reason: z.string().describe("why it came to nothing, or is not complete"),
  epoch: z.int().describe("0 until it is committed"),
  gateways: z.array(RolloutGatewayShape),
  tookMs: z.number(),
}) satisfies z.ZodType<Omit<Rollout, "ended">>;

export const ReleaseListShape = z.strictObject({
  releases: z.array(ShelfEntryShape).describe("newest first"),
  history: z.array(HeadShape).describe("what served when; newest first"),
  head: HeadShape.nullable(),
  here: z.looseObject({ release: z.string(), epoch: z.int() }).describe("what this gateway serves"),
});
