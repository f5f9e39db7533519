/** What the store has counted of one run, as the statistics want it. */
import type { Store } from "../../store/store.ts";
import { latencyHistogram } from "../count/latency-sketch.ts";
import { countsKey, type Run, runName } from "../count/run.ts";
import { READ_COUNTS } from "../count/scripts/scripts.ts";
import type { Experiment } from "../../../sdk/experiment.ts";
import type { ArmCounts, ExperimentCounts, GoalCounts } from "../statistics/statistics.ts";

/** Of a definition, what its study needs. */
export type Studied = Pick<Experiment, "key" | "bucketVersion" | "variants" | "traffic" | "goals" | "guardrails" | "alpha">;

/** What stands beside the counts: how far they are to be trusted. */
export interface Quality {
  /** Dropped before they reached the store, or because it was full. Goal counts are exact, or short by this. */
  readonly lost: { readonly exposures: number; readonly goals: number; readonly errors: number };
  /** Exposures of units that were not taken in because the bound of units was reached. */
  readonly full: number;
  /** Units that saw a second variant, and stay with their first. */
  readonly crossed: number;
  /** Goals after their window. */
  readonly late: number;
  /** Goals that were reached already, and events that were told twice. */
  readonly repeated: number;
  /** Null: no goal has a pre-period. */
  readonly prePeriod: {
    /** Units that did something and were not exposed so far. */
    readonly remembered: number;
    /** Goals of further ones, above the bound of units or of the store's memory. Whoever is exposed afterwards has that much less of a past. */
    readonly lost: number;
  } | null;
}

export interface ArmFigures extends ArmCounts {
  /** Beside `goals`: units that reached it, for value goals too. */
  readonly reached: readonly number[];
}

export interface RunCounts {
  /** In the order of the variants. */
  readonly arms: readonly ArmFigures[];
  readonly quality: Quality;
}

export const runOf = ({ key, bucketVersion }: Pick<Studied, "key" | "bucketVersion">): Run => ({ experiment: key, bucketVersion });

export async function readCounts(store: Store, studied: Studied): Promise<RunCounts> {
  const reply = await store.run(READ_COUNTS, [countsKey(runName(runOf(studied)))], []);
  const counts = new Map<string, number>();
  for (let i = 0; i + 1 < reply.length; i += 2) counts.set(String(reply[i]), Number(reply[i + 1]));
  const count = (name: string): number => counts.get(name) ?? 0;
  return {
    arms: studied.variants.map(({ key }, variant) => armOf(studied, key, variant, counts)),
    quality: {
      lost: { exposures: count("lost:exposures"), goals: count("lost:goals"), errors: count("lost:errors") },
      full: count("full"),
      crossed: count("crossed"),
      late: count("late"),
      repeated: count("repeated"),
      prePeriod: studied.goals.some(({ prePeriodMs }) => prePeriodMs !== undefined) ? { remembered: count("waiting"), lost: count("lost:past") } : null,
    },
  };
}

function armOf({ goals }: Studied, key: string, variant: number, counts: ReadonlyMap<string, number>): ArmFigures {
  const count = (name: string): number => counts.get(name) ?? 0;
  const stem = `latency:${variant}:`;
  const latency = new Map<number, number>();
  for (const [name, value] of counts) if (value > 0 && name.startsWith(stem)) latency.set(Number(name.slice(stem.length)), value);
  return {
    variant: key,
    units: count(`units:${variant}`),
    unitsWithErrors: count(`errors:${variant}`),
    latency: latencyHistogram(latency),
    reached: goals.map(({ name }) => count(`goal:${variant}:${name}`)),
    goals: goals.map(({ name, kind, prePeriodMs }): GoalCounts => {
      const of = (what: string): number => count(`${what}:${variant}:${name}`);
      if (kind === "conversion") return { kind, conversions: of("goal") };
      return {
        kind,
        sum: of("sum"),
        sumOfSquares: of("squares"),
        past: prePeriodMs === undefined ? null : { sumX: of("x"), sumXX: of("xx"), sumXY: of("xy") },
      };
    }),
  };
}

export function experimentCounts(studied: Studied, { arms }: RunCounts, earlierMismatchP: number): ExperimentCounts {
  const { key, variants, goals, guardrails, alpha } = studied;
  return { experiment: key, arms, weights: variants.map(({ weight }) => weight), goals, guardrails, alpha, earlierMismatchP };
}
