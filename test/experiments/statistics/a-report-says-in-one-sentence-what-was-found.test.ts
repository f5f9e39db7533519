import assert from "node:assert/strict";
import { test } from "node:test";
import type { ArmCounts, ExperimentCounts } from "../../../runtime/experiments/statistics/statistics.ts";
import { analyse, verdictOf } from "../../../runtime/experiments/statistics/statistics.ts";

const BOUNDS_MS = Array.from({ length: 40 }, (_, i) => 10 * (i + 1));

function arm(variant: string, units: number, conversions: number, changes: Partial<ArmCounts> = {}): ArmCounts {
  return { variant, units, goals: [{ kind: "conversion", conversions }], unitsWithErrors: 0, latency: null, ...changes };
}

function counts(arms: readonly ArmCounts[], changes: Partial<ExperimentCounts> = {}): ExperimentCounts {
  return {
    experiment: "hero-copy",
    arms,
    weights: arms.map(() => 1),
    goals: [{ name: "purchase", better: "higher" }],
    guardrails: { errors: null, latency: null },
    alpha: 0.05,
    earlierMismatchP: 1,
    ...changes,
  };
}

/** Latencies around a middle, spread over ten buckets. */
function latencies(middleMs: number, each: number): ArmCounts["latency"] {
  return { boundsMs: BOUNDS_MS, counts: [...BOUNDS_MS.map((bound) => (Math.abs(bound - middleMs) <= 50 ? each : 0)), 0] };
}

test("no units, few units: wait", () => {
  const none = verdictOf(analyse(counts([arm("control", 0, 0), arm("bold", 0, 0)])));
  assert.deepEqual([none.outcome, none.sentence], ["waiting", "No visitor has met this test yet."]);
  const one = verdictOf(analyse(counts([arm("control", 1, 0), arm("bold", 0, 0)])));
  assert.equal(one.outcome, "waiting");
  const few = analyse(counts([arm("control", 40, 4), arm("bold", 42, 9)]));
  assert.equal(few.variants[0]!.goals[0]!.sequential!.method, "exact");
  assert.match(verdictOf(few).sentence, /^No clear difference between bold and control after 82 visitors/);
});

test("a winner: from, to, how much, how much at least", () => {
  const found = analyse(counts([arm("control", 10_000, 1000), arm("bold", 10_000, 1250)]));
  const verdict = verdictOf(found);
  assert.deepEqual([verdict.outcome, verdict.variant], ["winner", "bold"]);
  assert.match(
    verdict.sentence,
    /^bold is better than control: purchase went from 10\.0 % to 12\.5 %, a change of \+25 % \(at least \+9\.4 %\), and you can ship it\.$/,
  );
  const goal = found.variants[0]!.goals[0]!;
  assert.ok(goal.sequential!.p! < 0.05 && goal.fixedHorizon!.p < goal.sequential!.p!);
  assert.ok(goal.belief!.chance > 0.99 && found.chancesOfBest![1]! > 0.99);
});

test("a loser, also where lower is better", () => {
  assert.match(
    verdictOf(analyse(counts([arm("control", 10_000, 1250), arm("bold", 10_000, 1000)]))).sentence,
    /^bold is worse than control: purchase went from 12\.5 % to 10\.0 %, a change of −20 %.*Keep what you have\.$/,
  );
  const goals = [{ name: "bounce", better: "lower" as const }];
  assert.equal(verdictOf(analyse(counts([arm("control", 10_000, 1250), arm("bold", 10_000, 1000)], { goals }))).outcome, "winner");
  assert.equal(verdictOf(analyse(counts([arm("control", 10_000, 1000), arm("bold", 10_000, 1250)], { goals }))).outcome, "loser");
});

test("a mismatch overrules the best result", () => {
  const analysis = analyse(counts([arm("control", 10_600, 1000), arm("bold", 9400, 1400)]));
  assert.equal(analysis.mismatch.found, true);
  assert.match(
    verdictOf(analysis).sentence,
    /^Do not trust this test: control got 53\.0 % of the visitors instead of 50\.0 % and bold got 47\.0 % of the visitors instead of 50\.0 %/,
  );
  const later = analyse(counts([arm("control", 10_600, 1000), arm("bold", 10_600, 1400)], { earlierMismatchP: analysis.mismatch.sequentialP }));
  assert.equal(verdictOf(later).outcome, "mismatch");
});

