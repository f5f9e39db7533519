/** The key `releases.canary`: how `sluice deploy --canary` goes on, and what ends it. */
import type { CanaryConfig } from "./resolved.ts";
import type { ConfigInput } from "./schema.ts";
import type { StoreParts } from "./store.ts";
import { durationMs } from "./units.ts";

type Input = NonNullable<NonNullable<ConfigInput["releases"]>["canary"]>;
type Metric = keyof CanaryConfig["limits"];

const DEFAULT_STEPS = ["5%", "25%", "100%"] as const;
/** What a canary may be worse by: see `runtime/control/canary/README.md`. */
const DEFAULT_LIMITS: CanaryConfig["limits"] = { exceptions: 0.0025, timeouts: 0.0025, errors: 0.0025, latencyP95: 0.25, cpu: 0.5 };
const WHOLE = 10_000;
const MOST_STEPS = 20;

export function canaryOf(input: Input | undefined, { report }: StoreParts): CanaryConfig {
  const steps = (input?.steps ?? DEFAULT_STEPS).map((text) => Math.round(fraction(text) * WHOLE));
  const problem = stepsProblem(steps);
  if (problem !== "") report(["releases", "canary", "steps"], problem);
  const limits = Object.fromEntries(
    Object.entries(DEFAULT_LIMITS).map(([metric, value]) => {
      const given = input?.limits?.[metric as Metric];
      return [metric, given === undefined ? value : given === false ? null : fraction(given)];
    }),
  ) as CanaryConfig["limits"];
  return { steps, stepMs: durationMs(input?.stepDuration ?? "5m"), minimumUnits: input?.minimumSample ?? 500, limits };
}

/** What is wrong with shares in ten-thousandths as steps; "" when nothing is. */
export function stepsProblem(steps: readonly number[]): string {
  if (steps.length === 0 || steps.length > MOST_STEPS) return `found ${steps.length} steps, expected 1 to ${MOST_STEPS}`;
  if (steps[0]! >= WHOLE) return "found 100% as the first step, expected less: that is no canary but a deploy";
  const at = steps.findIndex((share, i) => !(share >= 1 && share <= WHOLE) || (i > 0 && share <= steps[i - 1]!));
  return at < 0 ? "" : `found ${steps[at]! / 100}% as step ${at + 1}, expected shares from 0.01% to 100% that grow`;
}

/** `"25%"` → 0.25, and more than the whole is fine. */
function fraction(text: string): number {
  return Number(text.slice(0, -1)) / 100;
}
