/** What the workers tell of themselves: newest counts of each, how they ended, and who has not answered for too long. */
import type { Clock } from "../clock.ts";
import { MetricsBook } from "../observe/metrics.ts";
import type { WorkerSnapshot } from "../observe/snapshot.ts";
import type { WorkerEnd, WorkerProcess } from "./worker-process.ts";

/** A worker that has not answered for this long holds connections and serves none. */
export const UNRESPONSIVE_MS = 30_000;

export interface WorkerWatchParts {
  readonly clock: Clock;
  readonly onSnapshot: (worker: number, snapshot: WorkerSnapshot) => void;
}

export class WorkerWatch {
  readonly book: MetricsBook = new MetricsBook();
  /** How workers ended unasked → how often. */
  readonly restarts = new Map<string, number>();
  readonly #parts: WorkerWatchParts;
  readonly #lastAnswerMs = new Map<number, number>();

  constructor(parts: WorkerWatchParts) {
    this.#parts = parts;
  }

  /** Asks all for their newest counts. One that never answers is ended, so that a sound one takes its place. */
  async poll(workers: readonly WorkerProcess[], deadlineMs: number): Promise<void> {
    const { clock } = this.#parts;
    await Promise.allSettled(
      workers
        .filter(({ state }) => state === "serving" || state === "draining")
        .map(async (worker) => {
          const nowMs = clock.now();
          const lastMs = this.#lastAnswerMs.get(worker.number) ?? nowMs;
          this.#lastAnswerMs.set(worker.number, lastMs);
          if (nowMs - lastMs > UNRESPONSIVE_MS) {
            worker.killUnresponsive(`has not answered for ${Math.round((nowMs - lastMs) / 1000)} s`);
            return;
          }
          const snapshot = await worker.snapshot(deadlineMs);
          if (worker.state === "ended") return;
          this.#lastAnswerMs.set(worker.number, clock.now());
          this.told(worker.number, snapshot);
        }),
    );
  }

  told(worker: number, snapshot: WorkerSnapshot): void {
    this.book.update(worker, snapshot);
    this.#parts.onSnapshot(worker, snapshot);
  }

  ended(worker: number, { how }: WorkerEnd): void {
    this.book.ended(worker);
    this.#lastAnswerMs.delete(worker);
    if (how !== "asked") this.restarts.set(how, (this.restarts.get(how) ?? 0) + 1);
  }
}