test("a failed guardrail overrules a winner; one that can't tell yet holds it; no data holds it too", () => {
  const guardrails = { errors: { maxIncrease: 0.01 }, latency: { quantile: 0.95, maxIncrease: 0.2 } };
  const look = (errors: number, latency: ArmCounts["latency"]) =>
    analyse(
      counts([arm("control", 10_000, 1000, { latency: latencies(100, 900) }), arm("bold", 10_000, 1400, { unitsWithErrors: errors, latency })], { guardrails }),
    );
  const good = look(0, latencies(100, 900));
  assert.deepEqual([good.variants[0]!.guardrails.errors!.outcome, good.variants[0]!.guardrails.latency!.outcome], ["pass", "pass"]);
  assert.match(verdictOf(good).sentence, /and you can ship it\.$/);
  const failing = verdictOf(look(500, latencies(100, 900)));
  assert.equal(failing.outcome, "guardrail");
  assert.match(failing.sentence, /^Stop: bold gives at least \d\.\d % more of its visitors an error than control does/);
  const slow = verdictOf(look(0, latencies(250, 900)));
  assert.match(slow.sentence, /^Stop: bold is slower than control by at least \d+ %/);
  const unknown = look(0, null);
  assert.deepEqual(unknown.variants[0]!.guardrails.latency, { outcome: "hold", because: "no-data", increase: null });
  assert.match(verdictOf(unknown).sentence, /but a guardrail has not passed yet/);
  const early = look(0, latencies(100, 1)).variants[0]!.guardrails.latency!;
  assert.deepEqual([early.outcome, early.because], ["hold", "inconclusive"]);
});

test("three variants: each is compared with control under a stricter limit, and the best is named", () => {
  const analysis = analyse(counts([arm("control", 10_000, 1000), arm("bold", 10_000, 1010), arm("loud", 10_000, 1400), arm("shy", 10_000, 800)]));
  assert.deepEqual(
    analysis.variants.map(({ goals }) => goals[0]!.outcome),
    ["open", "better", "worse"],
  );
  assert.equal(verdictOf(analysis).variant, "loud");
  const alone = analyse(counts([arm("control", 10_000, 1000), arm("loud", 10_000, 1400)])).variants[0]!.goals[0]!;
  const among = analysis.variants[1]!.goals[0]!;
  assert.ok(among.sequential!.interval.low < alone.sequential!.interval.low, "wider among several");
  assert.ok(among.correctedP! > alone.correctedP!);
  assert.ok(Math.abs(analysis.chancesOfBest!.reduce((sum, chance) => sum + chance, 0) - 1) < 1e-9);
});

test("a numeric goal is compared by its mean, with the past where there is one", () => {
  const sums = (mean: number, past: boolean): ArmCounts["goals"] => [
    {
      kind: "value",
      sum: mean * 5000,
      sumOfSquares: 5000 * (mean * mean + 100),
      past: past ? { sumX: 25_000, sumXX: 5000 * 125, sumXY: 5000 * (5 * mean + 80) } : null,
    },
  ];
  const look = (past: boolean) =>
    analyse(
      counts([arm("control", 5000, 0, { goals: sums(20, past) }), arm("bold", 5000, 0, { goals: sums(20.5, past) })], {
        goals: [{ name: "revenue", better: "higher" }],
      }),
    );
  const [plain, adjusted] = [look(false), look(true)];
  assert.equal(plain.chancesOfBest, null);
  assert.equal(verdictOf(plain).outcome, "open");
  assert.ok(Math.abs(adjusted.variants[0]!.goals[0]!.varianceSaved - 0.64) < 1e-9);
  assert.match(verdictOf(adjusted).sentence, /^bold is better than control: revenue went from 20 to 20\.5, a change of \+2\.5 %/);
});
