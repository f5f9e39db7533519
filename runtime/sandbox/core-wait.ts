/** How long a process's main thread has stood in the queue for a core: time that passed without its doing. */
import fs from "node:fs";

const NS_PER_MS = 1e6;

/** Since its start; 0 where the kernel does not tell (no Linux, or built without it). */
export function waitedForCoreMs(pid: number): number {
  try {
    // "ns on a core, ns waiting for one, time slices" (Linux, Documentation/scheduler/sched-stats.rst).
    return Number(fs.readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ", 2)[1] ?? 0) / NS_PER_MS;
  } catch {
    // Not told here, or the process has just ended.
    return 0;
  }
}
