/** The proxy core in a worker process: listeners on inherited sockets, one core, hot swaps, drain. */
import { type Cache, cacheSeries } from "../cache/cache.ts";
import type { Clock } from "../clock.ts";
import { systemClock } from "../clock.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import type { ResolvedConfig, RouteConfig } from "../config/resolved.ts";
import type { Observer, WorkerSnapshot } from "../observe/observe.ts";
import { createSandbox } from "../sandbox/client.ts";
import type { Sandbox, Service } from "../sandbox/sandbox.ts";
import type { Outgoing } from "../security/egress.ts";
import { Limiter } from "../ratelimit/ratelimit.ts";
import { createMemoryStore, type Store } from "../store/store.ts";
import { createUpstreams } from "../upstream/groups.ts";
import { Core, type PreparedRelease } from "./core.ts";
import { type Countries, countriesOf } from "./countries.ts";
import { debugTraces } from "./debug.ts";
import { Doors } from "./doors.ts";
import { type ExplainAsk, Explainer, type Explanation } from "./explain.ts";
import { countingSeries } from "../experiments/count/counting.ts";
import { startExperiments } from "./experiments/start.ts";
import { handle } from "./handler.ts";
import { createHttp1Front } from "./http1/front.ts";
import { Previews, type ReleaseSource } from "./previews.ts";
import { type CanaryTerms, endCanary, promoteCanary, runCanary } from "./release-choice.ts";
import type { ListenAt } from "./listener.ts";
import { createEgress, createServices } from "./services.ts";
import type { ShadowOrder } from "./shadow.ts";
import { Watching } from "./watching.ts";
import { witnessed } from "./witness.ts";

export type { PreparedRelease } from "./core.ts";

export interface WorkerInit {
  /** Per-gateway numbers already divided among the workers. */
  readonly config: ResolvedConfig;
  readonly release: Release;
  readonly maps: SourceMaps;
  /** Of each listener in config the descriptors of its socket, which was inherited. */
  readonly listenerFds: readonly (readonly number[])[];
  readonly workerNumber: number;
  /** True: nothing is accepted before `accept`. Left out: at once. */
  readonly standby?: boolean;
  /** What debug headers are signed with. Left out: none counts. */
  readonly debugKey?: string;
  /** What previews are signed with. Left out: none counts until `previewKey`. */
  readonly previewKey?: string;
  /** What runs beside `release`. Left out: nothing. */
  readonly canary?: CanaryStart;
  /** What runs beneath the rules inside the sandboxes. */
  readonly kernel: string;
}

export interface CanaryStart {
  readonly release: Release;
  readonly maps: SourceMaps;
  readonly terms: CanaryTerms;
}

export interface Worker {
  /** Loads a release and serves it. Rejects with a located reason, leaving the old one. */
  swap(release: Release, maps: SourceMaps): Promise<void>;
  /** The first half of a swap; calling what it resolves with is the second and cannot fail. */
  prepare(release: Release, maps: SourceMaps, routes?: readonly RouteConfig[]): Promise<PreparedRelease>;
  /** A canary takes its share: the release that was prepared for it (which is then used up), or with null the one that runs. Throws when neither is its release. */
  runCanary(prepared: PreparedRelease | null, terms: CanaryTerms): void;
  endCanary(): void;
  /** The canary serves. Throws when `release` is none. */
  promoteCanary(release: string): void;
  previewKey(key: string): void;
  /** Begins to accept, unless it has. */
  accept(): Promise<void>;
  /** Stops accepting, lets running exchanges finish. Resolves when none is left or at limits.drain. */
  drain(): Promise<void>;
  snapshot(): WorkerSnapshot;
  /** A release plays a share of the requests beside the one that serves, and is only compared with it; null: none does. Rejects with the reason when it does not load. */
  shadow(order: ShadowOrder | null): Promise<void>;
  /** What a request would get; nothing is sent to an origin. */
  explain(ask: ExplainAsk): Promise<Explanation>;
  close(): Promise<void>;
  readonly core: Core;
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
}

