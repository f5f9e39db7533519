import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { ManualClock } from "../../../runtime/clock.ts";
import { WorkerCounting } from "../../../runtime/experiments/count/worker-counting.ts";
import { createMemoryStore } from "../../../runtime/store/store.ts";
import { assigned, exchange } from "./given.ts";

test("a journal that cannot be written is tried once a second; a folder that was taken away is made again", async (t) => {
  const root = mkdtempSync(path.join(tmpdir(), "sluice-journal-"));
  t.after(() => rmSync(root, { recursive: true }));
  const dir = path.join(root, "experiments");
  const clock = new ManualClock(0, Date.UTC(2026, 0, 1));
  const warned: string[] = [];
  const worker = new WorkerCounting({ store: createMemoryStore({ clock }), clock, dir, raw: null, warn: (text) => void warned.push(text) });
  t.after(() => worker.close());
  const sees = (unit: string): boolean => worker.exposed(assigned(unit, 0), exchange(clock.unixMs()));

  rmSync(dir, { recursive: true });
  writeFileSync(dir, "in its place");
  assert.equal(sees("ann"), false);
  rmSync(dir);
  for (const unit of ["bob", "cyd"]) assert.equal(sees(unit), false);
  assert.equal(existsSync(dir), false, "not tried with every event");
  assert.equal(warned.length, 1);

  clock.advance(1000);
  assert.equal(sees("dan"), true);
  assert.equal(existsSync(dir), true);
  assert.deepEqual([worker.status().lost, worker.status().exposures], [[3, 0, 0], 1]);
});
