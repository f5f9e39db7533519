/** Simulated experiments, looked at again and again. */
import type { RateCounts } from "../../../runtime/experiments/statistics/statistics.ts";
import { difference, MISMATCH_ALPHA, sampleOfRate, sequentialRates, sequentialSplit } from "../../../runtime/experiments/statistics/statistics.ts";
import { binomial, randomOf } from "./simulated.ts";

type Mutable = { -readonly [K in keyof RateCounts]: RateCounts[K] };

export interface Simulated {
  readonly rates: readonly [number, number];
  readonly looks: number;
  readonly unitsPerLook: number;
}

/** One experiment, looked at again and again: the units at which each kind of test first said "different"; Infinity: never. */
export function looked(seed: number, { rates, looks, unitsPerLook }: Simulated): { naive: number; sequential: number; mismatch: number } {
  const random = randomOf(seed);
  const arms: Mutable[] = [
    { units: 0, conversions: 0 },
    { units: 0, conversions: 0 },
  ];
  const first = { naive: Number.POSITIVE_INFINITY, sequential: Number.POSITIVE_INFINITY, mismatch: Number.POSITIVE_INFINITY };
  let p = 1;
  for (let look = 1; look <= looks; look++) {
    const units = binomial(unitsPerLook, 0.5, random);
    for (const [i, arm] of arms.entries()) {
      const own = i === 0 ? units : unitsPerLook - units;
      arm.units += own;
      arm.conversions += binomial(own, rates[i]!, random);
    }
    const at = look * unitsPerLook;
    const { estimate, variance } = difference(sampleOfRate(arms[0]!), sampleOfRate(arms[1]!));
    if (Math.abs(estimate) > 1.959964 * Math.sqrt(variance)) first.naive = Math.min(first.naive, at);
    const interval = sequentialRates(arms[0]!, arms[1]!, 0.05)?.interval;
    if (interval !== undefined && (interval.low > 0 || interval.high < 0)) first.sequential = Math.min(first.sequential, at);
    p = sequentialSplit(
      p,
      arms.map(({ units }) => units),
      [1, 1],
    );
    if (p <= MISMATCH_ALPHA) first.mismatch = Math.min(first.mismatch, at);
  }
  return first;
}
