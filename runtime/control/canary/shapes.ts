/** What `/v1/canary` and a deploy with a canary ask and answer, for the listener and the OpenAPI file. */
import { z } from "zod";
import { stepsProblem } from "../../config/canary.ts";
import { CANARY_METRICS } from "./canary.ts";

const LONGEST_STEP_MS = 30 * 24 * 60 * 60_000;

const Share = z.int().min(1).max(10_000).describe("of the clients, in ten-thousandths");
const Limit = z.number().min(0).nullable();

export const CanaryPolicyShape = z.strictObject({
  steps: z.array(Share).refine((steps) => stepsProblem(steps) === "", "shares that grow, of which the first is below 100 %"),
  stepMs: z.int().min(0).max(LONGEST_STEP_MS),
  minimumUnits: z.int().min(1),
  limits: z
    .strictObject({ exceptions: Limit, timeouts: Limit, errors: Limit, latencyP95: Limit, cpu: Limit })
    .describe("what each may be worse by; null: not looked at"),
});

export const CanaryOrderShape = z.strictObject({ action: z.enum(["rollback", "promote", "step"]), message: z.string().max(1000).optional() });

const Interval = z.strictObject({ low: z.number(), high: z.number().nullable() });
const Sizes = z.strictObject({ units: z.int(), requests: z.int() });
const PictureShape = z.strictObject({
  share: Share,
  canary: Sizes,
  current: Sizes,
  metrics: z.array(
    z.strictObject({
      metric: z.enum(CANARY_METRICS),
      rule: z.string(),
      canary: z.number().nullable(),
      current: z.number().nullable(),
      increase: Interval.nullable(),
      limit: z.number(),
      outcome: z.enum(["breach", "suspect", "fine", "no-data", "broken"]),
    }),
  ),
  verdict: z.enum(["advance", "hold", "rollback"]),
  reason: z.string(),
});

export const CanaryViewShape = z.strictObject({
  canary: z.looseObject({ release: z.string(), steps: z.array(Share), at: z.int(), past: z.array(PictureShape) }),
  epoch: z.int(),
  picture: PictureShape.nullable(),
});

export const CanaryEndShape = z.strictObject({
  release: z.string(),
  outcome: z.enum(["promoted", "rolled-back", "replaced"]),
  because: z.enum(["breach", "asked", "last-step"]),
  reason: z.string(),
  pictures: z.array(PictureShape),
});
