/** What is remembered of a run between two looks: the mismatch's smallest p, whether a guardrail has stopped it, and how the counts grew. */
import { z } from "zod";
import type { Store } from "../../store/store.ts";
import { KEPT_MS } from "../count/batch.ts";
import { type Run, runName } from "../count/run.ts";
import type { ArmFigures } from "./run-counts.ts";

const Arm = z.strictObject({
  units: z.number(),
  errors: z.number(),
  /** Of each goal: units that reached it, sum, sum of squares; with a pre-period also of the past: sum, sum of squares, sum of products. */
  goals: z.array(z.union([z.tuple([z.number(), z.number(), z.number()]), z.tuple([z.number(), z.number(), z.number(), z.number(), z.number(), z.number()])])),
});
const Point = z.strictObject({ atUnixMs: z.number(), arms: z.array(Arm) });
const Memory = z.strictObject({
  mismatchP: z.number(),
  /** Null: no guardrail has stopped it. */
  stopped: z.strictObject({ atUnixMs: z.number(), reason: z.string() }).nullable(),
  everyMs: z.number(),
  points: z.array(Point),
});

export type StudyMemory = z.infer<typeof Memory>;
export type StudyPoint = z.infer<typeof Point>;
type GoalPoint = StudyPoint["arms"][number]["goals"][number];

/** When there are more, every other one goes, and the next come half as often: a day shows seconds at first, two months show hours. */
const MOST_POINTS = 240;
const FIRST_EVERY_MS = 2_000;
const NOTHING: StudyMemory = { mismatchP: 1, stopped: null, everyMs: FIRST_EVERY_MS, points: [] };

const memoryKey = (run: Run): string => `experiments:{${runName(run)}}:study`;

export async function readMemory(store: Store, run: Run): Promise<StudyMemory> {
  const bytes = await store.get(memoryKey(run));
  if (bytes === null) return NOTHING;
  try {
    return Memory.safeParse(JSON.parse(bytes.toString("utf8"))).data ?? NOTHING;
  } catch {
    // Of another version, or damaged: what it held is looked at anew.
    return NOTHING;
  }
}

export async function writeMemory(store: Store, run: Run, memory: StudyMemory): Promise<void> {
  await store.set(memoryKey(run), JSON.stringify(memory), { ttlMs: KEPT_MS, durable: true });
}

/** With a point for now, when its time has come and something was counted since the last. */
export function grown(memory: StudyMemory, arms: readonly ArmFigures[], atUnixMs: number): StudyMemory {
  const last = memory.points.at(-1);
  const point = pointOf(arms, atUnixMs);
  if (last === undefined ? point.arms.every(({ units }) => units === 0) : atUnixMs - last.atUnixMs < memory.everyMs || sameCounts(last, point)) return memory;
  const points = [...memory.points, point];
  if (points.length <= MOST_POINTS) return { ...memory, points };
  return { ...memory, everyMs: memory.everyMs * 2, points: points.filter((_, i) => i % 2 === 0) };
}

export function pointOf(arms: readonly ArmFigures[], atUnixMs: number): StudyPoint {
  return {
    atUnixMs,
    arms: arms.map(({ units, unitsWithErrors, reached, goals }) => ({
      units,
      errors: unitsWithErrors,
      goals: goals.map((goal, i): GoalPoint => {
        if (goal.kind === "conversion") return [reached[i]!, 0, 0];
        const { sum, sumOfSquares, past } = goal;
        return past === null ? [reached[i]!, sum, sumOfSquares] : [reached[i]!, sum, sumOfSquares, past.sumX, past.sumXX, past.sumXY];
      }),
    })),
  };
}

function sameCounts(a: StudyPoint, b: StudyPoint): boolean {
  return JSON.stringify(a.arms) === JSON.stringify(b.arms);
}
