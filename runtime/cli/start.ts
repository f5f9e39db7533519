/** `sluice start`: the gateway for real. */
import { readFileSync } from "node:fs";
import path from "node:path";
import pino from "pino";
import { createCompiler } from "../compile/compile.ts";
import { loadConfig } from "../config/config.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { buildKernel } from "../sandbox/kernel/build.ts";
import { runUntilStopped, StartError, startSupervisor, type Compiled, type Supervisor, type SupervisorLog } from "../supervisor/supervisor.ts";
import { packageRoot } from "./package-root.ts";
import { formatProblem, type Terminal } from "./terminal.ts";

export async function start(options: { readonly config: string; readonly workers?: number }, terminal: Terminal): Promise<number> {
  const load = async (): Promise<ResolvedConfig> => {
    const { config, warnings } = await loadConfig(options.config);
    for (const warning of warnings) terminal.warn(warning);
    return options.workers === undefined ? config : { ...config, workers: options.workers };
  };
  const supervisor = await startGateway(await load(), load, compileOnce, terminal, processLog(), true);
  if (supervisor === null) return 1;
  announce(supervisor, terminal);
  return runUntilStopped(supervisor);
}

/** Starts the process tree, or says why it does not start. */
export async function startGateway(
  config: ResolvedConfig,
  load: () => Promise<ResolvedConfig>,
  compile: (config: ResolvedConfig) => Promise<Compiled>,
  terminal: Terminal,
  log: SupervisorLog,
  takesDeployments = false,
): Promise<Supervisor | null> {
  try {
    return await startSupervisor({ config, loadConfig: load, compile, kernel: await buildKernel(), version: version(), log, takesDeployments });
  } catch (thrown) {
    if (!(thrown instanceof StartError)) throw thrown;
    for (const problem of thrown.problems) terminal.problem(problem);
    return null;
  }
}

/** One line per listener, then `ready`: what scripts wait for. */
export function announce(supervisor: Supervisor, terminal: Terminal): void {
  for (const { host, port } of supervisor.addresses) terminal.say(`listening on http://${host.includes(":") ? `[${host}]` : host}:${port}`);
  if (supervisor.adminAddress) {
    const { scheme, host, port } = supervisor.adminAddress;
    terminal.say(`admin on ${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`);
  }
  terminal.say("ready");
}

async function compileOnce(config: ResolvedConfig): Promise<Compiled> {
  await using compiler = createCompiler(config);
  const { release, maps, problems } = await compiler.rebuild();
  return { release, maps, problems: problems.map(formatProblem) };
}

/** The supervisor's own lines, in the same format and stream as the access log. */
export function processLog(): SupervisorLog {
  const logger = pino({ base: { process: "supervisor" }, formatters: { level: (level) => ({ level }) } }, pino.destination({ fd: 1, sync: true }));
  return (level, event, facts) => logger[level]({ event, ...facts });
}

function version(): string {
  return (JSON.parse(readFileSync(path.join(packageRoot, "package.json"), "utf8")) as { version: string }).version;
}
