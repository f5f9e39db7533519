/** Tests for one look at a number of units fixed in advance. Shown for reference: looked at daily they raise a false alarm in about 40 % of A/A tests. */
import { normalQuantile, normalTail, studentQuantile, studentTwoSided } from "./distributions.ts";
import type { Interval, RateCounts, Sample } from "./samples.ts";
import { difference } from "./samples.ts";

export interface FixedHorizonTest {
  readonly p: number;
  /** Of variant minus control. */
  readonly interval: Interval;
}

/** Welch's t test (Welch 1947) with Satterthwaite's degrees of freedom. null: fewer than two units in an arm, or nothing varies. */
export function welch(control: Sample, variant: Sample, alpha: number): FixedHorizonTest | null {
  if (control.units < 2 || variant.units < 2) return null;
  const { estimate, variance } = difference(control, variant);
  if (!(variance > 0)) return null;
  const degrees =
    (variance * variance) / ((control.variance / control.units) ** 2 / (control.units - 1) + (variant.variance / variant.units) ** 2 / (variant.units - 1));
  const error = Math.sqrt(variance);
  const reach = studentQuantile(alpha, degrees) * error;
  return { p: studentTwoSided(estimate / error, degrees), interval: { low: estimate - reach, high: estimate + reach } };
}

/** The z test of two proportions: pooled variance for p, unpooled for the interval. null: no units, or nothing varies. */
export function twoProportions(control: RateCounts, variant: RateCounts, alpha: number): FixedHorizonTest | null {
  if (control.units === 0 || variant.units === 0) return null;
  const [a, b] = [control.conversions / control.units, variant.conversions / variant.units];
  const pooled = (control.conversions + variant.conversions) / (control.units + variant.units);
  const pooledVariance = pooled * (1 - pooled) * (1 / control.units + 1 / variant.units);
  if (!(pooledVariance > 0)) return null;
  const reach = normalQuantile(alpha / 2) * Math.sqrt((a * (1 - a)) / control.units + (b * (1 - b)) / variant.units);
  return { p: 2 * normalTail(Math.abs(b - a) / Math.sqrt(pooledVariance)), interval: { low: b - a - reach, high: b - a + reach } };
}
