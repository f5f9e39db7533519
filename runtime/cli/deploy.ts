/** `sluice deploy`: compile, check, hand in, activate on every gateway or on none. */
import { loadConfig } from "../config/config.ts";
import type { Release } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { type AdminPlace, callAdmin, reaching } from "./admin-call.ts";
import { type CanaryOptions, canaryPolicy, endLines, followCanary } from "./canary.ts";
import { buildRelease } from "./release-build.ts";
import type { Rollout } from "../control/rollouts.ts";
import { holding } from "./release-words.ts";
import { exitCode, gatewayTable, rollOut, unwatched } from "./rollout-progress.ts";
import { beginShadow, endShadow } from "./shadow.ts";
import type { Terminal } from "./terminal.ts";

export interface DeployOptions extends AdminPlace, CanaryOptions {
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
  if (options.shadow !== undefined && (options.canary !== undefined || options.dryRun)) {
    terminal.problem("found --shadow with --canary or --dry-run, expected it alone: a shadow release serves nobody");
    return BAD_USAGE;
  }
  const { config, warnings } = await loadConfig(options.config);
  for (const warning of warnings) terminal.warn(warning);
  return reaching(terminal, async () => {
    if (options.shadow === "off") return await endShadow(options, terminal);
    return await deployed(options, config, startedMs, terminal);
  });
}

async function deployed(options: DeployOptions, config: ResolvedConfig, startedMs: number, terminal: Terminal): Promise<number> {
  const { message, signKey, wait, dryRun } = options;
  const canary = canaryPolicy(options, config.releases.canary);
  if (typeof canary === "string") {
    terminal.problem(canary);
    return BAD_USAGE;
  }
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
  terminal.say(`release ${id}: ${holding(rules)}, on top of epoch ${base}`);
  await callAdmin(options, "/v1/releases", built);
  const rollout = await rollOut(options, { release: id, base, kind: "deploy", message, canary }, terminal);
  if (canary !== null && wait && rollout.state === "serving") return canaryEnd(options, rollout, startedMs, terminal);
  const code = exitCode(rollout, wait);
  const tookMs = Math.round(performance.now() - startedMs);
  terminal.result({ ...rollout, tookMs }, () => [
    ...gatewayTable(rollout.gateways),
    code === 0
      ? `release ${id} ${dryRun ? "could be activated everywhere; nothing was changed" : canary === null ? `is ${rollout.state}` : `is a canary on ${canary.steps[0]! / 100}% of the clients`} (${tookMs} ms)${unwatched(rollout)}`
      : `release ${id} was not ${rollout.epoch > 0 ? "served everywhere" : "activated anywhere"}: ${rollout.reason}`,
  ]);
  return code;
}

/** It serves its first share everywhere; from here on the gateways decide. */
async function canaryEnd(options: DeployOptions, rollout: Rollout, startedMs: number, terminal: Terminal): Promise<number> {
  const { release } = rollout;
  terminal.say(`release ${release} is a canary since epoch ${rollout.epoch}; it goes on without this command`);
  const { end, served } = await followCanary(options, release, terminal);
  const tookMs = Math.round(performance.now() - startedMs);
  terminal.result({ ...rollout, canary: end, served, tookMs }, () => [
    ...(end === null ? [`canary ${release} is not over, or another one has begun`] : endLines(end)),
    ...(end?.outcome === "promoted" && !served ? [`release ${release} is not served everywhere yet: see sluice status`] : []),
  ]);
  return served ? 0 : FAILED;
}
