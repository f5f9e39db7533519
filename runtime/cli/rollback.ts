/** `sluice rollback`: ends a canary, or a release that is kept serves again; nothing is built. */
import type { Head, ShelfEntry } from "../control/release-shelf.ts";
import type { CanaryView } from "../control/canary/steward.ts";
import { callAdmin, reaching } from "./admin-call.ts";
import { canaryOf, viewLines } from "./canary.ts";
import { endWith } from "./promote.ts";
import { exitCode, gatewayTable, rollOut, type RolloutOptions } from "./rollout-progress.ts";
import type { Terminal } from "./terminal.ts";

export interface RollbackOptions extends RolloutOptions {
  readonly message: string;
  readonly args: readonly [string | undefined];
}

const FAILED = 1;
const BAD_USAGE = 2;

/** A canary that runs is what there is to take back; nobody is asked first, and nothing is loaded. */
async function canaryBack(options: RollbackOptions, running: CanaryView, terminal: Terminal): Promise<number> {
  const { release } = running.canary;
  if (!options.dryRun) return endWith(options, "rollback", `canary ${release} is taken back`, terminal);
  terminal.result({ action: "rollback", canary: running, dryRun: true }, () => [
    ...viewLines(running),
    `canary ${release} would be taken back; nothing was changed`,
  ]);
  return 0;
}

export async function rollback(options: RollbackOptions, terminal: Terminal): Promise<number> {
  const startedMs = performance.now();
  return reaching(terminal, async () => {
    const { running } = await canaryOf(options);
    if (running !== null && options.args[0] === undefined) return await canaryBack(options, running, terminal);
    const { releases, history } = (await callAdmin(options, "/v1/releases")) as unknown as { releases: ShelfEntry[]; history: Head[] };
    const [head] = history;
    const asked = options.args[0] ?? history.find(({ release }) => release !== head?.release)?.release;
    if (head === undefined || asked === undefined) {
      terminal.problem(`found ${head === undefined ? "no release that was ever deployed" : `only ${head.release}`}, expected one that served before`);
      return FAILED;
    }
    const fits = releases.filter(({ id }) => id.startsWith(asked));
    if (fits.length !== 1) {
      terminal.problem(
        `found ${fits.length === 0 ? "no release" : fits.map(({ id }) => id).join(" and ")} for "${asked}", expected one that sluice releases lists`,
      );
      return BAD_USAGE;
    }
    const release = fits[0]!.id;
    const rollout = await rollOut(options, { release, base: head.epoch, kind: "rollback", message: options.message }, terminal);
    const code = exitCode(rollout, options.wait);
    const tookMs = Math.round(performance.now() - startedMs);
    terminal.result({ ...rollout, tookMs }, () => [
      ...gatewayTable(rollout.gateways),
      code === 0 ? `back on release ${release} (${tookMs} ms)` : `release ${release} was not activated: ${rollout.reason}`,
    ]);
    return code;
  });
}
