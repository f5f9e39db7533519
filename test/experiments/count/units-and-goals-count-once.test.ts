import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ManualClock } from "../../../runtime/clock.ts";
import { GatewayError } from "../../../runtime/errors.ts";
import { createMemoryStore, type Store } from "../../../runtime/store/store.ts";
import { startRedis } from "../../store/redis-server.ts";
import { assigned, exchange, experiment, goalOf } from "./given.ts";
import { everyStore, stageOn, START_MS } from "./stage.ts";

const DAY_MS = 86_400_000;

const redis = await startRedis();
after(() => redis.stop());
const inEveryStore = everyStore(redis.url);

const bought = { method: "POST", target: "/checkout", headers: { "x-total": "30" } };
const [purchase, revenue] = [goalOf("purchase"), goalOf("revenue")];

inEveryStore("a unit counts once, whoever sees it and however often it comes", async ({ clock, worker, counted }) => {
  const workers = [worker(), worker()];
  for (let visit = 0; visit < 4; visit++) {
    for (const one of workers) {
      one.exposed(assigned("ann", 0), exchange(clock.unixMs()));
      one.exposed(assigned("bob", 1), exchange(clock.unixMs(), { firstByteMs: 200 }));
      one.exposed(assigned("eve", 1, { counted: false, countAs: null }), exchange(clock.unixMs()));
    }
    clock.advance(1000);
  }
  const { arms } = await counted();
  assert.deepEqual(
    arms.map(({ units, unitsWithErrors }) => [units, unitsWithErrors]),
    [
      [1, 0],
      [1, 0],
    ],
  );
  assert.deepEqual(
    arms.map(({ latency }) => latency!.counts.reduce((sum, count) => sum + count, 0)),
    [1, 1],
    "one latency of each unit",
  );
});

inEveryStore("errors count once a unit, on the page and on the way to a goal", async ({ clock, worker, counted }) => {
  const one = worker();
  const broken = (): ReturnType<typeof exchange> => exchange(clock.unixMs(), { status: 502, serverError: true });
  one.exposed(assigned("ann", 0), exchange(clock.unixMs()));
  for (let i = 0; i < 3; i++) one.exposed(assigned("ann", 0), broken());
  one.exposed(assigned("bob", 1), broken());
  one.completed([{ assignment: assigned("bob", 1), goal: purchase }], broken());
  one.exposed(assigned("cyd", 1), exchange(clock.unixMs()));
  one.completed([{ assignment: assigned("cyd", 1), goal: purchase }], broken());
  one.completed([{ assignment: assigned("dan", 1), goal: purchase }], broken());
  const { arms } = await counted();
  assert.deepEqual(
    arms.map(({ units, unitsWithErrors, reached }) => [units, unitsWithErrors, reached[0]]),
    [
      [1, 1, 0],
      [2, 2, 0],
    ],
  );
});

inEveryStore("goals count after the exposure only, within their window, whatever arrives first", async ({ clock, worker, counted }) => {
  const [first, second] = [worker(), worker()];
  const buys = (who: string): void => second.completed([{ assignment: assigned(who, 1), goal: purchase }], exchange(clock.unixMs(), bought));
  const sees = (who: string): void => void first.exposed(assigned(who, 1), exchange(clock.unixMs()));
  buys("early");
  clock.advance(1000);
  sees("early");
  sees("swift");
  clock.advance(10);
  buys("swift");
  // The goal reaches the store before the exposure that came before it.
  await second.flush();
  sees("late");
  clock.advance(14 * DAY_MS + 1);
  buys("late");
  buys("never");
  const { arms, quality } = await counted();
  assert.deepEqual(
    arms.map(({ units, reached }) => [units, reached[0]]),
    [
      [0, 0],
      [3, 1],
    ],
  );
  assert.equal(quality.late, 1);
});

