/** What a worker tells the supervisor about itself: plain data that crosses the IPC channel, and that can be added up. */
import type { CanaryCounts } from "./canary-counts.ts";
import type { ShadowStatus } from "../proxy/shadow-status.ts";
import type { SandboxStatus } from "../sandbox/sandbox.ts";
import type { StoreHealth } from "../store/store.ts";
import type { TargetStatus } from "../upstream/upstreams.ts";

/** Label values in the order of the family's label names, and the count. */
export type CounterSeries = readonly (readonly [labels: readonly string[], value: number])[];

/** `counts` has one entry for each bound of the family and one more for what lies above the last; they are not cumulative. */
export type HistogramSeries = readonly (readonly [labels: readonly string[], counts: readonly number[], sum: number])[];

/** Counters never go down within one worker. Names are keys of `COUNTERS` and `HISTOGRAMS` in `families.ts`. */
export interface CounterSnapshot {
  readonly counters: Readonly<Record<string, CounterSeries>>;
  readonly histograms: Readonly<Record<string, HistogramSeries>>;
  /** `ctx.metric` of rules: metric name → label sets. */
  readonly custom: readonly CustomSeries[];
}

export interface CustomSeries {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** How the store is doing, as one worker sees it. */
export interface StoreSnapshot extends StoreHealth {
  readonly liveGateways: number;
  readonly liveMembers: number;
}

/** Made by `Worker.snapshot()`. Everything outside `observed` is how things stand at this moment. */
export interface WorkerSnapshot {
  readonly observed: CounterSnapshot;
  readonly inFlight: number;
  readonly connections: { readonly open: number; readonly accepted: number };
  readonly upstreams: readonly TargetStatus[];
  /** Rate limits: is the store lost to them, and what is held under limits with algorithm `concurrency`. Left out by what knows no limits. */
  readonly limits?: { readonly degraded: boolean; readonly inFlight: number };
  /** The memory of the cache. Left out where nothing is cached. */
  readonly cache?: { readonly entries: number; readonly bytes: number; readonly limitBytes: number };
  /** A release that is only compared. Left out: there is none. */
  readonly shadow?: ShadowStatus;
  /** Requests kept for replays. Left out: none are. */
  readonly recording?: { readonly recorded: number; readonly dropped: number };
  readonly sandbox: SandboxStatus | null;
  readonly store: StoreSnapshot;
  /** Id of the release that new exchanges use. */
  readonly release: string;
  /** What runs beside it, and what was counted at this step. Left out or null: nothing does. */
  readonly canary?: { readonly release: string; readonly counts: CanaryCounts } | null;
}