export interface WorkerHooks {
  readonly observer: Observer;
  readonly clock?: Clock;
  /** In place of what config says, for rule tests. */
  readonly countries?: Countries;
  /** In place of the network, for rule tests. */
  readonly egress?: Outgoing;
  /** What this worker shares with the others; closed by whoever opened it. Left out: one of its own, for rule tests. */
  readonly store?: Store;
  /** In place of inherited sockets, for rule tests. */
  readonly listenAt?: readonly ListenAt[];
  /** Releases to preview. Left out: there are none. */
  readonly releases?: ReleaseSource;
  /** False: a rule that keeps breaking sandboxes is run for ever. Left out: true. */
  readonly quarantine?: boolean;
  /** How long a sandbox that owes something may be silent. */
  readonly silenceMs?: number;
  /** In place of a sandbox of its own, for rule tests. */
  readonly createSandbox?: typeof createSandbox;
}

function createLimiter(store: Store, clock: Clock, observer: Observer): Limiter {
  return new Limiter({
    store,
    clock,
    events: {
      charged: (limit, reason, by) => observer.limit(limit, reason, by),
      degraded: (lost, why) =>
        observer.note(lost ? "warn" : "info", "limits", {
          text: lost ? `rate limits are decided without the store: ${why}` : "the store counts rate limits again",
        }),
    },
  });
}

export async function startWorker(init: WorkerInit, hooks: WorkerHooks): Promise<Worker> {
  const { config } = init;
  const { observer, clock = systemClock } = hooks;
  const store = hooks.store ?? createMemoryStore({ clock });
  const limiter = createLimiter(store, clock, observer);
  const services = createServices(config, clock, limiter, hooks.egress ?? createEgress(config), store, () => core.cache);
  const warn = (text: string): void => observer.note("warn", "upstream", { text });
  const upstreams = createUpstreams({ upstreams: config.upstreams, wire: config.limits, clock, warn });
  const explainer = new Explainer();
  const core: Core = new Core({
    config,
    clock,
    observer,
    store,
    limiter,
    upstreams,
    startExperiments: async () => {
      const seat = await startExperiments({ config, clock, store, observer, sandbox: () => core.sandbox, verifyToken: services.verifyToken });
      core.visitorOf = (inputs) => seat.visitorOf(inputs);
      return seat;
    },
    startSandbox: () => startSandbox(core, init.kernel, hooks, explainer, services.table),
  });
  core.countries = hooks.countries ?? countriesOf(config.geo, (level, text) => observer.note(level, "geo", { text }));
  if (init.debugKey !== undefined) core.trace = debugTraces(init.debugKey, observer);
  const watching = new Watching(core, config, init.debugKey, { kernel: init.kernel, services: services.table });
  const seats = releaseSeats(core, init, hooks);
  await core.swap(init.release, init.maps);
  if (init.canary !== undefined) await startCanary(core, init.canary, observer);

  const front = frontOf(core, init.workerNumber);
  const doors = new Doors(core, front, hooks.listenAt ?? init.listenerFds.map((fds) => ({ fds })));
  if (init.standby !== true) await doors.accept();

  return {
    core,
    get addresses() {
      return doors.addresses;
    },
    accept: () => doors.accept(),
    swap: (release, maps) => core.swap(release, maps),
    prepare: (release, maps, routes) => core.prepare(release, maps, routes),
    ...seats,
    shadow: (order) => watching.shadow(order),
    explain: (ask) => explainer.explain(core, ask),
    snapshot: () => ({
      ...observedOf(observer, core.cache, core.experiments),
      ...watching.status(),
      inFlight: core.inFlight,
      connections: { open: front.connections, accepted: doors.accepted },
      ...coreStatus(core),
      upstreams: upstreams.status(),
      limits: limiter.status(),
      store: { ...store.health(), liveGateways: store.liveGateways(), liveMembers: store.liveMembers() },
    }),
    async drain() {
      doors.stopAccepting();
      front.drain();
      await Promise.race([front.idle(), new Promise<void>((resolve) => void clock.after(config.limits.drainMs, resolve))]);
    },
    async close() {
      doors.stopAccepting();
      front.closeAll();
      await watching.close();
      services.close();
      limiter.close();
      await core.close();
    },
  };
}

