/**
 * CUPED: what a unit did before the experiment explains a part of what it does in it, and that part is noise. Deng, Xu, Kohavi and Walker,
 * "Improving the Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment Data", WSDM 2013.
 *
 * The confidence sequences of `sequential.ts` hold for what comes out of it, too: they are asymptotic, and for adjusted differences of randomized arms
 * ask no more than that the estimated θ settles (Waudby-Smith et al. 2024, section 3). What its error adds shrinks as 1/n, the intervals as 1/√n.
 * A/A with θ estimated at each look raises no more false alarms than promised (a test simulates it).
 */
import type { Sample } from "./samples.ts";

/** Sums over the units of one arm: y is the goal, x the same before the first exposure (0 for who was not there). */
export interface PairedSums {
  readonly units: number;
  readonly sumY: number;
  readonly sumYY: number;
  readonly sumX: number;
  readonly sumXX: number;
  readonly sumXY: number;
}

export interface Adjusted {
  readonly samples: readonly Sample[];
  /** The share of variance that the past explains: the experiment needs about this much fewer units. */
  readonly varianceSaved: number;
}

/** In an arm. θ of a few units fits their noise, and leaves nothing of it: from two units on, 5 % of A/A tests alarm at the first look. */
const LEAST_UNITS = 25;

/** Arms with their means moved to where they would be, had all arms had the same past. Their difference stays unbiased. */
export function cuped(arms: readonly PairedSums[]): Adjusted {
  const moments = arms.map(momentsOf);
  const units = arms.reduce((sum, arm) => sum + arm.units, 0);
  // One θ for all arms, from the spread within arms: an effect of the experiment must not leak into it.
  const [xx, xy, yy] = (["xx", "xy", "yy"] as const).map((name) => moments.reduce((sum, moment) => sum + moment[name], 0)) as [number, number, number];
  const explains = xx > 0 && yy > 0 && arms.every((arm) => arm.units >= LEAST_UNITS);
  const theta = explains ? xy / xx : 0;
  const meanX = units > 0 ? arms.reduce((sum, { sumX }) => sum + sumX, 0) / units : 0;
  const samples = arms.map((arm, i) => {
    const { xx: armXX, xy: armXY, yy: armYY } = moments[i]!;
    if (arm.units === 0) return { units: 0, mean: 0, variance: 0 };
    const spread = armYY - 2 * theta * armXY + theta * theta * armXX;
    return {
      units: arm.units,
      mean: arm.sumY / arm.units - theta * (arm.sumX / arm.units - meanX),
      variance: arm.units < 2 ? 0 : Math.max(0, spread / (arm.units - 1)),
    };
  });
  return { samples, varianceSaved: explains ? (xy * xy) / (xx * yy) : 0 };
}

/** Sums of squares around the arm's own means. */
function momentsOf({ units, sumY, sumYY, sumX, sumXX, sumXY }: PairedSums): { xx: number; xy: number; yy: number } {
  if (units === 0) return { xx: 0, xy: 0, yy: 0 };
  return { xx: Math.max(0, sumXX - (sumX * sumX) / units), xy: sumXY - (sumX * sumY) / units, yy: Math.max(0, sumYY - (sumY * sumY) / units) };
}
