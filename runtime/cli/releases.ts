/** `sluice releases` and `sluice status`: what there is, and who serves what. */
import type { SeenGateway } from "../control/board.ts";
import type { Head, ShelfEntry } from "../control/release-shelf.ts";
import type { SeenShadow } from "../control/shadow.ts";
import { AdminCallError, type AdminPlace, callAdmin } from "./admin-call.ts";
import { shadowLines } from "./shadow.ts";
import type { CanaryView } from "../control/canary/steward.ts";
import { shareOf } from "../control/canary/canary.ts";
import { viewLines } from "./canary.ts";
import { table } from "./rollout-progress.ts";
import type { Terminal } from "./terminal.ts";

const FAILED = 1;
const LONGEST_MESSAGE = 60;

export function releases(options: AdminPlace, terminal: Terminal): Promise<number> {
  return shown(terminal, async () => {
    const [answer, shadow] = await Promise.all([
      callAdmin(options, "/v1/releases"),
      callAdmin(options, "/v1/shadow") as Promise<unknown> as Promise<SeenShadow>,
    ]);
    const { releases: kept, history, here } = answer as unknown as { releases: ShelfEntry[]; history: Head[]; here: { release: string; epoch: number } };
    const rows = kept.map(({ id, uploadedUnixMs, author, message, commit, signedBy, rules }) => {
      const last = history.find(({ release }) => release === id);
      const canary = history[0]?.canary;
      const epoch =
        canary?.release === id
          ? `  canary ${shareOf(canary) / 100}%`
          : last === undefined
            ? ""
            : `${last.epoch === history[0]?.epoch ? "* " : "  "}${last.epoch}`;
      return [
        shadow.terms?.release === id ? "shadow" : epoch,
        id,
        when(uploadedUnixMs),
        author,
        commit.slice(0, 8),
        String(rules.length),
        signedBy === "" ? "" : "signed",
        message.slice(0, LONGEST_MESSAGE),
      ];
    });
    terminal.result({ ...answer, shadow: shadow.terms }, () =>
      rows.length === 0
        ? [`nothing was deployed yet; this gateway serves what lies in its rules folder (${here.release})`]
        : [...table(["  epoch", "release", "handed in", "by", "commit", "rules", "", "message"], rows), ...shadowLines(shadow)],
    );
    return 0;
  });
}

interface Status {
  readonly state: string;
  readonly version: string;
  readonly release: { readonly id: string; readonly rules: readonly string[] };
  readonly workers: readonly {
    readonly number: number;
    readonly pid: number;
    readonly state: string;
    readonly release: string;
    readonly inFlight: number;
    readonly connections: number;
  }[];
  readonly quarantined: readonly string[];
  readonly upstreams: readonly {
    readonly upstream: string;
    readonly target: string;
    readonly active: number;
    readonly requests: number;
    readonly connectFailures: number;
  }[];
  readonly store: { readonly kind: string; readonly state: string; readonly reason: string };
  /** Left out by gateways of earlier versions. */
  readonly recording?: { readonly recorded: number; readonly dropped: number } | null;
  readonly shadow?: SeenShadow | null;
  readonly deployed: {
    readonly gateway: string;
    readonly epoch: number;
    readonly gateways: readonly SeenGateway[];
    /** Keys of the gateway's config file that differ from what was deployed. */
    readonly drift: readonly string[];
    /** Left out by gateways of earlier versions. */
    readonly running?: CanaryView | null;
  } | null;
}

export function status(options: AdminPlace, terminal: Terminal): Promise<number> {
  return shown(terminal, async () => {
    const answer = await callAdmin(options, "/v1/status");
    terminal.result(answer, () => statusLines(answer as unknown as Status));
    return 0;
  });
}

function statusLines({ shadow = null, recording = null, state, version, release, workers, quarantined, upstreams, store, deployed }: Status): string[] {
  const gateways = deployed?.gateways ?? [];
  const epoch = deployed === null || deployed.epoch === 0 ? "not deployed" : `epoch ${deployed.epoch}`;
  return [
    `${state}, release ${release.id} (${epoch}), ${release.rules.length} rules, sluice ${version}`,
    `store: ${store.kind}, ${store.state}${store.reason === "" ? "" : ` (${store.reason})`}`,
    ...(quarantined.length === 0 ? [] : [`quarantined: ${quarantined.join(", ")}`]),
    ...driftLines(deployed?.drift ?? []),
    ...(deployed?.running ? ["", ...viewLines(deployed.running)] : []),
    "",
    ...table(
      ["gateway", "state", "epoch", "release", ""],
      gateways.map((gateway) => [
        `${gateway.name}${gateway.name === deployed?.gateway ? " *" : ""}`,
        gateway.live ? gateway.state : "away",
        String(gateway.epoch),
        gateway.canary ? `${gateway.release} + ${gateway.canary.release} (${gateway.canary.share / 100}%)` : gateway.release,
        gateway.reason,
      ]),
    ),
    "",
    ...table(
      ["worker", "pid", "state", "release", "in flight", "connections"],
      workers.map((worker) => [String(worker.number), String(worker.pid), worker.state, worker.release, String(worker.inFlight), String(worker.connections)]),
    ),
    "",
    ...table(
      ["upstream", "target", "active", "requests", "failed to connect"],
      upstreams.map((target) => [target.upstream, target.target, String(target.active), String(target.requests), String(target.connectFailures)]),
    ),
    ...(recording === null ? [] : ["", `recording: ${recording.recorded} requests kept for plan --replay, ${recording.dropped} dropped`]),
    ...shadowLines(shadow),
  ];
}

const MOST_KEYS = 12;

function driftLines(keys: readonly string[]): string[] {
  if (keys.length === 0) return [];
  const more = keys.length > MOST_KEYS ? ` and ${keys.length - MOST_KEYS} more` : "";
  return [`config file: differs here from what was deployed, which counts, in ${keys.slice(0, MOST_KEYS).join(", ")}${more}`];
}

async function shown(terminal: Terminal, run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (thrown) {
    if (!(thrown instanceof AdminCallError)) throw thrown;
    terminal.problem(thrown.message);
    return FAILED;
  }
}

function when(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(0, 19).replace("T", " ");
}
