import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { ManualClock } from "../../../runtime/clock.ts";
import { GatewayError } from "../../../runtime/errors.ts";
import { WorkerCounting } from "../../../runtime/experiments/count/worker-counting.ts";
import { type LiveEntry, readLive, setLive } from "../../../runtime/experiments/live/live.ts";
import { readMemory } from "../../../runtime/experiments/study/memory.ts";
import { report } from "../../../runtime/experiments/study/report.ts";
import { type Studied, runOf } from "../../../runtime/experiments/study/run-counts.ts";
import { ExperimentWatch } from "../../../runtime/experiments/study/watch.ts";
import { createMemoryStore } from "../../../runtime/store/store.ts";
import { assigned, exchange, experiment, goalOf } from "./given.ts";

const RUNNING: LiveEntry = { state: { kind: "running" }, reason: "", by: "", atUnixMs: 0 };

function stageOf(t: TestContext, studied: Studied = experiment) {
  const clock = new ManualClock();
  const store = createMemoryStore({ clock, limitBytes: 1024 * 1024 * 1024 });
  const counting = new WorkerCounting({ store, clock, dir: null, raw: null, warn: assert.fail });
  const stops: string[] = [];
  const warnings: string[] = [];
  const doubts: string[] = [];
  const watches: ExperimentWatch[] = [];
  t.after(async () => {
    for (const watch of watches) watch.close();
    await counting.close();
  });
  let units = 0;
  return {
    clock,
    store,
    counting,
    stops,
    warnings,
    doubts,
    watch(name: string): ExperimentWatch {
      const watch = new ExperimentWatch({
        store,
        live: { set: (key, entry, expectedVersion) => setLive(store, key, entry, expectedVersion) },
        clock,
        name,
        experiments: () => [studied],
        onStopped: (key, version, reason, facts) => void stops.push(`${name} ${key} ${version} ${reason} ${JSON.stringify(facts)}`),
        onMismatch: (key, version, sentence) => void doubts.push(`${key} ${version} ${sentence}`),
        warn: (text) => void warnings.push(text),
      });
      watches.push(watch);
      return watch;
    },
    /** So many new units of each arm; of the variant's this share fails. */
    async visit(each: number, failing: number, firstByteMs = 20): Promise<void> {
      for (let i = 0; i < each; i++) {
        for (const index of [0, 1]) {
          const serverError = index === 1 && i < each * failing;
          counting.exposed(assigned(`u${units++}`, index), exchange(clock.unixMs(), { serverError, firstByteMs: index === 1 ? firstByteMs : 20 }));
        }
      }
      await counting.flush();
    },
    live: async (): Promise<LiveEntry> => (await readLive(store)).entries.get("hero-copy") ?? RUNNING,
  };
}

test("a variant that fails too often is stopped by the gateway that leads, once, with its reason", async (t) => {
  const { clock, store, stops, watch, visit, live } = stageOf(t);
  const [one, two] = [watch("one"), watch("two")];
  await visit(50, 0);
  await one.look();
  await two.look();
  assert.deepEqual([one.leads, two.leads, stops.length], [true, false, 0]);
  await visit(500, 0.05);
  await two.look();
  assert.equal(stops.length, 0, "who does not lead does not look");
  await one.look();
  assert.equal(stops.length, 1);
  assert.match(stops[0]!, /^one hero-copy 0 Stop: bold gives at least .*"bold.unitsWithErrors":25\}$/);
  const stopped = await live();
  assert.deepEqual([stopped.state.kind, stopped.by, stopped.atUnixMs], ["stopped", "guardrail", clock.unixMs()]);
  assert.match(stopped.reason, /an error than control does, which is more than you allowed/);
  assert.equal((await report(store, experiment, stopped, clock.unixMs())).story[0]!.by, "guardrail");

  await setLive(store, "hero-copy", { ...RUNNING, by: "ann", atUnixMs: clock.unixMs() }, null);
  await visit(10, 1);
  await one.look();
  assert.deepEqual([stops.length, (await live()).state.kind], [1, "running"], "who starts it again is believed");
});

test("another takes the lead when the leader is gone, and keeps what it knew of the split, which is told once", async (t) => {
  const { clock, store, counting, doubts, watch } = stageOf(t);
  const one = watch("one");
  for (let i = 0; i < 6000; i++) counting.exposed(assigned(`u${i}`, i % 5 < 2 ? 0 : 1), exchange(clock.unixMs()));
  await counting.flush();
  await one.look();
  const { mismatchP } = await readMemory(store, runOf(experiment));
  assert.ok(mismatchP < 0.001);
  one.close();
  const two = watch("two");
  await two.look();
  assert.equal(two.leads, false);
  clock.advance(4001);
  // Its own timer has looked as well by now.
  await two.look();
  for (let i = 0; !two.leads && i < 20; i++) await two.look();
  assert.ok(two.leads);
  const { analysis, verdict, story } = await report(store, experiment, RUNNING, clock.unixMs());
  assert.ok(analysis.mismatch.sequentialP <= mismatchP && verdict.outcome === "mismatch");
  assert.equal(doubts.length, 1);
  assert.match(doubts[0]!, /^hero-copy 0 Do not trust this test: control got 40\.0 % of the visitors instead of 50\.0 %/);
  assert.deepEqual(
    story.map(({ what }) => what),
    ["doubted"],
  );
});

test("slowness stops, and what is inconclusive, without data or not known changes nothing", async (t) => {
  const { store, stops, warnings, watch, visit, live } = stageOf(t);
  const one = watch("one");
  await one.look();
  await visit(20, 0.05, 200);
  await one.look();
  assert.deepEqual([stops.length, (await live()).state.kind], [0, "running"]);
  store.fail(new GatewayError("STORE_UNAVAILABLE", "gone"));
  await one.look();
  await one.look();
  store.fail(null);
  assert.deepEqual([warnings.length, /gone/.test(warnings[0]!)], [1, true]);
  await visit(800, 0, 200);
  await one.look();
  assert.match(stops[0]!, /bold is slower than control by at least/);
});

test("how an experiment grew is kept in few points, close at first and wider later", async (t) => {
  const { clock, store, counting, watch, visit } = stageOf(t);
  const one = watch("one");
  for (let i = 0; i < 500; i++) {
    await visit(1, 0);
    if (i % 10 === 0)
      counting.completed([{ assignment: assigned(`u${2 * i + 1}`, 1), goal: goalOf("purchase") }], exchange(clock.unixMs(), { method: "POST" }));
    clock.advance(2_000);
    await one.look();
  }
  const { points, everyMs } = await readMemory(store, runOf(experiment));
  assert.ok(points.length > 100 && points.length <= 240 && everyMs >= 4_000, `${points.length} points, one each ${everyMs} ms`);
  assert.ok(points.every((point, i) => i === 0 || point.atUnixMs > points[i - 1]!.atUnixMs));
  const { history } = await report(store, experiment, RUNNING, clock.unixMs());
  assert.deepEqual(history.at(-1)!.units, [500, 500]);
  assert.ok(history.at(-1)!.change[0] !== null);
});
