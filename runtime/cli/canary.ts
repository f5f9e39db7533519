/** A canary on the command line: how a deploy asks for one, how it is followed to its end, what its steps look like. */
import { stepsProblem } from "../config/canary.ts";
import type { CanaryConfig } from "../config/resolved.ts";
import type { CanaryEnd } from "../control/canary/canary.ts";
import type { MetricPicture, Picture } from "../control/canary/judgement.ts";
import type { CanaryView } from "../control/canary/steward.ts";
import type { SeenGateway } from "../control/board.ts";
import { type AdminPlace, callAdmin } from "./admin-call.ts";
import { table } from "./rollout-progress.ts";
import type { Terminal } from "./terminal.ts";

export interface CanaryOptions {
  /** In ten-thousandths; true: the config's first step. Left out with the rest: no canary. */
  readonly canary?: number | true;
  readonly steps?: readonly number[];
  readonly stepDuration?: number;
  readonly minimumSample?: number;
}

export interface CanaryAnswer {
  readonly running: CanaryView | null;
  readonly last: CanaryEnd | null;
}

const POLL_MS = 500;
/** A picture that only grew is shown so often. */
const SHOW_EVERY_MS = 10_000;
const LONGEST_WAIT_MS = 24 * 60 * 60_000;
const SERVED_DEADLINE_MS = 30_000;
const SHARES = new Set<string>(["exceptions", "timeouts", "errors"]);

/** What the options and the config make together. Null: no canary is asked for; a string: what is wrong. */
export function canaryPolicy({ canary, steps, stepDuration, minimumSample }: CanaryOptions, config: CanaryConfig): CanaryConfig | string | null {
  if (canary === undefined && steps === undefined)
    return stepDuration === undefined && minimumSample === undefined ? null : "found --step-duration or --minimum-sample without --canary";
  const all = steps ?? config.steps;
  const policy = {
    ...config,
    steps: typeof canary === "number" ? [canary, ...all.filter((share) => share > canary)] : all,
    stepMs: stepDuration ?? config.stepMs,
    minimumUnits: minimumSample ?? config.minimumUnits,
  };
  return stepsProblem(policy.steps) || policy;
}

/** Until it is promoted or taken back. Resolves with how it ended, and whether every live gateway serves what it is to. */
export async function followCanary(
  place: AdminPlace,
  release: string,
  terminal: Terminal,
): Promise<{ readonly end: CanaryEnd | null; readonly served: boolean }> {
  const untilMs = performance.now() + LONGEST_WAIT_MS;
  let said = "";
  let shownMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    const { running, last } = await canaryOf(place);
    if (running?.canary.release !== release) {
      const end = last?.release === release ? last : null;
      return { end, served: end?.outcome === "promoted" && (await isServed(place, release)) };
    }
    const { picture, canary } = running;
    const what = `${canary.at} ${picture?.verdict ?? ""}`;
    if (what !== said || performance.now() - shownMs > SHOW_EVERY_MS) {
      for (const line of viewLines(running)) terminal.say(line);
      said = what;
      shownMs = performance.now();
    }
    if (performance.now() > untilMs) return { end: null, served: false };
    await pause();
  }
}

export async function canaryOf(place: AdminPlace): Promise<CanaryAnswer> {
  return (await callAdmin(place, "/v1/canary")) as unknown as CanaryAnswer;
}

async function isServed(place: AdminPlace, release: string): Promise<boolean> {
  for (const untilMs = performance.now() + SERVED_DEADLINE_MS; ; await pause()) {
    const { deployed } = (await callAdmin(place, "/v1/status")) as unknown as { deployed: { gateways: readonly SeenGateway[] } };
    const live = deployed.gateways.filter((gateway) => gateway.live);
    if (live.length > 0 && live.every((gateway) => gateway.release === release && gateway.state === "serving")) return true;
    if (performance.now() > untilMs) return false;
  }
}

/** What runs, and how its step looks. */
export function viewLines({ canary, picture }: CanaryView): string[] {
  const { steps, at, release } = canary;
  const path = steps.map((share, i) => (i === at ? `[${percentText(share)}]` : percentText(share))).join(" → ");
  const waits = at + 1 === steps.length && picture?.verdict === "advance";
  return [
    `canary ${release}: ${path}`,
    ...(picture === null ? ["  no counts yet"] : pictureLines(picture)),
    ...(waits ? ["  this is its last step: it waits for sluice promote, or sluice rollback"] : []),
  ];
}

export function endLines({ release, outcome, because, reason, pictures }: CanaryEnd): string[] {
  const how =
    outcome === "promoted" ? "was promoted" : outcome === "replaced" ? "was replaced" : because === "breach" ? "was taken back by itself" : "was taken back";
  return [
    ...pictures.flatMap((picture) => [`${percentText(picture.share)}:`, ...pictureLines(picture)]),
    `canary ${release} ${how}: ${reason}`,
    ...(because === "breach"
      ? [`what failed stands in the gateways' logs with release ${release}; sluice releases preview ${release} shows it to you alone`]
      : []),
  ];
}

function pictureLines({ canary, current, metrics, verdict, reason }: Picture): string[] {
  return [
    `  ${canary.units} clients (${canary.requests} requests) on it, ${current.units} (${current.requests}) on what serves`,
    ...table(
      ["  metric", "canary", "serving", "increase", "allowed", ""],
      metrics.map((metric) => [
        `  ${metric.metric}${metric.rule === "" ? "" : ` ${metric.rule}`}`,
        valueText(metric, metric.canary),
        valueText(metric, metric.current),
        intervalText(metric),
        percentText(metric.limit * 10_000),
        metric.outcome,
      ]),
    ),
    `  ${verdict}: ${reason}`,
  ];
}

function valueText({ metric }: MetricPicture, value: number | null): string {
  if (value === null) return "-";
  if (SHARES.has(metric)) return percentText(value * 10_000);
  return metric === "cpu" ? `${rounded(value)} µs` : `${rounded(value)} ms`;
}

function intervalText({ increase }: MetricPicture): string {
  return increase === null ? "-" : `${percentText(increase.low * 10_000)} to ${increase.high === null ? "?" : percentText(increase.high * 10_000)}`;
}

function percentText(tenThousandths: number): string {
  return `${rounded(tenThousandths / 100)}%`;
}
function rounded(value: number): string {
  return String(Number(value.toPrecision(3)));
}
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
