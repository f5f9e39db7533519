/** `sluice deploy`: compile, check, hand in, activate on every gateway or on none. */
import { loadConfig } from "../config/config.ts";
import type { Release } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { AdminCallError, type AdminPlace, callAdmin } from "./admin-call.ts";
import { buildRelease } from "./release-build.ts";
import { exitCode, gatewayTable, rollOut } from "./rollout-progress.ts";
import { beginShadow, endShadow } from "./shadow.ts";
import type { Terminal } from "./terminal.ts";

export interface DeployOptions extends AdminPlace {
  readonly wait: boolean;
  readonly message: string;
  readonly dryRun: boolean;
  readonly timeoutMs: number;
  /** File of an Ed25519 private key. */
  readonly signKey?: string;
  /** The epoch it is meant to follow; what serves now when left out. */
  readonly base?: number;
  /** Only compared with what serves; "off" ends that. */
  readonly shadow?: true | "off";
  /** Of the requests, with `shadow`. */
  readonly share?: number;
}

const FAILED = 1;
const BAD_USAGE = 2;
const DEFAULT_SHARE = 0.1;

export async function deploy(options: DeployOptions, terminal: Terminal): Promise<number> {
  const startedMs = performance.now();
  if (options.share !== undefined && options.shadow !== true) {
    terminal.problem("found --share without --shadow; --canary takes its share itself");
    return BAD_USAGE;
  }
  const { config, warnings } = await loadConfig(options.config);
  for (const warning of warnings) terminal.warn(warning);
  try {
    if (options.shadow === "off") return await endShadow(options, terminal);
    return await deployed(options, config, startedMs, terminal);
  } catch (thrown) {
    if (!(thrown instanceof AdminCallError)) throw thrown;
    terminal.problem(thrown.message);
    return FAILED;
  }
}

async function deployed(options: DeployOptions, config: ResolvedConfig, startedMs: number, terminal: Terminal): Promise<number> {
  const { message, signKey, wait, dryRun } = options;
  // Seen before it is compiled: whoever deploys meanwhile makes this one outdated.
  const serving = callAdmin(options, "/v1/releases/current").then(({ release }) => release as Release);
  const [shelf, built] = await Promise.all([
    callAdmin(options, "/v1/releases"),
    buildRelease(config, message, signKey, serving, (warnings) => terminal.warnings(warnings)),
  ]);
  if (!("package" in built)) {
    terminal.problems(built);
    return FAILED;
  }
  if (options.shadow === true) return beginShadow(options, built, options.share ?? DEFAULT_SHARE, options.timeoutMs, terminal);
  const { id, rules } = built.package.release;
  const base = options.base ?? (shelf["head"] as { epoch: number } | null)?.epoch ?? 0;
  terminal.say(`release ${id}: ${rules.length} rule${rules.length === 1 ? "" : "s"}, on top of epoch ${base}`);
  await callAdmin(options, "/v1/releases", built);
  const rollout = await rollOut(options, { release: id, base, kind: "deploy", message }, terminal);
  const code = exitCode(rollout, wait);
  const tookMs = Math.round(performance.now() - startedMs);
  terminal.result({ ...rollout, tookMs }, () => [
    ...gatewayTable(rollout.gateways),
    code === 0
      ? `release ${id} ${dryRun ? "could be activated everywhere; nothing was changed" : `is ${rollout.state}`} (${tookMs} ms)`
      : `release ${id} was not ${rollout.epoch > 0 ? "served everywhere" : "activated anywhere"}: ${rollout.reason}`,
  ]);
  return code;
}
