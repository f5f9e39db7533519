/** The door of the statistics: pure functions of counts. */
export { analyse } from "./analysis.ts";
export type { Analysis, ArmCounts, ExperimentCounts, GoalComparison, GoalCounts, VariantAnalysis } from "./analysis.ts";
export { belief, chancesOfBest } from "./bayesian.ts";
export type { Belief } from "./bayesian.ts";
export { holm, sharedAlpha } from "./correction.ts";
export { cuped } from "./cuped.ts";
export type { Adjusted, PairedSums } from "./cuped.ts";
export { chiSquareTail, logNormalBelow, normalQuantile, normalTail, studentQuantile, studentTwoSided } from "./distributions.ts";
export { duration } from "./duration.ts";
export type { DurationAnswer, DurationQuestion } from "./duration.ts";
export { twoProportions, welch } from "./fixed-horizon.ts";
export type { FixedHorizonTest } from "./fixed-horizon.ts";
export { incompleteBeta, logGamma, logRising } from "./gamma.ts";
export { errorGuardrail, latencyGuardrail, quantileInterval } from "./guardrails.ts";
export type { GuardrailOutcome, GuardrailResult, LatencyHistogram } from "./guardrails.ts";
export {
  bernoulliInterval,
  bestRho,
  betaBinomialLogMixture,
  normalLogMixture,
  normalMixtureBound,
  oneSidedLogMixture,
  oneSidedMixtureBound,
} from "./mixtures.ts";
export { chiSquareSplit, MISMATCH_ALPHA, sequentialSplit, splitLogBayesFactor } from "./sample-ratio.ts";
export { difference, relativeDifference, sampleOfRate, sampleOfSums } from "./samples.ts";
export type { Difference, Interval, RateCounts, Sample, ValueSums } from "./samples.ts";
export { oneSidedRates, sequentialMeans, sequentialRates, SMALL_COUNT, TUNED_AT_UNITS } from "./sequential.ts";
export type { SequentialResult } from "./sequential.ts";
export { verdictOf } from "./verdict.ts";
export type { Verdict, VerdictOutcome } from "./verdict.ts";
