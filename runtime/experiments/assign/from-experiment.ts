/** What assignment needs of a definition. Functions stay in the sandbox: the plan only says that there is one. */
import type { Experiment } from "../../../sdk/experiment.ts";
import type { ExperimentData } from "../experiment-data.ts";
import type { AssignPlan, UnitSource } from "./plan.ts";

export function planOf(experiment: Experiment | ExperimentData): AssignPlan {
  const { key, seed, hashVersion, bucketVersion, minBucketVersion, traffic, layer, holdout, sticky, excludeBots, consent, unit, fallbackUnit } = experiment;
  return {
    key,
    variants: experiment.variants.map(({ key: variant, weight }) => ({ key: variant, weight })),
    traffic,
    seed,
    hashVersion,
    bucketVersion,
    minBucketVersion,
    unit: sourceOf(unit),
    fallbackUnit: fallbackUnit === null ? null : sourceOf(fallbackUnit),
    sticky,
    layer,
    holdout,
    consent: typeof consent === "object" ? "required" : consent,
    excludeBots,
  };
}

function sourceOf(unit: Experiment["unit"] | ExperimentData["unit"]): UnitSource {
  if (typeof unit === "function") return { kind: "function" };
  if (typeof unit === "object" && unit.kind === "function") return { kind: "function" };
  return unit === "visitor" ? { kind: "visitor" } : { kind: unit.kind, name: unit.name };
}
