import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ManualClock } from "../../../runtime/clock.ts";
import { GatewayError } from "../../../runtime/errors.ts";
import type { Assignment } from "../../../runtime/experiments/assign/plan.ts";
import { placeOf } from "../../../runtime/experiments/count/run.ts";
import type { WorkerCounting } from "../../../runtime/experiments/count/worker-counting.ts";
import type { RunCounts } from "../../../runtime/experiments/study/run-counts.ts";
import { createMemoryStore } from "../../../runtime/store/store.ts";
import { startRedis } from "../../store/redis-server.ts";
import { assigned, exchange, experiment, goalOf, watched } from "./given.ts";
import { everyStore, type Stage, stageOn, START_MS } from "./stage.ts";

const HOUR_MS = 3_600_000;
const revenue = goalOf("revenue", watched);

const redis = await startRedis();
after(() => redis.stop());
const inEveryStore = everyStore(redis.url);

const unit = (name: string, index: number, more: Partial<Assignment> = {}): Assignment => assigned(name, index, { experiment: watched.key, ...more });
/** Before there is traffic for it. */
const outside = (name: string): Assignment => unit(name, 0, { counted: false, reason: "outside-traffic" });

function shopper({ clock }: Stage, worker: WorkerCounting) {
  return {
    sees: (who: Assignment, agoMs = 0): void => void worker.exposed(who, exchange(clock.unixMs() - agoMs)),
    buys: (who: Assignment, total: number, more: Parameters<typeof exchange>[1] = {}): void =>
      worker.completed(
        [
          { assignment: who, goal: revenue },
          { assignment: who, goal: goalOf("purchase", watched) },
        ],
        exchange(clock.unixMs(), { method: "POST", target: "/checkout", headers: { "x-total": String(total) }, ...more }),
      ),
  };
}

/** Of each arm: units, Σy, Σy², Σx, Σx², Σxy. */
function sumsOf({ arms }: RunCounts): readonly (readonly number[])[] {
  return arms.map(({ units, goals: [goal] }) => {
    assert.ok(goal?.kind === "value" && goal.past !== null);
    const { sum, sumOfSquares, past } = goal;
    return [units, sum, sumOfSquares, past.sumX, past.sumXX, past.sumXY];
  });
}

inEveryStore("what a unit bought within the pre-period is x, what it buys once it is exposed is y, and sums are kept of both", async (stage) => {
  const { clock, worker, counted } = stage;
  const { sees, buys } = shopper(stage, worker());
  const [ann, bob] = [unit("ann", 0), unit("bob", 1)];
  buys(ann, 500);
  clock.advance(40 * HOUR_MS);
  buys(ann, 10);
  clock.advance(20 * HOUR_MS);
  buys(ann, 5);
  buys(ann, 5, { method: "GET", target: "/checkout/done" });
  sees(bob);
  clock.advance(1000);
  sees(ann);
  clock.advance(1000);
  sees(ann);
  // The page that says thank you, read again: it is of before.
  buys(ann, 5, { method: "GET", target: "/checkout/done" });
  buys(ann, 7);
  buys(bob, 3);
  buys(ann, 1);
  const after = await counted(watched);
  assert.deepEqual(sumsOf(after), [
    // The first purchase lies 60 hours back.
    [1, 8, 64, 15, 225, 120],
    [1, 3, 9, 0, 0, 0],
  ]);
  assert.deepEqual([after.quality.repeated > 0, after.quality.prePeriod], [true, { remembered: 0, lost: 0 }]);
  assert.deepEqual(
    after.arms.map(({ reached }) => reached),
    [
      [1, 1, 0],
      [1, 1, 0],
    ],
    "conversions have no past",
  );
});

inEveryStore("whoever is outside the traffic has a past when it takes part one day, and counts for nothing else", async (stage) => {
  const { clock, worker, counted } = stage;
  const one = worker();
  const { sees, buys } = shopper(stage, one);
  buys(outside("ann"), 20);
  buys(outside("bob"), 1);
  one.completed([{ assignment: outside("ann"), goal: revenue }], exchange(clock.unixMs(), { status: 502, serverError: true }));
  one.tracked(outside("ann"), goalOf("score", watched), 4, "c1", clock.unixMs());
  one.completed(
    [{ assignment: assigned("ann", 0, { counted: false, reason: "bot" }), goal: revenue }],
    exchange(clock.unixMs(), { headers: { "x-total": "9" } }),
  );
  const before = await counted(watched);
  assert.deepEqual([before.quality.prePeriod, before.arms.map(({ units, unitsWithErrors }) => units + unitsWithErrors)], [{ remembered: 2, lost: 0 }, [0, 0]]);
  clock.advance(HOUR_MS);
  sees(unit("ann", 1));
  clock.advance(HOUR_MS);
  buys(unit("ann", 1), 2);
  // Less traffic again: what is bought then is of nobody who takes part.
  buys(outside("ann"), 100);
  const { arms, quality } = await counted(watched);
  assert.deepEqual(sumsOf({ arms, quality })[1], [1, 2, 4, 20, 400, 40]);
  const score = arms[1]!.goals[2]!;
  assert.deepEqual(score.kind === "value" ? score.past : null, { sumX: 4, sumXX: 16, sumXY: 0 });
  assert.deepEqual([arms[1]!.unitsWithErrors, quality.late, quality.prePeriod!.remembered], [0, 0, 1]);
});

