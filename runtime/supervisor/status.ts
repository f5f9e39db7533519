/** What `GET /v1/status` shows: made from the fleet and the workers' last snapshots. Holds no secret. */
import type { WorkerSnapshot } from "../observe/snapshot.ts";
import type { Fleet } from "./fleet.ts";
import type { StoreKind, StoreState } from "../store/store.ts";
import type { StoreProcessStatus } from "./store-process.ts";
import type { WorkerState } from "./worker-process.ts";

export type GatewayState = "starting" | "serving" | "draining" | "stopped";

export interface Reload {
  readonly atUnixMs: number;
  readonly ok: boolean;
  readonly reason: string;
}

export interface SupervisorStatus {
  readonly state: GatewayState;
  readonly version: string;
  readonly pid: number;
  readonly uptimeMs: number;
  readonly configFile: string;
  readonly listeners: readonly { readonly host: string; readonly port: number }[];
  readonly release: { readonly id: string; readonly rules: readonly string[] };
  readonly workers: readonly WorkerStatus[];
  /** How workers ended unasked → how often. */
  readonly workerRestarts: Readonly<Record<string, number>>;
  readonly lastReload: Reload | null;
  /** Rules that are not run any more on at least one worker. */
  readonly quarantined: readonly string[];
  readonly upstreams: readonly UpstreamTargetStatus[];
  readonly store: StoreStatus;
  /** Requests kept for replays by the workers that run; null: none are. */
  readonly recording: { readonly recorded: number; readonly dropped: number } | null;
}

/** What the workers share, as they see it. */
export interface StoreStatus {
  readonly kind: StoreKind;
  /** The worst that a worker finds; `"connecting"` while there is none. */
  readonly state: StoreState;
  /** Why it is not ready; `""` when it is. */
  readonly reason: string;
  readonly liveGateways: number;
  readonly calls: number;
  readonly failures: number;
  readonly timeouts: number;
  readonly outstanding: number;
  /** Of the embedded store; null with Redis. */
  readonly process: StoreProcessStatus | null;
}

export interface WorkerStatus {
  readonly number: number;
  readonly pid: number;
  readonly state: WorkerState;
  readonly uptimeMs: number;
  readonly release: string;
  readonly inFlight: number;
  readonly connections: number;
  readonly sandbox: { readonly activePid: number; readonly sparePid: number; readonly restarts: number; readonly outstanding: number } | null;
}

/** Over all workers together. */
export interface UpstreamTargetStatus {
  readonly upstream: string;
  readonly target: string;
  readonly active: number;
  readonly idle: number;
  readonly requests: number;
  readonly connectFailures: number;
  /** False when no worker could resolve its name. */
  readonly resolved: boolean;
}

export interface StatusParts {
  readonly state: GatewayState;
  readonly version: string;
  readonly startedUnixMs: number;
  readonly nowUnixMs: number;
  readonly fleet: Fleet | null;
  readonly snapshotOf: (worker: number) => WorkerSnapshot | undefined;
  readonly restarts: ReadonlyMap<string, number>;
  readonly lastReload: Reload | null;
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly storeProcess: StoreProcessStatus | null;
}

export function statusOf(parts: StatusParts): SupervisorStatus {
  const { fleet, nowUnixMs } = parts;
  const workers = fleet?.workers ?? [];
  const snapshots = workers.flatMap((worker) => parts.snapshotOf(worker.number) ?? []);
  const release = fleet?.plan.release;
  return {
    state: parts.state,
    version: parts.version,
    pid: process.pid,
    uptimeMs: nowUnixMs - parts.startedUnixMs,
    configFile: fleet?.plan.config.file ?? "",
    listeners: parts.addresses,
    release: { id: release?.id ?? "", rules: release?.rules.map((rule) => rule.manifest.name) ?? [] },
    workers: workers.map((worker): WorkerStatus => {
      const snapshot = parts.snapshotOf(worker.number);
      const sandbox = snapshot?.sandbox ?? null;
      return {
        number: worker.number,
        pid: worker.pid,
        state: worker.state,
        uptimeMs: nowUnixMs - worker.startedUnixMs,
        release: worker.release,
        inFlight: snapshot?.inFlight ?? 0,
        connections: snapshot?.connections.open ?? 0,
        sandbox: sandbox && { activePid: sandbox.activePid, sparePid: sandbox.sparePid, restarts: sandbox.restarts, outstanding: sandbox.outstanding },
      };
    }),
    workerRestarts: Object.fromEntries(parts.restarts),
    lastReload: parts.lastReload,
    quarantined: [...new Set(snapshots.flatMap((snapshot) => snapshot.sandbox?.quarantined ?? []))].sort(),
    upstreams: targetsOf(snapshots),
    store: storeOf(snapshots, parts.storeProcess),
    recording: recordingOf(snapshots),
  };
}

function recordingOf(snapshots: readonly WorkerSnapshot[]): SupervisorStatus["recording"] {
  const all = snapshots.flatMap(({ recording }) => recording ?? []);
  if (all.length === 0) return null;
  return { recorded: all.reduce((sum, { recorded }) => sum + recorded, 0), dropped: all.reduce((sum, { dropped }) => sum + dropped, 0) };
}

/** From best to worst. */
const STORE_STATES: readonly StoreState[] = ["ready", "connecting", "unavailable", "refused"];

function storeOf(snapshots: readonly WorkerSnapshot[], process: StoreProcessStatus | null): StoreStatus {
  const stores = snapshots.map(({ store }) => store);
  const worst = stores.reduce<(typeof stores)[number] | undefined>(
    (worse, store) => (worse !== undefined && STORE_STATES.indexOf(worse.state) >= STORE_STATES.indexOf(store.state) ? worse : store),
    undefined,
  );
  const total = (name: "calls" | "failures" | "timeouts" | "outstanding") => stores.reduce((sum, store) => sum + store[name], 0);
  return {
    kind: process === null ? "redis" : "embedded",
    state: worst?.state ?? "connecting",
    reason: worst?.reason ?? "",
    liveGateways: Math.max(1, ...stores.map(({ liveGateways }) => liveGateways)),
    calls: total("calls"),
    failures: total("failures"),
    timeouts: total("timeouts"),
    outstanding: total("outstanding"),
    process,
  };
}

function targetsOf(snapshots: readonly WorkerSnapshot[]): UpstreamTargetStatus[] {
  const byTarget = new Map<string, UpstreamTargetStatus>();
  for (const { upstream, target, active, idle, requests, connectFailures, resolved } of snapshots.flatMap((snapshot) => snapshot.upstreams)) {
    const key = `${upstream}\0${target}`;
    const sum = byTarget.get(key) ?? { upstream, target, active: 0, idle: 0, requests: 0, connectFailures: 0, resolved: false };
    byTarget.set(key, {
      upstream,
      target,
      active: sum.active + active,
      idle: sum.idle + idle,
      requests: sum.requests + requests,
      connectFailures: sum.connectFailures + connectFailures,
      resolved: sum.resolved || resolved,
    });
  }
  return [...byTarget.values()];
}
