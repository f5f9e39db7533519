/** What the workers of this gateway counted of a canary's step, added up; what a worker counted outlives it. */
import { addCounts, type CanaryCounts } from "../observe/canary-counts.ts";
import type { WorkerSnapshot } from "../observe/snapshot.ts";

type Told = NonNullable<WorkerSnapshot["canary"]>;

/** A worker tells once a second. */
const FRESH_MS = 5000;

export class CanaryTally {
  readonly #nowMs: () => number;
  readonly #latest = new Map<number, { readonly told: Told | null; readonly atMs: number }>();
  /** Of workers that have ended. */
  #gone: CanaryCounts | null = null;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  update(worker: number, { canary = null }: WorkerSnapshot): void {
    this.#latest.set(worker, { told: canary, atMs: this.#nowMs() });
  }

  ended(worker: number): void {
    const counts = this.#latest.get(worker)?.told?.counts;
    this.#latest.delete(worker);
    if (counts !== undefined) this.#gone = this.#gone?.step === counts.step ? addCounts(this.#gone, counts) : counts;
  }

  /** `serving`: the workers that are to count. `missing`: which do not, or "". */
  of(step: number, release: string, serving: readonly number[]): { readonly counts: CanaryCounts | null; readonly missing: string } {
    let counts = this.#gone?.step === step ? this.#gone : null;
    const silent: number[] = [];
    const without: number[] = [];
    for (const worker of serving) {
      const latest = this.#latest.get(worker);
      if (latest === undefined || this.#nowMs() - latest.atMs > FRESH_MS) silent.push(worker);
      else if (latest.told?.release !== release || latest.told.counts.step !== step) without.push(worker);
    }
    for (const { told } of this.#latest.values()) if (told?.counts.step === step) counts = counts === null ? told.counts : addCounts(counts, told.counts);
    const missing = [
      ...(silent.length === 0 ? [] : [`no counts from worker ${silent.join(", ")}`]),
      ...(without.length === 0 ? [] : [`the canary does not run at this step on worker ${without.join(", ")}`]),
      ...(serving.length === 0 ? ["no worker serves"] : []),
    ];
    return { counts, missing: missing.join("; ") };
  }
}