inEveryStore("values add up; retries, refreshes and the page after a 302 are told again and count once", async ({ clock, worker, counted }) => {
  const told: string[] = [];
  const one = worker({ warn: (text) => void told.push(text) });
  const [ann, bob] = [assigned("ann", 0), assigned("bob", 0)];
  const reaches = (who: typeof ann, more: Parameters<typeof exchange>[1]): void =>
    one.completed([{ assignment: who, goal: revenue }], exchange(clock.unixMs(), { ...bought, ...more }));
  one.exposed(ann, exchange(clock.unixMs()));
  one.exposed(bob, exchange(clock.unixMs()));
  reaches(ann, { status: 302 });
  reaches(ann, { status: 302 });
  reaches(ann, { method: "GET", target: "/checkout/done?order=1" });
  clock.advance(3_600_000);
  reaches(ann, { method: "GET", target: "/checkout/done?order=1" });
  reaches(ann, { headers: { "x-total": "12.5" } });
  reaches(bob, { idempotencyKey: "k1" });
  reaches(bob, { idempotencyKey: "k2" });
  reaches(bob, { idempotencyKey: "k1" });
  reaches(bob, { headers: { "x-total": "a lot" } });
  reaches(bob, { headers: {} });
  reaches(bob, { status: 404 });
  const { arms, quality } = await counted();
  const goal = experiment.goals.indexOf(revenue);
  const { goals, reached } = arms[0]!;
  // A repetition an hour later is of the page, not of a second purchase of the same sum.
  assert.deepEqual(goals[goal], { kind: "value", sum: 30 + 12.5 + 60, sumOfSquares: 42.5 ** 2 + 60 ** 2, past: null });
  assert.deepEqual([reached[goal], quality.repeated, one.status().unreadable], [2, 4, 2]);
  assert.deepEqual(told, [
    "experiment hero-copy: goal revenue has no value to count: found no number in the answer 200 to POST /checkout, in its header x-total",
  ]);
});

inEveryStore("what rules track counts with its call's id, and values of JSON bodies are read by their pointer", async ({ clock, worker, counted }) => {
  const told: string[] = [];
  const one = worker({ warn: (text) => void told.push(text) });
  const ann = assigned("ann", 1);
  one.exposed(ann, exchange(clock.unixMs()));
  one.tracked(ann, goalOf("used"), null, "c1", clock.unixMs());
  one.tracked(ann, goalOf("used"), null, "c2", clock.unixMs());
  for (const call of ["c3", "c3", "c4"]) one.tracked(ann, goalOf("score"), 2, call, clock.unixMs());
  one.tracked(ann, goalOf("score"), Number.NaN, "c5", clock.unixMs());
  const body = Buffer.from(JSON.stringify({ order: { total: "19.90" } }));
  one.completed([{ assignment: ann, goal: goalOf("order") }], exchange(clock.unixMs(), { method: "POST", target: "/order", body }));
  one.completed([{ assignment: ann, goal: goalOf("order") }], exchange(clock.unixMs(), { method: "POST", target: "/order", body: Buffer.from("{") }));
  const { arms } = await counted();
  const sumOf = (name: string): unknown => {
    const goal = arms[1]!.goals[experiment.goals.indexOf(goalOf(name))]!;
    return goal.kind === "value" ? goal.sum : goal.conversions;
  };
  assert.deepEqual([sumOf("used"), sumOf("score"), sumOf("order"), one.status().unreadable], [1, 4, 19.9, 2]);
  assert.deepEqual(told, [
    'experiment hero-copy: goal order has no value to count: found no number in the answer 200 to POST /order, in its JSON body at "/order/total"',
  ]);
});

inEveryStore("versions are counted apart, and a unit stays with the variant that it saw first", async ({ clock, worker, counted }) => {
  const one = worker();
  const other = worker();
  one.exposed(assigned("ann", 0), exchange(clock.unixMs()));
  other.exposed(assigned("ann", 1), exchange(clock.unixMs() + 5));
  one.exposed(assigned("ann", 1, { bucketVersion: 1 }), exchange(clock.unixMs()));
  other.completed([{ assignment: assigned("ann", 1), goal: purchase }], exchange(clock.unixMs() + 10, bought));
  const { arms, quality } = await counted();
  assert.deepEqual(
    arms.map(({ units, reached }) => [units, reached[0]]),
    [
      [1, 1],
      [0, 0],
    ],
  );
  assert.equal(quality.crossed, 1);
});

