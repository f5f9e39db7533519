/** An experiment's functions, run like a hook before assignment: what they say goes to the worker as the state of their module. */
import type { Experiment, RequestFacts, Rule } from "../../../sdk/index.ts";
import type { RuleContext } from "./context.ts";
import { describe } from "./failure.ts";

/** `checkExperiment` made it and froze it, unless a module forged it: then whoever reads the description finds out. */
export function isExperiment(value: unknown): value is Experiment {
  return typeof value === "object" && value !== null && (value as Partial<Experiment>).kind === "experiment";
}

/** Without functions, which JSON does not carry. */
export function describedExperiment(experiment: Experiment): object {
  const { audience, unit } = experiment;
  return { ...experiment, audience: audience !== null, unit: typeof unit === "function" ? { kind: "function" } : unit };
}

export function assigning({ key, audience, unit }: Experiment): Rule["hooks"] {
  if (audience === null && typeof unit !== "function") return {};
  return {
    onRequest(req: RequestFacts, ctx: RuleContext): void {
      const within = audience === null ? true : audience(req);
      if (typeof within !== "boolean") throw new TypeError(`experiment ${describe(key)}: audience: true or false is expected, found ${describe(within)}`);
      ctx.state = { within, unit: within && typeof unit === "function" ? unitOf(key, unit(req)) : null };
    },
  };
}

function unitOf(key: string, unit: unknown): string | null {
  if (unit === null || unit === undefined || unit === "") return null;
  if (typeof unit !== "string" || unit.length > 512)
    throw new TypeError(`experiment ${describe(key)}: unit: a string of at most 512 characters or null is expected, found ${describe(unit)}`);
  return unit;
}
