/** Everything that is known of an experiment, for people and machines: counts, analysis, verdict, how both grew, and how far to trust them. */
import type { Store } from "../../store/store.ts";
import { latencyQuantile } from "../count/latency-sketch.ts";
import type { LiveEntry } from "../live/live.ts";
import {
  type Analysis,
  analyse,
  cuped,
  relativeDifference,
  type Sample,
  sampleOfRate,
  sampleOfSums,
  sequentialMeans,
  sequentialRates,
  type Verdict,
  verdictOf,
} from "../statistics/statistics.ts";
import { pointOf, readMemory, type StudyMemory, type StudyPoint } from "./memory.ts";
import { type ArmFigures, experimentCounts, type Quality, readCounts, type RunCounts, runOf, type Studied } from "./run-counts.ts";
import { readStory, type StoryLine } from "./story.ts";

export interface ReportArm {
  readonly variant: string;
  readonly weight: number;
  readonly units: number;
  readonly unitsWithErrors: number;
  /** Time to the first byte of the units' first responses; null: none was counted. */
  readonly latencyMs: { readonly p50: number; readonly p90: number; readonly p95: number; readonly p99: number } | null;
  /** In the order of `goals`. A value goal has the mean of all units, also of those who did nothing. */
  readonly goals: readonly { readonly units: number; readonly share: number; readonly sum: number | null; readonly mean: number }[];
}

/** One moment: units of each arm, and of each variant but control what was known of the first goal's change. Null: nothing yet. */
export interface ReportMoment {
  readonly atUnixMs: number;
  readonly units: readonly number[];
  readonly change: readonly ({ readonly lift: number | null; readonly low: number | null; readonly high: number | null } | null)[];
}

export interface Report {
  readonly experiment: string;
  readonly version: number;
  readonly live: LiveEntry;
  readonly traffic: number;
  readonly confidence: number;
  readonly goals: readonly {
    readonly name: string;
    readonly kind: "conversion" | "value";
    readonly better: "higher" | "lower";
    readonly windowMs: number;
    readonly prePeriodMs: number | null;
  }[];
  readonly limits: Studied["guardrails"];
  readonly arms: readonly ReportArm[];
  readonly verdict: Verdict;
  readonly analysis: Analysis;
  readonly quality: Quality;
  readonly history: readonly ReportMoment[];
  readonly story: readonly StoryLine[];
}

export async function report(store: Store, studied: Studied, live: LiveEntry, nowUnixMs: number): Promise<Report> {
  const [counts, memory, story] = await Promise.all([readCounts(store, studied), readMemory(store, runOf(studied)), readStory(store, studied.key)]);
  return reportOf(studied, live, counts, memory, story, nowUnixMs);
}

function reportOf(studied: Studied, live: LiveEntry, counts: RunCounts, memory: StudyMemory, story: readonly StoryLine[], nowUnixMs: number): Report {
  const analysis = analyse(experimentCounts(studied, counts, memory.mismatchP));
  const now = pointOf(counts.arms, nowUnixMs);
  const points = counts.arms.some(({ units }) => units > 0) ? [...memory.points, now] : memory.points;
  return {
    experiment: studied.key,
    version: studied.bucketVersion,
    live,
    traffic: studied.traffic,
    confidence: 1 - studied.alpha,
    goals: studied.goals.map(({ name, kind, better, windowMs, prePeriodMs = null }) => ({ name, kind, better, windowMs, prePeriodMs })),
    limits: studied.guardrails,
    arms: counts.arms.map((arm, i) => reportArm(arm, studied.variants[i]!.weight)),
    verdict: verdictOf(analysis),
    analysis,
    quality: counts.quality,
    history: points.map((point) => momentOf(studied, point)),
    story,
  };
}

function reportArm({ variant, units, unitsWithErrors, latency, goals, reached }: ArmFigures, weight: number): ReportArm {
  const share = (count: number): number => (units === 0 ? 0 : count / units);
  return {
    variant,
    weight,
    units,
    unitsWithErrors,
    latencyMs:
      latency === null
        ? null
        : {
            p50: latencyQuantile(latency, 0.5)!,
            p90: latencyQuantile(latency, 0.9)!,
            p95: latencyQuantile(latency, 0.95)!,
            p99: latencyQuantile(latency, 0.99)!,
          },
    goals: goals.map((goal, i) => ({
      units: reached[i]!,
      share: share(reached[i]!),
      sum: goal.kind === "value" ? goal.sum : null,
      mean: share(goal.kind === "value" ? goal.sum : reached[i]!),
    })),
  };
}

function momentOf({ goals, variants, alpha }: Studied, { atUnixMs, arms }: StudyPoint): ReportMoment {
  const isRate = goals[0]?.kind === "conversion";
  const shared = alpha / Math.max(1, variants.length - 1);
  const [control, ...others] = arms;
  return {
    atUnixMs,
    units: arms.map(({ units }) => units),
    change: others.map((arm) => {
      if (control === undefined || control.goals[0] === undefined || arm.goals[0] === undefined) return null;
      const [a, b] = samplesAt([control, arm], isRate) as [Sample, Sample];
      const rate = (of: StudyPoint["arms"][number]) => ({ units: of.units, conversions: Math.min(of.units, of.goals[0]![0]) });
      const known = isRate ? sequentialRates(rate(control), rate(arm), shared) : sequentialMeans(a, b, shared);
      if (known === null) return null;
      return { lift: relativeDifference(a, b)?.estimate ?? null, low: known.relative?.low ?? null, high: known.relative?.high ?? null };
    }),
  };
}

/** Of the first goal. */
function samplesAt(arms: StudyPoint["arms"], isRate: boolean): readonly Sample[] {
  const sums = arms.map(({ units, goals: [goal] }) => {
    const [reached, sum, squares, sumX, sumXX, sumXY] = goal!;
    const past = sumX === undefined ? null : { sumX, sumXX: sumXX!, sumXY: sumXY! };
    return { units, reached, sum, squares, past };
  });
  if (isRate) return sums.map(({ units, reached }) => sampleOfRate({ units, conversions: Math.min(units, reached) }));
  const paired = sums.flatMap(({ units, sum, squares, past }) => (past === null ? [] : [{ units, sumY: sum, sumYY: squares, ...past }]));
  // Points of before the goal had a pre-period know no past.
  if (paired.length === sums.length) return cuped(paired).samples;
  return sums.map(({ units, sum, squares }) => sampleOfSums({ units, sum, sumOfSquares: squares }));
}
