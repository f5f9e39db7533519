/** What the cache of one worker counts. Plain numbers; the observe room shows them as metrics. */

/** The same words in Cache-Status, logs and metrics. */
export const OUTCOMES = ["hit", "stale", "miss", "revalidated", "collapsed", "bypass", "uncacheable", "stale-on-error"] as const;
export type CacheOutcome = (typeof OUTCOMES)[number];

export interface CacheCounts {
  readonly requests: Record<CacheOutcome, number>;
  /** Requests sent to origins to fill or refresh. */
  fetches: number;
  stored: number;
  /** Fills that broke off or grew too large. */
  torn: number;
  tooLarge: number;
  /** Answers kept out because a rule read something personal. */
  personal: number;
  /** Leaders that took too long. */
  replacedLeaders: number;
  sharedHits: number;
  sharedMisses: number;
  sharedWrites: number;
  /** Entries of the store with a wrong signature, or damaged. */
  sharedForged: number;
  sharedFailures: number;
  purges: number;
}

export function newCounts(): CacheCounts {
  return {
    requests: Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<CacheOutcome, number>,
    fetches: 0,
    stored: 0,
    torn: 0,
    tooLarge: 0,
    personal: 0,
    replacedLeaders: 0,
    sharedHits: 0,
    sharedMisses: 0,
    sharedWrites: 0,
    sharedForged: 0,
    sharedFailures: 0,
    purges: 0,
  };
}

type Series = readonly (readonly [labels: readonly string[], value: number])[];

/** As the observe room's counters of the same names (`observe/families.ts`). */
export function cacheSeries(counts: CacheCounts, evictions: number): Readonly<Record<string, Series>> {
  const events = {
    fetch: counts.fetches,
    stored: counts.stored,
    evicted: evictions,
    torn: counts.torn,
    "too-large": counts.tooLarge,
    personal: counts.personal,
    "replaced-leader": counts.replacedLeaders,
    purge: counts.purges,
  };
  const shared = {
    hit: counts.sharedHits,
    miss: counts.sharedMisses,
    write: counts.sharedWrites,
    forged: counts.sharedForged,
    failure: counts.sharedFailures,
  };
  return {
    sluice_cache_requests_total: seriesOf(counts.requests),
    sluice_cache_events_total: seriesOf(events),
    sluice_cache_shared_total: seriesOf(shared),
  };
}

function seriesOf(counts: Readonly<Record<string, number>>): Series {
  return Object.entries(counts).map(([label, value]) => [[label], value] as const);
}
