/** Before the start: how many units, and how many days, until a difference worth having would probably show. */
import { logNormalBelow, normalQuantile, normalTail } from "./distributions.ts";
import { sharedAlpha } from "./correction.ts";
import { bestRho, normalMixtureBound } from "./mixtures.ts";
import { TUNED_AT_UNITS } from "./sequential.ts";

export interface DurationQuestion {
  /** Control's conversion rate. */
  readonly baseline: number;
  /** The smallest relative change worth finding: 0.1 is from 10 % to 11 %. */
  readonly lift: number;
  /** Control first. They need not add up to 1. */
  readonly weights: readonly number[];
  /** The chance to find it. */
  readonly power: number;
  readonly alpha: number;
  /** Units a day that meet the experiment, traffic taken into account; null: not known. */
  readonly unitsPerDay: number | null;
}

export interface DurationAnswer {
  /** Of all arms together. */
  readonly units: number;
  /** What a test with one look at the end would need. */
  readonly fixedHorizonUnits: number;
  readonly days: number | null;
}

/** More is no plan any more. */
const MOST_UNITS = 1e12;

export function duration(question: DurationQuestion): DurationAnswer {
  const { baseline, lift, power, unitsPerDay, weights } = question;
  const alpha = sharedAlpha(question.alpha, weights.length - 1);
  const changed = baseline * (1 + lift);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const [control, ...others] = weights.map((weight) => weight / whole) as [number, ...number[]];
  // The smallest arm is the last to be compared well enough.
  const smallest = Math.min(...others);
  const pair = control + smallest;
  /** Of the difference, times the number of units of both arms. */
  const variance = pair * ((baseline * (1 - baseline)) / control + (changed * (1 - changed)) / smallest);
  const effect = Math.abs(changed - baseline);
  const rho = bestRho(TUNED_AT_UNITS, alpha);
  const drift = effect / Math.sqrt(variance);
  const found = (n: number) => chanceToReach(normalMixtureBound(n, alpha, rho), drift, n) >= power;
  const fixed = variance * ((normalQuantile(alpha / 2) + normalQuantile(1 - power)) / effect) ** 2;
  let high = 2;
  while (!found(high) && high < MOST_UNITS) high *= 2;
  let low = high / 2;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (found(middle)) high = middle;
    else low = middle;
  }
  const units = Math.ceil(high / pair);
  return { units, fixedHorizonUnits: Math.ceil(fixed / pair), days: unitsPerDay === null ? null : Math.ceil(units / unitsPerDay) };
}

/** The smallest relative change that would probably show within so many units; null: not even a rate of 100 % would. */
export function smallestLift(question: Omit<DurationQuestion, "lift" | "unitsPerDay">, units: number): number | null {
  const enough = (lift: number) => duration({ ...question, lift, unitsPerDay: null }).units <= units;
  const most = 1 / question.baseline - 1;
  if (!enough(most)) return null;
  let [low, high] = [0, most];
  for (let i = 0; i < 40 && high - low > high * 1e-4; i++) {
    const middle = (low + high) / 2;
    if (enough(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/**
 * That a Brownian motion with this drift meets a level by time n (Borodin and Salminen, Handbook of Brownian Motion, part II 2.1.1.4). The boundary
 * lies below the level at all times before, so the answer is on the safe side.
 */
function chanceToReach(level: number, drift: number, n: number): number {
  const deviation = Math.sqrt(n);
  return normalTail((level - drift * n) / deviation) + Math.exp(2 * drift * level + logNormalBelow((-level - drift * n) / deviation));
}
