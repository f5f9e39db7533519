/** Which part of [0, 1) belongs to which variant. Half-open, so that every bucket belongs to one at most. */
export interface Range {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/**
 * Weights (adding up to 1) become neighbouring ranges, each trimmed at its end to `traffic`: a ramp from 5 % to 50 % lengthens every range where
 * it stands and moves nobody from one variant to another (GrowthBook's "coverage", in its order of additions, so that not one bucket differs).
 */
export function rangesOf(weights: readonly number[], traffic: number): readonly Range[] {
  const share = Math.min(1, Math.max(0, traffic));
  let from = 0;
  return weights.map((weight) => {
    const range = { from, to: from + share * weight };
    from += weight;
    return range;
  });
}

/** The index of the range that holds the bucket; -1: none, the unit is outside the traffic. */
export function rangeAt(ranges: readonly Range[], bucket: number): number {
  for (let i = 0; i < ranges.length; i++) {
    const range = ranges[i]!;
    if (bucket >= range.from && bucket < range.to) return i;
  }
  return -1;
}
