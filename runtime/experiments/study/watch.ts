/**
 * The gateway that leads looks at every running experiment once a second and stops the one whose guardrail failed. All others wait for the lead to
 * come free. What is inconclusive, or without data, changes nothing.
 */
import type { Clock, Timer } from "../../clock.ts";
import { asGatewayError } from "../../errors.ts";
import { LOCK, type Store } from "../../store/store.ts";
import { type LiveBoard, type LiveWatch, readLive } from "../live/live.ts";
import { type Analysis, analyse, MISMATCH_ALPHA, verdictOf } from "../statistics/statistics.ts";
import { grown, readMemory, type StudyMemory, writeMemory } from "./memory.ts";
import { experimentCounts, readCounts, type RunCounts, runOf, type Studied } from "./run-counts.ts";
import { tell } from "./story.ts";
import { runName } from "../count/run.ts";

export interface WatchParts {
  readonly store: Store;
  /** What is decided, and kept in mind should the store lose it. */
  readonly live: Pick<LiveWatch, "set">;
  readonly clock: Clock;
  /** Unique among gateways. */
  readonly name: string;
  /** Of the release that serves. */
  readonly experiments: () => readonly Studied[];
  /** An experiment was stopped here, and why. */
  readonly onStopped: (experiment: string, version: number, reason: string, facts: Readonly<Record<string, number>>) => void;
  /** The split is not as promised: told once for a version. */
  readonly onMismatch: (experiment: string, version: number, sentence: string) => void;
  readonly warn: (text: string) => void;
}

const LOOK_EVERY_MS = 1_000;
const LEAD_MS = 4_000;
const LEAD_KEY = "experiments:leader";

export class ExperimentWatch {
  readonly #parts: WatchParts;
  /** Of the runs that this gateway has led: what it wrote last, and the counts that it last looked at. */
  readonly #known = new Map<string, { memory: StudyMemory; looked: string }>();
  #timer: Timer | null = null;
  #looking = false;
  #leads = false;
  #troubled = false;
  #closed = false;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#later();
  }

  /** Does this gateway look at the experiments? */
  get leads(): boolean {
    return this.#leads;
  }

  #later(): void {
    this.#timer = this.#parts.clock.after(LOOK_EVERY_MS, () => {
      void this.look();
      if (!this.#closed) this.#later();
    });
  }

  /** One look at everything. */
  async look(): Promise<void> {
    const { store, name, experiments, warn } = this.#parts;
    const studied = experiments();
    if (this.#looking || this.#closed || studied.length === 0) return;
    this.#looking = true;
    try {
      const [leads] = await store.run(LOCK, [LEAD_KEY], [name, LEAD_MS]);
      this.#leads = leads === 1;
      if (!this.#leads) {
        // Whoever leads writes now.
        this.#known.clear();
        return;
      }
      const board = await readLive(store);
      for (const one of studied) await this.#study(one, board);
      this.#forgetAllBut(studied);
      this.#troubled = false;
    } catch (thrown) {
      // Without the store there is nothing to look at, and nobody that could be told.
      if (!this.#troubled) warn(`experiments are not looked at: ${asGatewayError(thrown).detail}`);
      this.#troubled = true;
      this.#leads = false;
    } finally {
      this.#looking = false;
    }
  }

  async #study(studied: Studied, board: LiveBoard): Promise<void> {
    const { store, clock } = this.#parts;
    const run = runOf(studied);
    const counts = await readCounts(store, studied);
    const looked = JSON.stringify([counts.arms, studied.guardrails, studied.alpha]);
    const known = this.#known.get(runName(run));
    if (known?.looked === looked) return;
    const before = known?.memory ?? (await readMemory(store, run));
    const analysis = analyse(experimentCounts(studied, counts, before.mismatchP));
    const nowUnixMs = clock.unixMs();
    let memory = grown(before, counts.arms, nowUnixMs);
    if (analysis.mismatch.sequentialP < memory.mismatchP) {
      if (analysis.mismatch.found && memory.mismatchP > MISMATCH_ALPHA) await this.#tellMismatch(studied, verdictOf(analysis).sentence, nowUnixMs);
      memory = { ...memory, mismatchP: analysis.mismatch.sequentialP };
    }
    const failed = (board.entries.get(studied.key)?.state.kind ?? "running") === "running" && memory.stopped === null ? failureOf(analysis) : "";
    if (failed !== "") {
      await this.#stop(studied, failed, counts, nowUnixMs);
      memory = { ...memory, stopped: { atUnixMs: nowUnixMs, reason: failed } };
    }
    if (memory !== before) await writeMemory(store, run, memory);
    this.#known.set(runName(run), { memory, looked });
  }

  /** Once for a version: who starts it again knows what it did. */
  async #stop({ key, bucketVersion }: Studied, reason: string, { arms }: RunCounts, atUnixMs: number): Promise<void> {
    const { store, live, onStopped } = this.#parts;
    await live.set(key, { state: { kind: "stopped" }, reason, by: "guardrail", atUnixMs }, null);
    await tell(store, key, { atUnixMs, version: bucketVersion, what: "stopped", by: "guardrail", why: reason });
    const facts: Record<string, number> = {};
    for (const { variant, units, unitsWithErrors } of arms) {
      facts[`${variant}.units`] = units;
      facts[`${variant}.unitsWithErrors`] = unitsWithErrors;
    }
    onStopped(key, bucketVersion, reason, facts);
  }

  async #tellMismatch({ key, bucketVersion }: Studied, sentence: string, atUnixMs: number): Promise<void> {
    await tell(this.#parts.store, key, { atUnixMs, version: bucketVersion, what: "doubted", by: "watch", why: sentence });
    this.#parts.onMismatch(key, bucketVersion, sentence);
  }

  #forgetAllBut(studied: readonly Studied[]): void {
    const names = new Set(studied.map((one) => runName(runOf(one))));
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
  }

  close(): void {
    this.#closed = true;
    this.#leads = false;
    this.#timer?.cancel();
  }
}

/** "": no guardrail failed. Also of a split that is not as promised: where the numbers can't be trusted, nobody should suffer from them. */
function failureOf(analysis: Analysis): string {
  const verdict = verdictOf({ ...analysis, mismatch: { ...analysis.mismatch, found: false } });
  return verdict.outcome === "guardrail" ? verdict.sentence : "";
}
