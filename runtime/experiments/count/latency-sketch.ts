/** Latencies as counts of buckets that grow by 5 % each: any quantile is known to within that, and arms add up (as DDSketch, VLDB 12(12), 2019). */
import type { LatencyHistogram } from "../statistics/statistics.ts";

const GROWTH = 1.05;
/** Upper bound of the first bucket. */
const FIRST_MS = 0.1;
/** 0.1 ms to 15 minutes; what is beyond is counted in the last. */
const BUCKETS = 330;

export function latencyBucket(ms: number): number {
  if (!(ms > FIRST_MS)) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log(ms / FIRST_MS) / Math.log(GROWTH)));
}

/** From the buckets that hold something. Null: none does. */
export function latencyHistogram(counts: ReadonlyMap<number, number>): LatencyHistogram | null {
  const last = Math.max(-1, ...counts.keys());
  if (last < 0) return null;
  const boundsMs = Array.from({ length: last + 1 }, (_, bucket) => FIRST_MS * GROWTH ** bucket);
  return { boundsMs, counts: Array.from({ length: last + 2 }, (_, bucket) => counts.get(bucket) ?? 0) };
}

/** The upper edge of the bucket that holds the quantile; null: no data. */
export function latencyQuantile({ boundsMs, counts }: LatencyHistogram, quantile: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let seen = 0;
  for (const [i, count] of counts.entries()) {
    seen += count;
    if (seen >= total * quantile) return boundsMs[i] ?? boundsMs.at(-1)!;
  }
  return boundsMs.at(-1)!;
}
