/** `sluice promote`: the canary serves, or takes its next share. */
import { WHOLE } from "../control/canary/canary.ts";
import type { Rollout } from "../control/rollouts.ts";
import { callAdmin, reaching } from "./admin-call.ts";
import { canaryOf, viewLines } from "./canary.ts";
import { exitCode, followRollout, gatewayTable, type RolloutOptions, unwatched } from "./rollout-progress.ts";
import type { Terminal } from "./terminal.ts";

export interface PromoteOptions extends RolloutOptions {
  readonly message: string;
  /** Only the next step. */
  readonly step: boolean;
}

const FAILED = 1;

export async function promote(options: PromoteOptions, terminal: Terminal): Promise<number> {
  const action = options.step ? "step" : "promote";
  return reaching(terminal, async () => {
    const { running } = await canaryOf(options);
    if (running === null) {
      terminal.problem("found no canary that runs, expected one that sluice deploy --canary began");
      return FAILED;
    }
    const { release, steps, at } = running.canary;
    const share = steps[at + 1] ?? WHOLE;
    const hasNext = share < WHOLE;
    if (options.dryRun) {
      const next = !options.step
        ? "would serve everybody"
        : hasNext
          ? `would take ${share / 100}%`
          : "has no step left; sluice promote lets it serve everybody";
      terminal.result({ action, canary: running, dryRun: true }, () => [...viewLines(running), `release ${release} ${next}; nothing was changed`]);
      return 0;
    }
    return await endWith(options, action, options.step ? `canary ${release} takes ${share / 100}% of the clients` : `release ${release} is promoted`, terminal);
  });
}

/** Changes the canary that runs. */
export async function endWith(
  options: RolloutOptions & { readonly message: string },
  action: "promote" | "step" | "rollback",
  done: string,
  terminal: Terminal,
): Promise<number> {
  const startedMs = performance.now();
  const begun = (await callAdmin(options, "/v1/canary", { action, message: options.message })) as unknown as Rollout;
  const rollout = await followRollout(options, begun, terminal);
  const code = exitCode(rollout, options.wait);
  const tookMs = Math.round(performance.now() - startedMs);
  terminal.result({ ...rollout, tookMs }, () => [
    ...gatewayTable(rollout.gateways),
    code === 0 ? `${done} (epoch ${rollout.epoch}, ${tookMs} ms)${unwatched(rollout)}` : `epoch ${rollout.epoch} is not served everywhere: ${rollout.reason}`,
  ]);
  return code;
}
