/**
 * Boundaries that a random walk crosses with probability alpha at most, ever, however often one looks: the mixtures of Howard, Ramdas, McAuliffe
 * and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49(2), 2021 (arXiv:1810.08240).
 * `v` is intrinsic time (variance seen so far), `s` the walk's distance from what the null expects.
 */
import { logNormalBelow } from "./distributions.ts";
import { logBeta } from "./gamma.ts";
import type { Interval } from "./samples.ts";

/** The ρ that makes the two-sided normal mixture narrowest at v: Howard et al. section 3.5, with Lambert's W₋₁ by its leading terms. */
export function bestRho(v: number, alpha: number): number {
  const twice = -2 * Math.log(alpha);
  return v / (twice + Math.log1p(twice));
}

/** Two-sided: |s| stays below this for all v (Howard et al. equation 14, after Robbins 1970). */
export function normalMixtureBound(v: number, alpha: number, rho: number): number {
  return Math.sqrt((v + rho) * (Math.log1p(v / rho) - 2 * Math.log(alpha)));
}

/** The logarithm of the mixture martingale itself: its inverse is an always-valid p. */
export function normalLogMixture(s: number, v: number, rho: number): number {
  return (s * s) / (2 * (v + rho)) - Math.log1p(v / rho) / 2;
}

/** One-sided (half a normal as the mixture: Howard et al. proposition 6). Its best ρ is the two-sided one at 2 alpha. */
export function oneSidedLogMixture(s: number, v: number, rho: number): number {
  return Math.log((4 * rho) / (v + rho)) / 2 + (s * s) / (2 * (v + rho)) + logNormalBelow(s / Math.sqrt(v + rho));
}

export function oneSidedMixtureBound(v: number, alpha: number, rho: number): number {
  const threshold = -Math.log(alpha);
  // A half normal has twice the density, so the two-sided bound at 2 alpha lies close below; the two-sided one at alpha above.
  return crossing((s) => oneSidedLogMixture(s, v, rho) - threshold, 0, normalMixtureBound(v, alpha, rho) + Math.sqrt(v + rho));
}

/**
 * The logarithm of a likelihood ratio: Bernoulli trials with rate mixed over a beta distribution around p, against rate p. A martingale when p is
 * true, exact for any number of trials (Howard et al. proposition 7). `tOpt`: the trials at which the interval is to be narrowest.
 */
export function betaBinomialLogMixture(successes: number, trials: number, p: number, tOpt: number, alphaOpt: number): number {
  const unit = p * (1 - p);
  const r = Math.max(bestRho(tOpt * unit, alphaOpt) - unit, 1e-3 * unit);
  const [a, b] = [r / (1 - p), r / p];
  const failures = trials - successes;
  return (
    logBeta(a + successes, b + failures) - logBeta(a, b) - (successes === 0 ? 0 : successes * Math.log(p)) - (failures === 0 ? 0 : failures * Math.log1p(-p))
  );
}

/** A confidence sequence for a rate, exact for small counts: all p that the mixture has not refuted. `alphaOpt` tunes only, it does not cover. */
export function bernoulliInterval(successes: number, trials: number, alpha: number, tOpt: number, alphaOpt = 0.05): Interval {
  if (trials === 0) return { low: 0, high: 1 };
  const threshold = -Math.log(alpha);
  const excess = (p: number) => betaBinomialLogMixture(successes, trials, p, tOpt, alphaOpt) - threshold;
  const observed = successes / trials;
  // The ends of the search: nearer to 0 and 1 logarithms lose their digits, and no report shows a difference.
  const [least, most] = [1e-9, 1 - 1e-9];
  const low = observed <= least || excess(least) < 0 ? 0 : crossing((p) => -excess(p), least, Math.min(observed, most));
  const high = observed >= most || excess(most) < 0 ? 1 : crossing(excess, Math.max(observed, least), most);
  return { low, high };
}

/** Where a function that rises through zero between the ends does so. */
function crossing(f: (x: number) => number, from: number, to: number): number {
  let [low, high] = [from, to];
  for (let i = 0; i < 100 && high - low > 1e-13 * Math.max(1, Math.abs(high)); i++) {
    const middle = (low + high) / 2;
    if (f(middle) < 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
