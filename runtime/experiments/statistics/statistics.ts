/** The door of the statistics: pure functions of counts. */
export { analyse } from "./analysis.ts";
export type { Analysis, ArmCounts, ExperimentCounts, GoalCounts } from "./analysis.ts";
export { belief, chancesOfBest } from "./bayesian.ts";
export { holm } from "./correction.ts";
export { cuped } from "./cuped.ts";
export { chiSquareTail, logNormalBelow, normalQuantile, normalTail, studentQuantile, studentTwoSided } from "./distributions.ts";
export { duration, smallestLift } from "./duration.ts";
export { twoProportions, welch } from "./fixed-horizon.ts";
export { incompleteBeta, logGamma, logRising } from "./gamma.ts";
export { errorGuardrail, latencyGuardrail, quantileInterval } from "./guardrails.ts";
export type { LatencyHistogram } from "./guardrails.ts";
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
export type { RateCounts, Sample } from "./samples.ts";
export { oneSidedRates, sequentialMeans, sequentialRates } from "./sequential.ts";
export { verdictOf } from "./verdict.ts";
export type { Verdict } from "./verdict.ts";
