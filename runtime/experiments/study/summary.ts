/** An experiment in one line: for a list of all. */
import type { Store } from "../../store/store.ts";
import type { LiveEntry } from "../live/live.ts";
import { analyse, type Verdict, verdictOf } from "../statistics/statistics.ts";
import { readMemory } from "./memory.ts";
import { experimentCounts, readCounts, runOf, type Studied } from "./run-counts.ts";

export interface Summary {
  readonly key: string;
  readonly version: number;
  readonly live: LiveEntry;
  readonly traffic: number;
  readonly arms: readonly { readonly variant: string; readonly weight: number; readonly units: number }[];
  readonly verdict: Verdict;
}

export async function summary(store: Store, studied: Studied, live: LiveEntry): Promise<Summary> {
  const [counts, memory] = await Promise.all([readCounts(store, studied), readMemory(store, runOf(studied))]);
  return {
    key: studied.key,
    version: studied.bucketVersion,
    live,
    traffic: studied.traffic,
    arms: counts.arms.map(({ variant, units }, i) => ({ variant, weight: studied.variants[i]!.weight, units })),
    verdict: verdictOf(analyse(experimentCounts(studied, counts, memory.mismatchP))),
  };
}
