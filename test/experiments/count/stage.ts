/** Workers that count into one store, on a clock of the test's. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { ManualClock } from "../../../runtime/clock.ts";
import { WorkerCounting } from "../../../runtime/experiments/count/worker-counting.ts";
import { readCounts, type RunCounts, type Studied } from "../../../runtime/experiments/study/run-counts.ts";
import { createMemoryStore, type Store } from "../../../runtime/store/store.ts";
import { redisWorkers } from "../../store/redis.ts";
import { experiment } from "./given.ts";

export const START_MS = Date.UTC(2026, 0, 1);

export interface Stage {
  readonly clock: ManualClock;
  worker(options?: { mostUnits?: number; bufferEvents?: number; warn?: (text: string) => void; through?: (store: Store) => Store }): WorkerCounting;
  /** Everything that the workers have is brought to the store first. */
  counted(studied?: Studied): Promise<RunCounts>;
}

export function stageOn(t: TestContext, store: Store): Stage {
  const clock = new ManualClock(0, START_MS);
  const workers: WorkerCounting[] = [];
  t.after(() => Promise.all(workers.map((worker) => worker.close())));
  return {
    clock,
    worker({ through = (same: Store): Store => same, ...options } = {}) {
      const worker = new WorkerCounting({ store: through(store), clock, dir: null, raw: null, warn: assert.fail, ...options });
      workers.push(worker);
      return worker;
    },
    async counted(studied = experiment) {
      // What the clock has begun is over.
      await setImmediate();
      for (const worker of workers) await worker.flush();
      return readCounts(store, studied);
    },
  };
}

/** The same, in this process and in a Redis. */
export function everyStore(redisUrl: string): (what: string, body: (stage: Stage) => Promise<void>) => void {
  return (what, body) => {
    test(`${what} (embedded)`, (t) => body(stageOn(t, createMemoryStore({ clock: new ManualClock(0, START_MS), limitBytes: 512 * 1024 * 1024 }))));
    test(`${what} (redis)`, async (t) => body(stageOn(t, await redisWorkers(t, redisUrl)())));
  };
}
