/** What one worker of a fleet is told, and what follows when it does not do it: as a rule it is lost, and whoever takes its place begins with what counts by then. */
import type { CanaryStart } from "../proxy/worker.ts";
import type { Served } from "./fleet.ts";
import type { ShownProblem } from "./problem-answer.ts";
import { reasonOf } from "./start-error.ts";
import type { WorkerProcess } from "./worker-process.ts";

type OnEvent = (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;

/** Only a worker that is lost fails at what is asked of it here. */
export async function orLost(worker: WorkerProcess, change: () => Promise<void>, what: string): Promise<void> {
  try {
    await change();
  } catch (thrown) {
    worker.killUnresponsive(`${what}: ${reasonOf(thrown)}`);
  }
}

/** On a worker that serves, or began with, `last`. */
export function load(worker: WorkerProcess, { config, release, maps }: Served, last: Served): Promise<void> {
  return worker.prepare(release, maps, config === last.config ? undefined : config.routes);
}

/** A canary that one worker does not take is that worker's report to make, and no reason to end it. */
export async function runCanaryOn(worker: WorkerProcess, canary: CanaryStart, onEvent: OnEvent): Promise<void> {
  try {
    await worker.runCanary(canary.terms).catch(async () => {
      await worker.prepare(canary.release, canary.maps);
      await worker.runCanary(canary.terms);
    });
  } catch (thrown) {
    onEvent("error", "canary-not-run", { worker: worker.number, release: canary.release.id, reason: reasonOf(thrown) });
  }
}

/** The page of a broken save; null: none. One that is lost is no reason to stop: whoever takes its place is asked in turn. */
export async function showProblemOn(worker: WorkerProcess, problem: ShownProblem | null, onEvent: OnEvent): Promise<void> {
  try {
    await worker.showProblem(problem);
  } catch (thrown) {
    onEvent("warn", "problem-not-shown", { worker: worker.number, reason: reasonOf(thrown) });
  }
}
