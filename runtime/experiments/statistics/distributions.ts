/** Tails and quantiles of the normal, Student's and chi-square distributions. Tails are computed as such, never as 1 − p: they do not underflow. */
import { incompleteBeta, logGammaQ } from "./gamma.ts";

/** P(Z > z), to full relative precision: erfc(z/√2)/2 = Q(½, z²/2)/2 (DLMF 7.11.2). */
export function normalTail(z: number): number {
  const half = Math.exp(logGammaQ(0.5, (z * z) / 2)) / 2;
  return z >= 0 ? half : 1 - half;
}

/** log Φ(z), also where Φ(z) is below the smallest double. */
export function logNormalBelow(z: number): number {
  return z < 0 ? logGammaQ(0.5, (z * z) / 2) - Math.LN2 : Math.log1p(-normalTail(z));
}

/** The z with P(Z > z) = tail. */
export function normalQuantile(tail: number): number {
  if (tail > 0.5) return -normalQuantile(1 - tail);
  if (tail === 0.5) return 0;
  // Abramowitz and Stegun 26.2.23 to begin with (4.5e-4), then Halley's steps.
  const t = Math.sqrt(-2 * Math.log(tail));
  let z = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (let i = 0; i < 4; i++) {
    const step = (normalTail(z) / tail - 1) * tail * Math.sqrt(2 * Math.PI) * Math.exp((z * z) / 2);
    z += step / (1 + (z * step) / 2);
  }
  return z;
}

/** P(|T| > |t|) with any positive number of degrees of freedom (Abramowitz and Stegun 26.7.1). */
export function studentTwoSided(t: number, degrees: number): number {
  const square = t * t;
  return incompleteBeta(degrees / 2, 0.5, degrees / (degrees + square));
}

/** The t with P(|T| > t) = p. */
export function studentQuantile(p: number, degrees: number): number {
  let low = 0;
  let high = 1;
  while (studentTwoSided(high, degrees) > p && high < 1e100) high *= 2;
  for (let i = 0; i < 200 && high - low > high * 1e-15; i++) {
    const middle = (low + high) / 2;
    if (studentTwoSided(middle, degrees) > p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** P(χ² > statistic). */
export function chiSquareTail(statistic: number, degrees: number): number {
  return Math.exp(logGammaQ(degrees / 2, statistic / 2));
}
