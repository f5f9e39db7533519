/** Several comparisons in one experiment: the more one looks for, the more one finds by chance. */

/** The error that each of the intervals may have, so that all of them hold but for alpha (Bonferroni). */
export function sharedAlpha(alpha: number, comparisons: number): number {
  return alpha / Math.max(1, comparisons);
}

/** Holm's step-down (Scandinavian Journal of Statistics 6, 1979): p values to be compared with the whole alpha, in the order given. */
export function holm(pValues: readonly number[]): readonly number[] {
  const order = pValues.map((p, index) => ({ p, index })).sort((a, b) => a.p - b.p);
  const adjusted: number[] = Array.from({ length: pValues.length }, () => 1);
  let largest = 0;
  for (const [rank, { p, index }] of order.entries()) {
    largest = Math.max(largest, Math.min(1, p * (pValues.length - rank)));
    adjusted[index] = largest;
  }
  return adjusted;
}
