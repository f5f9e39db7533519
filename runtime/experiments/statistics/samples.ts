/** What is known of one variant's units on one goal: sums only, so that counting needs no more memory than a few numbers. */

/** Conversions: units that reached the goal, each once. */
export interface RateCounts {
  readonly units: number;
  readonly conversions: number;
}

/** A numeric goal: the sum over all units, zeros of those who did nothing included. */
export interface ValueSums {
  readonly units: number;
  readonly sum: number;
  readonly sumOfSquares: number;
}

export interface Sample {
  readonly units: number;
  readonly mean: number;
  /** Of one unit, unbiased; 0 below two units. */
  readonly variance: number;
}

export function sampleOfRate({ units, conversions }: RateCounts): Sample {
  return sampleOfSums({ units, sum: conversions, sumOfSquares: conversions });
}

export function sampleOfSums({ units, sum, sumOfSquares }: ValueSums): Sample {
  if (units === 0) return { units: 0, mean: 0, variance: 0 };
  const mean = sum / units;
  // Rounding may leave a little below zero where all values are equal.
  const variance = units < 2 ? 0 : Math.max(0, (sumOfSquares - sum * mean) / (units - 1));
  return { units, mean, variance };
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Variant minus control, and the variance of that estimate. */
export interface Difference {
  readonly units: number;
  readonly estimate: number;
  readonly variance: number;
}

export function difference(control: Sample, variant: Sample): Difference {
  return {
    units: control.units + variant.units,
    estimate: variant.mean - control.mean,
    variance: control.variance / control.units + variant.variance / variant.units,
  };
}

/** The same relative to control's mean, by the delta method; null when control has none to relate to. */
export function relativeDifference(control: Sample, variant: Sample): Difference | null {
  const square = control.mean * control.mean;
  if (!(control.units > 0 && variant.units > 0 && square > 0)) return null;
  const ratio = variant.mean / control.mean;
  return {
    units: control.units + variant.units,
    estimate: (variant.mean - control.mean) / Math.abs(control.mean),
    variance: (variant.variance / variant.units + (control.variance / control.units) * ratio * ratio) / square,
  };
}
