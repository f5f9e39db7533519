/** `sluice releases` and `sluice status`: what there is, and who serves what. */
import type { Proposal, SeenGateway } from "../control/board.ts";
import type { Head, ShelfEntry } from "../control/release-shelf.ts";
import type { SeenShadow } from "../control/shadow.ts";
import { AdminCallError, type AdminPlace, callAdmin, reaching } from "./admin-call.ts";
import { shadowLines } from "./shadow.ts";
import type { CanaryView } from "../control/canary/steward.ts";
import { type CanaryEnd, shareOf } from "../control/canary/canary.ts";
import { endLines, viewLines } from "./canary.ts";
import { table } from "./rollout-progress.ts";
import { counted } from "./release-words.ts";
import { momentText, type Terminal } from "./terminal.ts";

const LONGEST_MESSAGE = 60;

export function releases(options: AdminPlace, terminal: Terminal): Promise<number> {
  return reaching(terminal, async () => {
    const [answer, shadow] = await Promise.all([
      callAdmin(options, "/v1/releases"),
      callAdmin(options, "/v1/shadow") as Promise<unknown> as Promise<SeenShadow>,
    ]);
    const { releases: kept, history, here } = answer as unknown as { releases: ShelfEntry[]; history: Head[]; here: { release: string; epoch: number } };
    const rows = kept.map((entry) => {
      const { id, uploadedUnixMs, author, commit, signedBy, rules } = entry;
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
        momentText(uploadedUnixMs),
        author,
        commitText(commit),
        String(rules.length),
        signedBy === "" ? "" : "signed",
        messageOf(entry, history).slice(0, LONGEST_MESSAGE),
      ];
    });
    terminal.result({ ...answer, shadow: shadow.terms }, () =>
      rows.length === 0
        ? [`nothing was deployed yet; this gateway serves what lies in its rules folder (${here.release})`]
        : [...table(["  epoch", "release", "handed in", "by", "commit", "modules", "", "message"], rows), ...shadowLines(shadow)],
    );
    return 0;
  });
}

/** "+": what was deployed is not what was committed. */
function commitText(commit: string): string {
  return `${commit.slice(0, 8)}${commit.endsWith("+") ? "+" : ""}`;
}

/** Of the deploy that last made it serve, or a canary. One that was only handed in says what it was handed in with: the same content handed in again stays as it is. */
function messageOf({ id, message }: ShelfEntry, history: readonly Head[]): string {
  const last = history.find(({ kind, release, canary }) => (kind === "deploy" && release === id) || (kind === "canary" && canary?.release === id));
  return last?.message || message;
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
    /** That every gateway is asked about. */
    readonly rollout?: Pick<Proposal, "number" | "release" | "by" | "dryRun"> | null;
  } | null;
}

export function status(options: AdminPlace, terminal: Terminal): Promise<number> {
  return reaching(terminal, async () => {
    const answer = await callAdmin(options, "/v1/status");
    const shown = answer as unknown as Status;
    const ended = shown.deployed === null || shown.store.state !== "ready" ? null : await endedLast(options);
    terminal.result(answer, () => [...statusLines(shown), ...(ended === null ? [] : ["", ...endLines(ended)])]);
    return 0;
  });
}

/** The canary that was taken back last, until something else is deployed. */
async function endedLast(options: AdminPlace): Promise<CanaryEnd | null> {
  try {
    const { history } = (await callAdmin(options, "/v1/releases")) as unknown as { history: Head[] };
    const ended = history[0]?.ended;
    return ended?.outcome === "rolled-back" ? ended : null;
  } catch (thrown) {
    // The store went away between the two questions, and the status says so the next time.
    if (thrown instanceof AdminCallError) return null;
    throw thrown;
  }
}

function statusLines({ shadow = null, recording = null, state, version, release, workers, quarantined, upstreams, store, deployed }: Status): string[] {
  const gateways = deployed?.gateways ?? [];
  const epoch = deployed === null || deployed.epoch === 0 ? "not deployed" : `epoch ${deployed.epoch}`;
  return [
    `${state}, release ${release.id} (${epoch}), ${counted(release.rules.length, "module")}, sluice ${version}`,
    `store: ${store.kind}, ${store.state}${store.reason === "" ? "" : ` (${store.reason})`}`,
    ...(quarantined.length === 0 ? [] : [`quarantined: ${quarantined.join(", ")}`]),
    ...driftLines(deployed?.drift ?? []),
    ...(deployed === null
      ? []
      : store.state === "ready"
        ? everywhereLines(deployed)
        : ["the store is away: what other gateways serve is told as it was known last"]),
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

/** Is it live everywhere? */
function everywhereLines({ gateways, epoch: own, rollout = null }: NonNullable<Status["deployed"]>): string[] {
  const epoch = Math.max(own, ...gateways.map((gateway) => gateway.epoch));
  const live = gateways.filter((gateway) => gateway.live);
  const away = gateways.filter((gateway) => !gateway.live).map(({ name }) => name);
  const serving = live.filter((gateway) => gateway.epoch === epoch && gateway.state !== "behind" && gateway.state !== "activating");
  const left = live.filter((gateway) => !serving.includes(gateway)).map(({ name, reason }) => (reason === "" ? name : `${name}: ${reason}`));
  const missing = [...(left.length === 0 ? [] : [`not by ${left.join("; ")}`]), ...(away.length === 0 ? [] : [`away: ${away.join(", ")}`])];
  return [
    ...(epoch === 0 || live.length === 0
      ? []
      : [
          `epoch ${epoch} is served by ${left.length === 0 ? "every" : `${serving.length} of ${live.length}`} live gateway${left.length === 0 ? "" : "s"}${missing.length === 0 ? "" : `; ${missing.join("; ")}`}`,
        ]),
    ...(rollout === null
      ? []
      : [`rollout ${rollout.number}: release ${rollout.release} by ${rollout.by || "somebody"} is being prepared${rollout.dryRun ? " (a dry run)" : ""}`]),
  ];
}

const MOST_KEYS = 12;

function driftLines(keys: readonly string[]): string[] {
  if (keys.length === 0) return [];
  const more = keys.length > MOST_KEYS ? ` and ${keys.length - MOST_KEYS} more` : "";
  return [
    `config file: as it was read last (at the start, or by SIGHUP) it differs here from what was deployed, which counts, in ${keys.slice(0, MOST_KEYS).join(", ")}${more}`,
  ];
}
