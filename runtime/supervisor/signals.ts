/** Signals of a gateway that runs for real: TERM and INT drain, a second one ends at once, HUP reloads. */
import type { Supervisor } from "./supervisor.ts";

/** Resolves with the exit code when everything has ended. Takes its handlers away again. */
export function runUntilStopped(supervisor: Supervisor): Promise<number> {
  return new Promise((resolve) => {
    let asked = false;
    const finish = (code: number) => {
      process.off("SIGTERM", stop).off("SIGINT", stop).off("SIGHUP", reload);
      clearInterval(stayAlive);
      resolve(code);
    };
    const stop = () => {
      if (asked) {
        supervisor.kill();
        finish(1);
        return;
      }
      asked = true;
      supervisor.stop().then(
        () => finish(0),
        () => finish(1),
      );
    };
    // What was wrong stands in the log and in the status; the gateway serves on.
    const reload = () => void supervisor.reload().catch(() => undefined);
    process.on("SIGTERM", stop).on("SIGINT", stop).on("SIGHUP", reload);
    // While every worker is down and waits for its back-off, no handle of ours would keep the process.
    const stayAlive = setInterval(() => undefined, 2 ** 30);
  });
}
