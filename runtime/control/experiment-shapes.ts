/** What `/v1/experiments` asks and answers, for the listener and the OpenAPI file. */
import { z } from "zod";

const reason = z.string().max(1000).optional().describe("why, for the report and the audit log");
const variant = z.string().min(1).max(64);

export const Decide = z.strictObject({ reason });
export const Ship = z.strictObject({ variant, reason });
const LONGEST_LINK_MS = 7 * 24 * 60 * 60 * 1000;
export const Force = z.strictObject({
  variant,
  lifetimeMs: z.int().min(1_000).max(LONGEST_LINK_MS).optional().describe("of the link; an hour when left out, a week at most"),
});

const State = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("running") }),
  z.strictObject({ kind: z.literal("stopped") }),
  z.strictObject({ kind: z.literal("shipped"), variant: z.string() }),
]);
const Live = z.strictObject({ state: State, reason: z.string(), by: z.string(), atUnixMs: z.number() });
const Verdict = z.strictObject({
  outcome: z.enum(["mismatch", "guardrail", "waiting", "winner", "loser", "open"]),
  variant: z.string().nullable(),
  sentence: z.string(),
});

export const Listed = z.strictObject({
  experiments: z.array(
    z.strictObject({
      key: z.string(),
      version: z.int(),
      live: Live,
      traffic: z.number(),
      arms: z.array(z.strictObject({ variant: z.string(), weight: z.number(), units: z.number() })),
      verdict: Verdict,
    }),
  ),
  leads: z.boolean().describe("does this gateway look at the experiments, and stop those whose guardrail fails?"),
});

const numberOrNull = z.number().nullable();
export const ReportShape = z.looseObject({
  experiment: z.string(),
  version: z.int(),
  live: Live,
  traffic: z.number(),
  confidence: z.number(),
  goals: z.array(
    z.strictObject({
      name: z.string(),
      kind: z.enum(["conversion", "value"]),
      better: z.enum(["higher", "lower"]),
      windowMs: z.number(),
      prePeriodMs: numberOrNull,
    }),
  ),
  arms: z.array(
    z.strictObject({
      variant: z.string(),
      weight: z.number(),
      units: z.number(),
      unitsWithErrors: z.number(),
      latencyMs: z.strictObject({ p50: z.number(), p90: z.number(), p95: z.number(), p99: z.number() }).nullable(),
      goals: z.array(z.strictObject({ units: z.number(), share: z.number(), sum: numberOrNull, mean: z.number() })),
    }),
  ),
  verdict: Verdict,
  analysis: z.looseObject({}),
  quality: z.strictObject({
    lost: z.strictObject({ exposures: z.number(), goals: z.number(), errors: z.number() }),
    full: z.number(),
    crossed: z.number(),
    late: z.number(),
    repeated: z.number(),
    prePeriod: z.strictObject({ remembered: z.number(), lost: z.number() }).nullable(),
  }),
  history: z.array(
    z.strictObject({
      atUnixMs: z.number(),
      units: z.array(z.number()),
      change: z.array(z.strictObject({ lift: numberOrNull, low: numberOrNull, high: numberOrNull }).nullable()),
    }),
  ),
  story: z.array(z.strictObject({ atUnixMs: z.number(), version: z.number(), what: z.string(), by: z.string(), why: z.string() })),
});

export const Decided = z.strictObject({ key: z.string(), live: Live });
export const Forced = z.strictObject({
  key: z.string(),
  variant: z.string(),
  parameter: z.string().describe("name of the query parameter that carries it"),
  token: z.string(),
  untilUnixMs: z.number(),
});
