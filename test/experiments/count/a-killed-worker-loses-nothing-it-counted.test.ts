import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { ManualClock } from "../../../runtime/clock.ts";
import { GatewayError } from "../../../runtime/errors.ts";
import { WorkerCounting } from "../../../runtime/experiments/count/worker-counting.ts";
import { readCounts } from "../../../runtime/experiments/study/run-counts.ts";
import { createMemoryStore } from "../../../runtime/store/store.ts";
import { assigned, exchange, experiment, goalOf, watched } from "./given.ts";

const START_MS = Date.UTC(2026, 0, 1);

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "sluice-journal-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A process that counts, loses some, and is killed before anything of it reached a store. */
async function counted(dir: string, units: number, bufferEvents: number): Promise<void> {
  const main = join(import.meta.dirname, "counting-main.ts");
  const child = spawn(process.execPath, ["--conditions=sluice-source", main, dir, String(units), String(bufferEvents)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
}

test("what a killed worker had counted is brought to the store by another, once, and what it had lost is told", async (t) => {
  const dir = folderOf(t);
  await counted(dir, 40, 61);
  assert.equal(readdirSync(dir).length, 2);
  // Killed in the middle of a line, too.
  for (const name of readdirSync(dir)) if (name.endsWith(".log")) appendFileSync(join(dir, name), "999 hero-copy.0 abc:1 x 0 17");
  const store = createMemoryStore({ clock: new ManualClock(0, START_MS) });
  const workers = [0, 1].map(() => new WorkerCounting({ store, clock: new ManualClock(0, START_MS), dir, raw: null, warn: assert.fail }));
  t.after(() => Promise.all(workers.map((worker) => worker.close())));
  // Both at once, and the first finds the store away.
  store.fail(new GatewayError("STORE_UNAVAILABLE", "gone"));
  await workers[0]!.adopt();
  store.fail(null);
  await Promise.all(workers.map((worker) => worker.adopt()));
  const { arms, quality } = await readCounts(store, experiment);
  const units = arms[0]!.units + arms[1]!.units;
  const purchases = arms[0]!.reached[0]! + arms[1]!.reached[0]!;
  assert.deepEqual([units, purchases, quality.lost.exposures, quality.lost.goals], [30, 30, 10, 10]);
  assert.equal((await readCounts(store, watched)).quality.prePeriod!.remembered, 1, "what comes before an exposure, too");
  assert.equal(readdirSync(dir).length, 2, "its files are gone; those of the two that run are there");
});

test("a worker that ends in order leaves no file, and one whose store is away leaves what it counted", async (t) => {
  const dir = folderOf(t);
  const store = createMemoryStore({ clock: new ManualClock(0, START_MS) });
  const clock = new ManualClock(0, START_MS);
  const first = new WorkerCounting({ store, clock, dir, raw: null, warn: assert.fail });
  first.exposed(assigned("ann", 0), exchange(START_MS));
  await first.close();
  assert.deepEqual(readdirSync(dir), []);
  assert.equal((await readCounts(store, experiment)).arms[0]!.units, 1);
  store.fail(new GatewayError("STORE_UNAVAILABLE", "gone"));
  const second = new WorkerCounting({ store, clock, dir, raw: null, warn: assert.fail });
  second.exposed(assigned("bob", 0), exchange(START_MS));
  await second.close();
  assert.equal(readdirSync(dir).length, 2);
});

test("the journal takes a few files, however long the worker runs", async (t) => {
  const dir = folderOf(t);
  const store = createMemoryStore({ clock: new ManualClock(0, START_MS), limitBytes: 1024 * 1024 * 1024 });
  const worker = new WorkerCounting({ store, clock: new ManualClock(0, START_MS), dir, raw: null, warn: assert.fail });
  t.after(() => worker.close());
  const who = assigned("ann", 0);
  worker.exposed(who, exchange(START_MS));
  let most = 0;
  for (let i = 0; i < 40_000; i++) {
    worker.tracked(who, goalOf("score"), 1, `call-${i}-${"x".repeat(20)}`, START_MS + i);
    if (i % 2000 !== 0) continue;
    await worker.flush();
    most = Math.max(
      most,
      readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0),
    );
  }
  await worker.flush();
  assert.ok(most > 512 * 1024 && most < 1.5 * 1024 * 1024, `${most} bytes, of some 2.5 MiB that were written`);
  const goal = experiment.goals.indexOf(goalOf("score"));
  assert.equal((await readCounts(store, experiment)).arms[0]!.reached[goal], 1);
});
