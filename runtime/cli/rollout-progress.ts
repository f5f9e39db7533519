/** Follows a rollout to its end and shows it: a line when something changes, a table of the gateways at the end. */
import type { CanaryConfig } from "../config/resolved.ts";
import type { Rollout, RolloutGateway, RolloutState } from "../control/rollouts.ts";
import { AdminCallError, type AdminPlace, callAdmin } from "./admin-call.ts";
import type { Terminal } from "./terminal.ts";

export interface RolloutOptions extends AdminPlace {
  readonly wait: boolean;
  readonly dryRun: boolean;
  /** For all gateways to prepare. */
  readonly timeoutMs: number;
}
export interface RolloutOrder {
  readonly release: string;
  readonly base: number;
  readonly kind: "deploy" | "rollback";
  readonly message: string;
  /** First on a share of the clients; null: not. */
  readonly canary?: CanaryConfig | null;
}

const POLL_MS = 25;
const LONGEST_POLL_MS = 250;
const RUNNING: ReadonlySet<RolloutState> = new Set(["preparing", "active"]);
/** After the last deadline of the gateway that leads. */
const GRACE_MS = 75_000;

/** Resolves with what came of it. */
export async function rollOut(options: RolloutOptions, order: RolloutOrder, terminal: Terminal): Promise<Rollout> {
  const { dryRun, timeoutMs } = options;
  return followRollout(options, (await callAdmin(options, "/v1/rollouts", { ...order, dryRun, timeoutMs })) as unknown as Rollout, terminal);
}

/** The same for one that has begun. */
export async function followRollout(options: RolloutOptions, begun: Rollout, terminal: Terminal): Promise<Rollout> {
  const { timeoutMs, wait } = options;
  let rollout = begun;
  const untilMs = performance.now() + timeoutMs + GRACE_MS;
  let said = "";
  for (let waitMs = POLL_MS; ; waitMs = Math.min(waitMs * 1.2, LONGEST_POLL_MS)) {
    const line = lineOf(rollout);
    if (line !== said) terminal.say(line);
    said = line;
    if (!RUNNING.has(rollout.state) || (!wait && rollout.state === "active") || performance.now() > untilMs) return rollout;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    rollout = await asked(options, rollout);
  }
}

/** The gateway that leads may be lost on the way; whoever waits must not think that nothing has happened. */
async function asked(place: AdminPlace, { number, release, state }: Rollout): Promise<Rollout> {
  try {
    return (await callAdmin(place, `/v1/rollouts/${number}`)) as unknown as Rollout;
  } catch (thrown) {
    if (!(thrown instanceof AdminCallError)) throw thrown;
    const so = state === "active" ? "is committed, and goes on" : "may have come to its end, or to nothing";
    throw new AdminCallError(
      `${thrown.message}; rollout ${number} of release ${release} ${so} without this command: sluice status (--admin URL of any gateway) shows what serves`,
      {
        cause: thrown,
        code: thrown.code,
      },
    );
  }
}

/** What nobody has waited for is not said to have happened. */
export function unwatched({ state }: Rollout): string {
  return state === "active" ? "; gateways switch now: sluice status shows who serves it, --wait waits for all" : "";
}

/** 0: what was asked for has happened. */
export function exitCode({ state }: Rollout, wait: boolean): number {
  return state === "serving" || state === "checked" || (state === "active" && !wait) ? 0 : 1;
}

function lineOf({ state, gateways, epoch }: Rollout): string {
  const live = gateways.filter(({ live }) => live);
  const count = (wanted: string): string => `${live.filter(({ state }) => state === wanted).length} of ${live.length}`;
  switch (state) {
    case "preparing":
      return live.length === 0 ? "preparing …" : `preparing: ${count("prepared")} gateways are ready`;
    case "active":
      return `epoch ${epoch} is committed${live.length === 0 ? "" : `: ${count("serving")} gateways serve it`}`;
    default:
      return `${state}${epoch === 0 ? "" : ` (epoch ${epoch})`}`;
  }
}

export function gatewayTable(gateways: readonly RolloutGateway[]): string[] {
  return table(
    ["gateway", "state", "epoch", "release", ""],
    gateways.map(({ name, state, epoch, release, reason }) => [name, state, String(epoch), release, reason]),
  );
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  return [head, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("  ")
      .trimEnd(),
  );
}
