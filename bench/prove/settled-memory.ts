/** What a process tree holds when nothing but chance moves it any more. */
import { memoryBytes, tree } from "../load/processes.ts";
import { figure } from "../load/results.ts";
import { pause } from "./gateway.ts";

const SAMPLES = 5;
const PAUSE_MS = 500;

/** The median of some looks: a collection of garbage is a matter of chance. */
export async function settledMemoryMiB(pid: number): Promise<number> {
  const samples: number[] = [];
  for (let look = 0; look < SAMPLES; look++) {
    await pause(PAUSE_MS);
    samples.push(memoryBytes(tree(pid).pids) / 2 ** 20);
  }
  return figure(samples).median;
}