inEveryStore("when it happened decides what is past, not when it arrived", async (stage) => {
  const { clock, worker, counted } = stage;
  const [first, second] = [worker(), worker()];
  const [a, b] = [shopper(stage, first), shopper(stage, second)];
  const [swift, slow] = [unit("swift", 0), unit("slow", 1)];
  // The exposure comes first, and arrives last.
  a.sees(swift);
  clock.advance(50);
  b.buys(swift, 8);
  await second.flush();
  // The purchase comes first, and arrives last.
  b.buys(slow, 6);
  clock.advance(50);
  a.sees(slow);
  await first.flush();
  await second.flush();
  assert.deepEqual(sumsOf(await counted(watched)), [
    [1, 8, 64, 0, 0, 0],
    [1, 0, 0, 6, 36, 0],
  ]);
  // An exposure of before becomes known: what was past is not any more.
  b.sees(slow, 60);
  b.buys(slow, 4);
  assert.deepEqual(sumsOf(await counted(watched))[1], [1, 10, 100, 0, 0, 0]);
});

inEveryStore("as many units are remembered as may take part; the goals of further ones are told as lost", async (stage) => {
  const { clock, worker, counted } = stage;
  const { sees, buys } = shopper(stage, worker({ mostUnits: 10 }));
  for (let i = 0; i < 14; i++) buys(outside(`u${i}`), 2);
  assert.deepEqual((await counted(watched)).quality.prePeriod, { remembered: 10, lost: 4 });
  clock.advance(1000);
  sees(unit("u0", 0));
  sees(unit("u13", 0));
  const told = await counted(watched);
  assert.deepEqual([sumsOf(told)[0], told.quality.prePeriod, told.quality.lost.goals], [[2, 0, 0, 2, 4, 0], { remembered: 9, lost: 4 }, 0]);
});

test("an outage of the store loses no past, and brings none twice", async (t) => {
  const store = createMemoryStore({ clock: new ManualClock(0, START_MS) });
  const stage = stageOn(t, store);
  const [first, second] = [stage.worker(), stage.worker()];
  store.fail(new GatewayError("STORE_UNAVAILABLE", "gone"));
  for (let i = 0; i < 30; i++) {
    const who = unit(`u${i}`, 1);
    shopper(stage, first).buys(who, 5);
    stage.clock.advance(1000);
    shopper(stage, second).sees(who);
    stage.clock.advance(1000);
    shopper(stage, first).buys(who, 3);
  }
  store.fail(null);
  // All exposures arrive before the first purchase.
  await second.flush();
  assert.deepEqual(sumsOf(await stage.counted(watched))[1], [30, 90, 270, 150, 750, 450]);
});

test("whoever was not seen for the whole pre-period makes room", async (t) => {
  const storeClock = new ManualClock(0, START_MS);
  const stage = stageOn(t, createMemoryStore({ clock: storeClock }));
  const { buys } = shopper(stage, stage.worker({ mostUnits: 2 }));
  const pass = (hours: number): void => [storeClock, stage.clock].forEach((clock) => clock.advance(hours * HOUR_MS));
  // Room is made where it is needed: among units whose digests begin alike.
  const bucketOf = (name: string): number => placeOf(`visitor:${name}`).bucket;
  let last = 0;
  while (bucketOf(`late${last}`) !== bucketOf("rare")) last++;
  buys(outside("rare"), 2);
  buys(outside("often"), 2);
  await stage.counted(watched);
  pass(47);
  buys(outside("often"), 3);
  buys(outside(`late${last}`), 2);
  assert.deepEqual((await stage.counted(watched)).quality.prePeriod, { remembered: 2, lost: 1 });
  pass(2);
  buys(outside(`late${last}`), 2);
  assert.deepEqual((await stage.counted(watched)).quality.prePeriod, { remembered: 2, lost: 1 }, "in the place of who was rare");
});

test("a long past takes no more room than a short one, and is known to a sixteenth of the period", async (t) => {
  const storeClock = new ManualClock(0, START_MS);
  const stage = stageOn(t, createMemoryStore({ clock: storeClock }));
  const { sees, buys } = shopper(stage, stage.worker());
  const ann = unit("ann", 1);
  for (let hour = 0; hour < 96; hour++) {
    buys(ann, 1);
    await stage.counted(watched);
    for (const clock of [storeClock, stage.clock]) clock.advance(HOUR_MS);
  }
  sees(ann);
  const [, [units, , , x, squares] = []] = sumsOf(await stage.counted(watched));
  assert.ok(units === 1 && x! <= 48 && x! >= 45 && squares === x! * x!, `${x} of 48`);
});

test("without a pre-period there is no past", async (t) => {
  const stage = stageOn(t, createMemoryStore({ clock: new ManualClock(0, START_MS) }));
  const one = stage.worker();
  const ann = assigned("ann", 0);
  const buys = (who: Assignment): void =>
    one.completed([{ assignment: who, goal: goalOf("revenue") }], exchange(stage.clock.unixMs(), { headers: { "x-total": "5" } }));
  buys(ann);
  buys(assigned("ann", 0, { counted: false, reason: "outside-traffic" }));
  stage.clock.advance(1000);
  one.exposed(ann, exchange(stage.clock.unixMs()));
  const { arms, quality } = await stage.counted();
  assert.deepEqual(
    [arms[0]!.goals[experiment.goals.indexOf(goalOf("revenue"))], quality.prePeriod],
    [{ kind: "value", sum: 0, sumOfSquares: 0, past: null }, null],
  );
});
