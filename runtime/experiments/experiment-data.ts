/** An experiment as part of a release: what `defineExperiment` made of it, as plain data. Functions stay in the sandbox; here stands that there are some. */
import type { Experiment, UnitPlace } from "../../sdk/experiment.ts";

export interface ExperimentData extends Omit<Experiment, "audience" | "unit"> {
  readonly audience: boolean;
  readonly unit: "visitor" | UnitPlace | { readonly kind: "function" };
}
