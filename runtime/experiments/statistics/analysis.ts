/** One look at an experiment: everything that its counts say, in the order in which it matters. */
import type { Belief } from "./bayesian.ts";
import { belief, chancesOfBest } from "./bayesian.ts";
import { holm, sharedAlpha } from "./correction.ts";
import type { PairedSums } from "./cuped.ts";
import { cuped } from "./cuped.ts";
import type { FixedHorizonTest } from "./fixed-horizon.ts";
import { twoProportions, welch } from "./fixed-horizon.ts";
import type { GuardrailResult, LatencyHistogram } from "./guardrails.ts";
import { errorGuardrail, latencyGuardrail } from "./guardrails.ts";
import { chiSquareSplit, MISMATCH_ALPHA, sequentialSplit } from "./sample-ratio.ts";
import type { RateCounts, Sample, ValueSums } from "./samples.ts";
import { relativeDifference, sampleOfRate, sampleOfSums } from "./samples.ts";
import type { SequentialResult } from "./sequential.ts";
import { sequentialMeans, sequentialRates } from "./sequential.ts";

/** What one arm did on one goal. A value with sums of the same unit's past is compared with CUPED. */
export type GoalCounts =
  | { readonly kind: "conversion"; readonly conversions: number }
  | { readonly kind: "value"; readonly sum: number; readonly sumOfSquares: number; readonly past: Omit<PairedSums, "units" | "sumY" | "sumYY"> | null };

export interface ArmCounts {
  readonly variant: string;
  /** Units exposed, each once. */
  readonly units: number;
  /** In the order of `ExperimentCounts.goals`. */
  readonly goals: readonly GoalCounts[];
  /** Units that met an error which was not theirs. */
  readonly unitsWithErrors: number;
  readonly latency: LatencyHistogram | null;
}

export interface ExperimentCounts {
  readonly experiment: string;
  /** Control first. */
  readonly arms: readonly ArmCounts[];
  /** The weights, in the order of the arms. */
  readonly weights: readonly number[];
  /** The first decides; the others are shown. */
  readonly goals: readonly { readonly name: string; readonly better: "higher" | "lower" }[];
  readonly guardrails: {
    readonly errors: { readonly maxIncrease: number } | null;
    readonly latency: { readonly quantile: number; readonly maxIncrease: number } | null;
  };
  readonly alpha: number;
  /** `mismatch.sequentialP` of the look before; 1 at the first. */
  readonly earlierMismatchP: number;
}

export interface GoalComparison {
  readonly goal: string;
  readonly control: Sample;
  readonly variant: Sample;
  /** Relative to control; null where control has none. */
  readonly lift: number | null;
  /** What decides. null: nothing to compare yet. */
  readonly sequential: SequentialResult | null;
  /** The always-valid p, corrected for the number of variants. */
  readonly correctedP: number | null;
  /** For reference: right for one look only. */
  readonly fixedHorizon: FixedHorizonTest | null;
  /** Of conversions. */
  readonly belief: Belief | null;
  /** The share of variance that CUPED took away; 0: not used. */
  readonly varianceSaved: number;
  /** As it would be without CUPED, to be shown beside it; null: not used. What decides is said beforehand, by the pre-period, and not by what looks better. */
  readonly plain: Pick<GoalComparison, "control" | "variant" | "lift" | "sequential"> | null;
  readonly outcome: "better" | "worse" | "open";
}

export interface VariantAnalysis {
  readonly variant: string;
  readonly goals: readonly GoalComparison[];
  readonly guardrails: { readonly errors: GuardrailResult | null; readonly latency: GuardrailResult | null };
}

export interface Analysis {
  readonly experiment: string;
  readonly units: readonly { readonly variant: string; readonly units: number; readonly expectedShare: number }[];
  readonly mismatch: { readonly sequentialP: number; readonly chiSquareP: number; readonly found: boolean };
  /** All variants but control. */
  readonly variants: readonly VariantAnalysis[];
  /** For each arm, control first: the chance to be the best on the first goal. null: it is no conversion. */
  readonly chancesOfBest: readonly number[] | null;
}

export function analyse(counts: ExperimentCounts): Analysis {
  const { arms, weights } = counts;
  const units = arms.map((arm) => arm.units);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const sequentialP = sequentialSplit(counts.earlierMismatchP, units, weights);
  const comparisons = counts.goals.map((_, goal) => corrected(arms.slice(1).map((_, i) => compare(counts, goal, i + 1))));
  return {
    experiment: counts.experiment,
    units: arms.map(({ variant }, i) => ({ variant, units: units[i]!, expectedShare: weights[i]! / whole })),
    mismatch: { sequentialP, chiSquareP: chiSquareSplit(units, weights), found: sequentialP <= MISMATCH_ALPHA },
    variants: arms.slice(1).map((arm, i) => ({ variant: arm.variant, goals: comparisons.map((goal) => goal[i]!), guardrails: guardrailsOf(counts, arm) })),
    chancesOfBest: bestOf(arms, counts),
  };
}

