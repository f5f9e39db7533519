/**
 * Guardrails: what must not get worse, whatever the goals say. `fail`: it is worse by more than was allowed, stop. `pass`: it is not. `hold`: not
 * known yet, and not knowing is no reason to ship. Sequential, so that they may be asked every second.
 */
import { betaBinomialLogMixture } from "./mixtures.ts";
import type { Interval, RateCounts } from "./samples.ts";
import { oneSidedRates } from "./sequential.ts";

export type GuardrailOutcome = "fail" | "pass" | "hold";

export interface GuardrailResult {
  readonly outcome: GuardrailOutcome;
  /** `no-data`: an arm has nothing to compare. `inconclusive`: the bounds hold the limit between them. */
  readonly because: "worse" | "within" | "inconclusive" | "no-data";
  /** Of the increase; the units are those of the limit. null: unknown. */
  readonly increase: Interval | null;
}

/** A broken variant shows within hundreds of units; later the bounds are somewhat wider than they could be. */
const TUNED_AT_UNITS = 500;

/**
 * Errors: units that met at least one error that was not of the client's making, each counted once, or a single visitor could stop the test.
 * `maxIncrease` is a difference of shares: 0.01 allows 1 % of the units more than in control.
 */
export function errorGuardrail(control: RateCounts, variant: RateCounts, maxIncrease: number, alpha: number): GuardrailResult {
  return judged(oneSidedRates(control, variant, alpha, TUNED_AT_UNITS), maxIncrease);
}

/** Latencies by bucket: `counts[i]` lie above `boundsMs[i - 1]` and up to `boundsMs[i]`; the last count is what lies above all bounds. */
export interface LatencyHistogram {
  readonly boundsMs: readonly number[];
  readonly counts: readonly number[];
}

/**
 * A quantile of latency: `maxIncrease` is relative (0.2 allows 20 % more). Distribution-free, each arm's quantile between two order statistics: Howard
 * and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm identification", Bernoulli 28(3), 2022
 * (arXiv:1906.09712). Latencies of one unit resemble each other: count one of each unit, or the bounds are too narrow.
 */
export function latencyGuardrail(control: LatencyHistogram, variant: LatencyHistogram, quantile: number, maxIncrease: number, alpha: number): GuardrailResult {
  const [a, b] = [quantileInterval(control, quantile, alpha / 2), quantileInterval(variant, quantile, alpha / 2)];
  if (a === null || b === null) return { outcome: "hold", because: "no-data", increase: null };
  return judged({ low: b.low / a.high - 1, high: a.low > 0 ? b.high / a.low - 1 : Number.POSITIVE_INFINITY }, maxIncrease);
}

/** Bounds for a quantile that hold at every look; infinite where there is too little data. null: no data. */
export function quantileInterval({ boundsMs, counts }: LatencyHistogram, quantile: number, alpha: number): Interval | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  // How many observations may lie at or below the true quantile without refuting it: a Bernoulli(quantile) walk.
  const threshold = -Math.log(alpha);
  const tOpt = TUNED_AT_UNITS / (2 * quantile * (1 - quantile));
  const refuted = (below: number) => betaBinomialLogMixture(below, total, quantile, tOpt, 0.05) >= threshold;
  const expected = Math.round(total * quantile);
  const fewest = lastKept(expected, 0, refuted);
  const most = lastKept(expected, total, refuted);
  // Within a bucket nothing is known, so the low bound takes its lower edge and the high one its upper.
  let [seen, low, high] = [0, 0, Number.POSITIVE_INFINITY];
  for (let i = 0; i < counts.length; i++) {
    const before = seen;
    seen += counts[i]!;
    if (before < fewest && seen >= fewest) low = i === 0 ? 0 : boundsMs[i - 1]!;
    if (before <= most && seen > most) high = boundsMs[i] ?? Number.POSITIVE_INFINITY;
  }
  return { low, high };
}

/** The count farthest from `from` towards `to` that is not refuted; refutation only grows with the distance. */
function lastKept(from: number, to: number, refuted: (count: number) => boolean): number {
  if (!refuted(to)) return to;
  let [kept, gone] = [from, to];
  while (Math.abs(gone - kept) > 1) {
    const middle = Math.trunc((kept + gone) / 2);
    if (refuted(middle)) gone = middle;
    else kept = middle;
  }
  return kept;
}

function judged(increase: Interval | null, maxIncrease: number): GuardrailResult {
  if (increase === null) return { outcome: "hold", because: "no-data", increase };
  if (increase.low > maxIncrease) return { outcome: "fail", because: "worse", increase };
  if (increase.high <= maxIncrease) return { outcome: "pass", because: "within", increase };
  return { outcome: "hold", because: "inconclusive", increase };
}
