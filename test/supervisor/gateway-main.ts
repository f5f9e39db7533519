/** Program of `spawnGateway`. */
import { EMPTY_RELEASE } from "../../runtime/compile/release.ts";
import { runUntilStopped, startSupervisor } from "../../runtime/supervisor/supervisor.ts";
import { STUB_WORKER, stubConfig } from "./stub-gateway.ts";

const settings = JSON.parse(process.argv[2]!) as { workers: number; stateDir: string; reload?: string };
const config = stubConfig({ workers: settings.workers, stateDir: settings.stateDir, vars: { theme: "first" } });

const say = (level: string, event: string, facts: object) => void process.stdout.write(`${JSON.stringify({ level, event, facts })}\n`);

const supervisor = await startSupervisor({
  config,
  async loadConfig() {
    if (settings.reload === "invalid") throw new Error('wokers: unknown key, expected one of the known keys; nearest is "workers"');
    return { ...config, vars: { theme: "second", crash: settings.reload === "crash" ? "starting" : "" } };
  },
  compile: async () => ({ release: EMPTY_RELEASE, maps: {}, problems: [] }),
  kernel: "",
  version: "0.0.0",
  workerEntry: STUB_WORKER,
  log: say,
});
const stopped = runUntilStopped(supervisor);
// After the signals have their handlers: the test sends some as soon as it reads this.
say("info", "test-ready", { port: supervisor.addresses[0]!.port, workers: supervisor.status().workers.map(({ pid }) => pid) });
process.exitCode = await stopped;
