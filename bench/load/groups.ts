/** Process groups that were started here and must not outlive this process, whichever way it ends: Ctrl-C, a defect, a deadline. */
import type { ChildProcess } from "node:child_process";

const groups = new Set<ChildProcess>();
const EXIT_CODE = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
let watching = false;

/** For children that were spawned with `detached`: Ctrl-C in a terminal does not reach them. */
export function endWithUs(child: ChildProcess): void {
  groups.add(child);
  child.once("exit", () => groups.delete(child));
  if (watching) return;
  watching = true;
  process.on("exit", () => {
    for (const { pid } of groups) if (pid !== undefined) process.kill(-pid, "SIGKILL");
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(EXIT_CODE[signal]));
}
