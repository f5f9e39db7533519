/** Did the variants get the units that the weights promise them? If not, something loses units of one variant, and no other number means anything. */
import { chiSquareTail } from "./distributions.ts";
import { logRising } from "./gamma.ts";

/** Below this the split is called broken. It is asked of every experiment at every look, so it must not cry wolf. */
export const MISMATCH_ALPHA = 0.001;

/** How firmly the alternative expects the split to be nearly right: a mismatch worth finding is small. */
const PRIOR_WEIGHT = 10_000;

/** Pearson's test, for one look. `shares` need not add up to 1. */
export function chiSquareSplit(counts: readonly number[], shares: readonly number[]): number {
  const [units, whole] = [total(counts), total(shares)];
  if (units === 0 || counts.length < 2) return 1;
  let statistic = 0;
  for (let i = 0; i < counts.length; i++) {
    const expected = (units * shares[i]!) / whole;
    statistic += (counts[i]! - expected) ** 2 / expected;
  }
  return chiSquareTail(statistic, counts.length - 1);
}

/**
 * The logarithm of the Bayes factor of "some other split", drawn from a Dirichlet distribution around the promised one, against the promised one:
 * Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022 (arXiv:2011.03567), equation 6. It depends on the counts
 * alone, not on the order of arrival, and is a martingale when the split is right.
 */
export function splitLogBayesFactor(counts: readonly number[], shares: readonly number[], priorWeight = PRIOR_WEIGHT): number {
  const whole = total(shares);
  let factor = -logRising(priorWeight, total(counts));
  for (let i = 0; i < counts.length; i++) {
    const share = shares[i]! / whole;
    factor += logRising(priorWeight * share, counts[i]!) - (counts[i] === 0 ? 0 : counts[i]! * Math.log(share));
  }
  return factor;
}

/** The always-valid p after this look, given the one after the look before (1 at first): what was once refuted stays refuted. */
export function sequentialSplit(earlierP: number, counts: readonly number[], shares: readonly number[], priorWeight = PRIOR_WEIGHT): number {
  return Math.min(1, earlierP, Math.exp(-splitLogBayesFactor(counts, shares, priorWeight)));
}

function total(numbers: readonly number[]): number {
  let sum = 0;
  for (const number of numbers) sum += number;
  return sum;
}