inEveryStore("above the bound of units nobody new is taken in, and the report says so", async ({ clock, worker, counted }) => {
  const one = worker({ mostUnits: 10 });
  for (let i = 0; i < 14; i++) one.exposed(assigned(`u${i}`, i % 2), exchange(clock.unixMs()));
  one.completed([{ assignment: assigned("u1", 1), goal: purchase }], exchange(clock.unixMs(), bought));
  const { arms, quality } = await counted();
  assert.deepEqual([arms.map(({ units }) => units), arms[1]!.reached[0], quality.full], [[5, 5], 1, 4]);
});

/** What is sent through it arrives, and whoever sent it does not hear so. */
function deaf(every: number): (store: Store) => Store {
  let calls = 0;
  return (store) =>
    new Proxy(store, {
      get: (target, name) => {
        if (name !== "run") return Reflect.get(target, name, target);
        return async (...args: Parameters<Store["run"]>) => {
          const reply = await target.run(...args);
          if (++calls % every !== 0) throw new GatewayError("STORE_TIMEOUT", "the answer was lost");
          return reply;
        };
      },
    });
}

inEveryStore("a batch whose answer was lost is sent again and counts once", async ({ clock, worker, counted }) => {
  const one = worker({ through: deaf(3) });
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 50; i++) {
      const who = assigned(`u${round}-${i}`, i % 2);
      one.exposed(who, exchange(clock.unixMs()));
      one.completed([{ assignment: who, goal: revenue }], exchange(clock.unixMs(), bought));
    }
    await one.flush();
  }
  for (let i = 0; one.status().pending > 0 && i < 20; i++) await one.flush();
  const { arms, quality } = await counted();
  const goal = experiment.goals.indexOf(revenue);
  assert.deepEqual(
    arms.map(({ units, goals }) => [units, (goals[goal] as { sum: number }).sum]),
    [
      [150, 4500],
      [150, 4500],
    ],
  );
  assert.equal(quality.repeated, 0, "the store knows events by their numbers, not as repetitions");
});

test("while the store is away what is counted waits, up to a bound; what is lost above it is told to the last event", async (t) => {
  const store = createMemoryStore({ clock: new ManualClock(0, START_MS) });
  const { clock, worker, counted } = stageOn(t, store);
  const one = worker({ bufferEvents: 100 });
  store.fail(new GatewayError("STORE_UNAVAILABLE", "gone"));
  for (let i = 0; i < 90; i++) {
    const who = assigned(`u${i}`, i % 2);
    one.exposed(who, exchange(clock.unixMs()));
    one.completed([{ assignment: who, goal: purchase }], exchange(clock.unixMs(), bought));
    clock.advance(50);
  }
  assert.deepEqual([one.status().pending, one.status().lost], [100, [40, 40, 0]]);
  store.fail(null);
  const { arms, quality } = await counted();
  const [units, purchases] = [arms[0]!.units + arms[1]!.units, arms[0]!.reached[0]! + arms[1]!.reached[0]!];
  assert.deepEqual([units + quality.lost.exposures, purchases + quality.lost.goals], [90, 90], "short by exactly what was lost");
  assert.deepEqual(quality.lost, { exposures: 40, goals: 40, errors: 0 });
  one.exposed(assigned("u89", 1), exchange(clock.unixMs()));
  assert.equal(
    (await counted()).arms.reduce((sum, arm) => sum + arm.units, 0),
    51,
    "whose exposure was lost is exposed anew",
  );
});

test("a full embedded store takes nobody new in, tells so, and loses no count that it has", async (t) => {
  const store = createMemoryStore({ clock: new ManualClock(0, START_MS), limitBytes: 40_000 });
  const { clock, worker, counted } = stageOn(t, store);
  const one = worker();
  for (let i = 0; i < 400; i++) one.exposed(assigned(`u${i}`, i % 2), exchange(clock.unixMs()));
  const { arms, quality } = await counted();
  const units = arms[0]!.units + arms[1]!.units;
  assert.ok(units > 20 && quality.full > 0, `${units} units`);
  assert.equal(units + quality.full, 400);
  assert.equal(one.status().pending, 0);
});
