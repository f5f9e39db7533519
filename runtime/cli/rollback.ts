/** `sluice rollback`: ends a canary, or a release that is kept serves again; nothing is built. */
import type { Head, ShelfEntry } from "../control/release-shelf.ts";
import type { CanaryView } from "../control/canary/steward.ts";
import { callAdmin, reaching } from "./admin-call.ts";
import { canaryOf, viewLines } from "./canary.ts";
import { endWith } from "./promote.ts";
import { exitCode, gatewayTable, rollOut, type RolloutOptions, unwatched } from "./rollout-progress.ts";
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
    const asked = options.args[0] ?? releaseBefore(history);
    if (head === undefined || asked === null) {
      terminal.problem(head === undefined ? "found no release that was ever deployed, expected one that served before" : nothingBefore(history));
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
    terminal.say(`from release ${head.release} to ${release}, on top of epoch ${head.epoch}`);
    const rollout = await rollOut(options, { release, base: head.epoch, kind: "rollback", message: options.message }, terminal);
    const code = exitCode(rollout, options.wait);
    const tookMs = Math.round(performance.now() - startedMs);
    const what = rollout.state === "checked" ? `release ${release} could serve again everywhere; nothing was changed` : `back on release ${release}`;
    terminal.result({ ...rollout, tookMs }, () => [
      ...gatewayTable(rollout.gateways),
      code === 0
        ? `${what} (${tookMs} ms)${unwatched(rollout)}`
        : `release ${release} was not ${rollout.epoch > 0 ? "served everywhere" : "activated anywhere"}: ${rollout.reason}`,
    ]);
    return code;
  });
}

/**
 * What served before what serves, leaving out what a rollback has left: who asks twice, or at the same time as somebody else, must not get the release
 * back that was taken away. Null: there is none. `history`: newest first.
 */
export function releaseBefore(history: readonly Pick<Head, "kind" | "release">[]): string | null {
  const known = new Set<string>();
  let served: string[] = [];
  for (const { kind, release } of history.toReversed()) {
    const at = served.lastIndexOf(release);
    if (kind === "rollback" && at >= 0) served.length = at + 1;
    // Older than all that is remembered.
    else if (kind === "rollback" && !known.has(release)) served = [release];
    else if (served.at(-1) !== release) served.push(release);
    known.add(release);
  }
  return served.at(-2) ?? null;
}

function nothingBefore(history: readonly Head[]): string {
  const [head] = history;
  const left = [...new Set(history.map(({ release }) => release))].filter((release) => release !== head!.release);
  if (left.length === 0) return `found only ${head!.release}, which serves, expected one that served before`;
  return `found nothing before ${head!.release} that was not taken back itself (${left.join(", ")}), expected the one that is meant: sluice rollback ID`;
}
