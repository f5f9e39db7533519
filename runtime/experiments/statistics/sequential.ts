/** Confidence sequences for variant minus control: valid at every look and whenever one chooses to stop. */
import type { Difference, Interval, RateCounts, Sample } from "./samples.ts";
import { difference, relativeDifference, sampleOfRate } from "./samples.ts";
import { bernoulliInterval, bestRho, normalLogMixture, normalMixtureBound, oneSidedMixtureBound } from "./mixtures.ts";

/** Units of both arms at which the intervals are narrowest. Far from it they are wider, never wrong. */
export const TUNED_AT_UNITS = 5000;

/** Fewer conversions, or fewer units without one, in an arm: the normal law is not to be trusted in its tail, exact bounds are used. */
export const SMALL_COUNT = 25;

export interface SequentialResult {
  /** `exact`: beta-binomial bounds of each arm, put together. `asymptotic`: the normal mixture over the estimated variance. */
  readonly method: "exact" | "asymptotic";
  readonly interval: Interval;
  /** Relative to control; null when control has nothing to relate to. */
  readonly relative: Interval | null;
  /** Always-valid p of "no difference"; null where only bounds are known. */
  readonly p: number | null;
}

/** For numeric goals, and for rates with large counts. null: fewer than two units in an arm, or nothing varies. */
export function sequentialMeans(control: Sample, variant: Sample, alpha: number): SequentialResult | null {
  if (control.units < 2 || variant.units < 2) return null;
  const absolute = difference(control, variant);
  if (!(absolute.variance > 0)) return null;
  const relative = relativeDifference(control, variant);
  const rho = bestRho(TUNED_AT_UNITS, alpha);
  return {
    method: "asymptotic",
    interval: around(absolute, alpha),
    relative: relative === null ? null : around(relative, alpha),
    p: Math.min(1, Math.exp(-normalLogMixture((absolute.estimate / Math.sqrt(absolute.variance)) * Math.sqrt(absolute.units), absolute.units, rho))),
  };
}

/** For conversion rates of any size. null: an arm without units. */
export function sequentialRates(control: RateCounts, variant: RateCounts, alpha: number): SequentialResult | null {
  if (control.units === 0 || variant.units === 0) return null;
  if (!isSmall(control) && !isSmall(variant)) return sequentialMeans(sampleOfRate(control), sampleOfRate(variant), alpha);
  // Each arm's rate leaves its bounds with alpha/2 at most, so both stay within them but for alpha.
  const tOpt = TUNED_AT_UNITS / 2;
  const [a, b] = [control, variant].map(({ conversions, units }) => bernoulliInterval(conversions, units, alpha / 2, tOpt)) as [Interval, Interval];
  return {
    method: "exact",
    interval: { low: b.low - a.high, high: b.high - a.low },
    relative: a.low > 0 ? { low: b.low / a.high - 1, high: b.high / a.low - 1 } : null,
    p: null,
  };
}

/** How far the difference is at least (or at most), each side by itself with error alpha: what guardrails ask. */
export function oneSidedRates(control: RateCounts, variant: RateCounts, alpha: number, tunedAtUnits: number): Interval | null {
  if (control.units === 0 || variant.units === 0) return null;
  if (isSmall(control) || isSmall(variant)) {
    // Two bounds at alpha/2, one of each arm. Each is one side of a two-sided sequence at alpha/2, which covers more than is needed.
    const [a, b] = [control, variant].map(({ conversions, units }) => bernoulliInterval(conversions, units, alpha / 2, tunedAtUnits / 2)) as [
      Interval,
      Interval,
    ];
    return { low: b.low - a.high, high: b.high - a.low };
  }
  const { units, estimate, variance } = difference(sampleOfRate(control), sampleOfRate(variant));
  const reach = oneSidedMixtureBound(units, alpha, bestRho(tunedAtUnits, 2 * alpha)) * Math.sqrt(variance / units);
  return { low: estimate - reach, high: estimate + reach };
}

/**
 * The asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic
 * confidence sequences", Annals of Statistics 52(6), 2024, arXiv:2103.06476): the boundary for unit variance, one step of time a unit, times the
 * estimated deviation of a unit.
 */
function around({ units, estimate, variance }: Difference, alpha: number): Interval {
  const reach = normalMixtureBound(units, alpha, bestRho(TUNED_AT_UNITS, alpha)) * Math.sqrt(variance / units);
  return { low: estimate - reach, high: estimate + reach };
}

function isSmall({ units, conversions }: RateCounts): boolean {
  return Math.min(conversions, units - conversions) < SMALL_COUNT;
}