/** What the core says of its releases, for a snapshot. */
function coreStatus({ sandbox, table, choice }: Core): Pick<WorkerSnapshot, "sandbox" | "release" | "canary"> {
  return {
    sandbox: sandbox?.status() ?? null,
    release: table.releaseId,
    canary: choice === null ? null : { release: choice.canary.releaseId, counts: choice.measure.counts() },
  };
}

function startSandbox(core: Core, kernel: string, hooks: WorkerHooks, explainer: Explainer, services: Readonly<Record<string, Service>>): Promise<Sandbox> {
  const { config, clock, observer } = core;
  return (hooks.createSandbox ?? createSandbox)({
    limits: config.limits,
    vars: config.vars,
    secrets: config.secrets,
    services: explainer.services(witnessed(services)),
    events: explainer.events(core.measured(observer.sandboxEvents)),
    quarantine: hooks.quarantine ?? true,
    tellsReads: config.cache !== null,
    ...(hooks.silenceMs === undefined ? {} : { silenceMs: hooks.silenceMs }),
    kernel,
    now: () => clock.unixMs(),
  });
}

function frontOf(core: Core, worker: number): ReturnType<typeof createHttp1Front> {
  const { config, clock, observer } = core;
  let nextConnection = 0;
  return createHttp1Front({
    limits: config.limits,
    clock,
    scheme: "http",
    connectionId: () => `${worker}.${(nextConnection++).toString(36)}`,
    onExchange: (exchange) => handle(exchange, core),
    onRefused: (error, facts) => observer.refused(error, { clientAddress: facts.remoteAddress, clientPort: facts.remotePort, localPort: facts.localPort }),
  });
}

/** Releases beside the one that serves. */
function releaseSeats(core: Core, init: WorkerInit, { releases }: WorkerHooks): Pick<Worker, "runCanary" | "endCanary" | "promoteCanary" | "previewKey"> {
  const previews = releases === undefined ? null : new Previews(core, releases);
  core.previews = previews;
  if (previews !== null) previews.key = init.previewKey ?? "";
  return {
    runCanary: (prepared, terms) => runCanary(core, prepared?.table ?? null, terms),
    endCanary: () => endCanary(core),
    promoteCanary: (release) => promoteCanary(core, release),
    previewKey(key) {
      if (previews !== null) previews.key = key;
    },
  };
}

/** A canary that does not load must not keep what serves from starting. It shows: this worker reports none. */
async function startCanary(core: Core, { release, maps, terms }: CanaryStart, observer: Observer): Promise<void> {
  try {
    runCanary(core, await core.hold(release, maps), terms);
  } catch (thrown) {
    observer.note("error", "canary-not-loaded", { release: release.id, reason: thrown instanceof Error ? thrown.message : String(thrown) });
  }
}

/** The cache counts for itself, in plain numbers. */
function observedOf(observer: Observer, cache: Cache | null, experiments: Core["experiments"]): Pick<WorkerSnapshot, "observed" | "cache"> {
  const snapshot = observer.snapshot();
  const counting = experiments?.parts.counting ?? null;
  const observed = counting === null ? snapshot : { ...snapshot, counters: { ...snapshot.counters, ...countingSeries(counting.status()) } };
  if (cache === null) return { observed };
  const { counts, evictions, entries, bytes, limitBytes } = cache.status();
  return { observed: { ...observed, counters: { ...observed.counters, ...cacheSeries(counts, evictions) } }, cache: { entries, bytes, limitBytes } };
}