function compare(counts: ExperimentCounts, goal: number, index: number): GoalComparison {
  const { name, better } = counts.goals[goal]!;
  const [control, variant] = [counts.arms[0]!, counts.arms[index]!];
  const alpha = sharedAlpha(counts.alpha, counts.arms.length - 1);
  const [a, b] = [rateOf(control, goal), rateOf(variant, goal)];
  const rates = a !== null && b !== null;
  const adjusted = rates ? null : pastOf([control, variant], goal);
  const known = { control: sampleOf(control, goal), variant: sampleOf(variant, goal) };
  const [from, to] = adjusted?.samples ?? [known.control, known.variant];
  const lift = liftOf(from!, to!);
  const sequential = rates ? sequentialRates(a, b, alpha) : sequentialMeans(from!, to!, alpha);
  return {
    goal: name,
    control: from!,
    variant: to!,
    lift,
    sequential,
    correctedP: sequential?.p ?? null,
    fixedHorizon: rates ? twoProportions(a, b, counts.alpha) : welch(from!, to!, counts.alpha),
    belief: rates && a.units > 0 && b.units > 0 ? belief(a, b) : null,
    varianceSaved: adjusted?.varianceSaved ?? 0,
    plain:
      adjusted === null ? null : { ...known, lift: liftOf(known.control, known.variant), sequential: sequentialMeans(known.control, known.variant, alpha) },
    outcome: outcomeOf(sequential, better),
  };
}

const liftOf = (control: Sample, variant: Sample): number | null => relativeDifference(control, variant)?.estimate ?? null;

function outcomeOf(sequential: SequentialResult | null, better: "higher" | "lower"): GoalComparison["outcome"] {
  if (sequential === null) return "open";
  if (sequential.interval.low > 0) return better === "higher" ? "better" : "worse";
  if (sequential.interval.high < 0) return better === "lower" ? "better" : "worse";
  return "open";
}

/** Holm over the variants; those that have no p yet count as 1. */
function corrected(comparisons: readonly GoalComparison[]): readonly GoalComparison[] {
  const adjusted = holm(comparisons.map(({ correctedP }) => correctedP ?? 1));
  return comparisons.map((comparison, i) => (comparison.correctedP === null ? comparison : { ...comparison, correctedP: adjusted[i]! }));
}

function guardrailsOf({ arms, guardrails, alpha: whole }: ExperimentCounts, arm: ArmCounts): VariantAnalysis["guardrails"] {
  const control = arms[0]!;
  const alpha = sharedAlpha(whole, arms.length - 1);
  const { errors, latency } = guardrails;
  return {
    errors: errors === null ? null : errorGuardrail(errorsOf(control), errorsOf(arm), errors.maxIncrease, alpha),
    latency:
      latency === null
        ? null
        : control.latency === null || arm.latency === null
          ? { outcome: "hold", because: "no-data", increase: null }
          : latencyGuardrail(control.latency, arm.latency, latency.quantile, latency.maxIncrease, alpha),
  };
}

/** Counters arrive one after the other, so that for a moment more may have done a thing than are known to be there. */
const rate = (units: number, conversions: number): RateCounts => ({ units, conversions: Math.min(units, conversions) });

const errorsOf = ({ units, unitsWithErrors }: ArmCounts): RateCounts => rate(units, unitsWithErrors);

function rateOf({ units, goals }: ArmCounts, goal: number): RateCounts | null {
  const counts = goals[goal]!;
  return counts.kind === "conversion" ? rate(units, counts.conversions) : null;
}

function sampleOf({ units, goals }: ArmCounts, goal: number): Sample {
  const counts = goals[goal]!;
  if (counts.kind === "conversion") return sampleOfRate(rate(units, counts.conversions));
  const sums: ValueSums = { units, sum: counts.sum, sumOfSquares: counts.sumOfSquares };
  return sampleOfSums(sums);
}

function pastOf(arms: readonly ArmCounts[], goal: number): ReturnType<typeof cuped> | null {
  const sums: PairedSums[] = [];
  for (const { units, goals } of arms) {
    const counts = goals[goal]!;
    if (counts.kind !== "value" || counts.past === null) return null;
    sums.push({ units, sumY: counts.sum, sumYY: counts.sumOfSquares, ...counts.past });
  }
  return cuped(sums);
}

function bestOf(arms: readonly ArmCounts[], { goals }: ExperimentCounts): readonly number[] | null {
  if (goals.length === 0) return null;
  const rates = arms.map((arm) => rateOf(arm, 0));
  if (!rates.every((rate) => rate !== null)) return null;
  const best = chancesOfBest(goals[0]!.better === "higher" ? rates : rates.map(({ units, conversions }) => ({ units, conversions: units - conversions })));
  return best;
}
