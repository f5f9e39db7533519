/** What this gateway tells and does for whoever asks: status, metrics, readiness and purges, and the listener of the admin API that lets them ask. */
import type { PurgeOrder, PurgeReport } from "../cache/cache.ts";
import type { Clock } from "../clock.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { startAdmin, type Admin, type AdminGateway, type AdminOptions } from "../control/admin.ts";
import { adminToken } from "../control/admin-token.ts";
import type { Audit } from "../control/audit.ts";
import { debugEndpoint } from "../control/debug.ts";
import { experimentEndpoints } from "../control/experiment-endpoints.ts";
import { explainEndpoint } from "../control/explain.ts";
import { recordingEndpoints } from "../control/recordings.ts";
import { releaseEndpoints } from "../control/release-endpoints.ts";
import { shadowEndpoints } from "../control/shadow.ts";
import { tailEndpoint } from "../control/tail.ts";
import type { Deployments } from "./deployments.ts";
import type { Experiments } from "./experiments.ts";
import type { Fleet } from "./fleet.ts";
import type { GatewayStore } from "./gateway-store.ts";
import { StartError } from "./start-error.ts";
import { statusOf, type GatewayState, type Reload, type SupervisorStatus } from "./status.ts";
import type { Tails } from "./tails.ts";
import type { WorkerWatch } from "./worker-watch.ts";

export interface AdminSurfaceParts {
  readonly version: string;
  readonly clock: Clock;
  readonly startedUnixMs: number;
  readonly log: AdminOptions["log"];
  /** What debug headers are signed with. */
  readonly debugKey: string;
  readonly tails: Tails;
  readonly store: GatewayStore;
  readonly watch: WorkerWatch;
  readonly audit: (config: ResolvedConfig) => Audit;
  readonly tokens: NonNullable<AdminOptions["tokens"]>;
  readonly state: () => GatewayState;
  /** Null: not started yet. */
  readonly fleet: () => Fleet | null;
  /** Null: this gateway takes none. */
  readonly deployments: () => Deployments | null;
  /** Null: not followed yet. */
  readonly experiments: () => Experiments | null;
  readonly lastReload: () => Reload | null;
  readonly addresses: () => SupervisorStatus["listeners"];
}

/** A listener for another config, while that is tried. */
export interface Reopened {
  /** It serves: where it has an address of its own, the last one closes. */
  keep(): Promise<void>;
  /** The last one goes on alone. */
  undo(): Promise<void>;
}

const SCRAPE_DEADLINE_MS = 1_000;

export class AdminSurface {
  readonly #parts: AdminSurfaceParts;
  #admin: Admin | null = null;

  constructor(parts: AdminSurfaceParts) {
    this.#parts = parts;
  }

  /** Null: nothing listens. */
  get address(): Admin["address"] | null {
    return this.#admin?.address ?? null;
  }

  async open(config: ResolvedConfig): Promise<void> {
    this.#admin = await this.#listen(config);
  }

  /** Rejects when the listener that is open can't be kept and another can't be opened. */
  async reopen(config: ResolvedConfig, last: ResolvedConfig): Promise<Reopened> {
    const before = this.#admin;
    if (sameAddress(config, last)) {
      if (config.admin?.tls !== undefined) before?.renew(config.admin.tls);
      return { keep: () => Promise.resolve(), undo: () => Promise.resolve() };
    }
    const opened = await this.#listen(config);
    return {
      keep: async () => {
        this.#admin = opened;
        await before?.close();
      },
      undo: async () => opened?.close(),
    };
  }

  async close(): Promise<void> {
    await this.#admin?.close();
    this.#admin = null;
  }

  async #listen(config: ResolvedConfig): Promise<Admin | null> {
    if (config.admin === null) return null;
    const { version, clock, log, debugKey, tails, tokens, deployments, experiments, fleet } = this.#parts;
    const token = await adminToken(config.stateDir, process.env["SLUICE_ADMIN_TOKEN"]);
    const audit = this.#parts.audit(config);
    return startAdmin({
      listen: config.admin,
      token,
      tokens,
      gateway: this.#asked(),
      version,
      endpoints: [
        ...releaseEndpoints(() => deployments()?.desk ?? null),
        tailEndpoint(tails),
        debugEndpoint(debugKey, () => clock.unixMs()),
        ...shadowEndpoints(() => deployments()?.shadowing ?? null),
        ...recordingEndpoints(() => deployments()?.desk?.recordings ?? null),
        ...experimentEndpoints(() => experiments()?.desk ?? null),
        explainEndpoint((ask) => fleet()?.serving[0]?.explain(ask) ?? null),
      ],
      audit: (deed) => audit.deed(deed),
      log,
    });
  }

  #asked(): AdminGateway {
    return {
      notReady: () => this.#notReady(),
      metrics: () => this.metrics(),
      purge: (order) => this.#purge(order),
      status: async () => {
        await this.#poll();
        const deployments = this.#parts.deployments();
        return { ...this.status(), deployed: deployments?.status() ?? null, shadow: deployments?.shadowing?.seen ?? null };
      },
    };
  }

  #poll(): Promise<void> {
    return this.#parts.watch.poll(this.#parts.fleet()?.workers ?? [], SCRAPE_DEADLINE_MS);
  }

  status(): SupervisorStatus {
    const { version, clock, startedUnixMs, store, watch, state, fleet, lastReload, addresses } = this.#parts;
    return statusOf({
      state: state(),
      version,
      startedUnixMs,
      nowUnixMs: clock.unixMs(),
      fleet: fleet(),
      snapshotOf: (worker) => watch.book.latest(worker),
      restarts: watch.restarts,
      lastReload: lastReload(),
      addresses: addresses(),
      storeProcess: store.status,
    });
  }

  async metrics(): Promise<string> {
    await this.#poll();
    const { version, startedUnixMs, store, watch } = this.#parts;
    const fleet = this.#parts.fleet();
    return watch.book.render({
      version,
      release: fleet?.plan.release.id ?? "",
      startedUnixMs,
      workersWanted: fleet?.wanted ?? 0,
      workersServing: fleet?.serving.length ?? 0,
      workerRestarts: watch.restarts,
      embeddedStore: store.status,
    });
  }

  /** One worker tells all others, here and elsewhere, through the store; without it at least the workers of this gateway are told. */
  async #purge(order: PurgeOrder): Promise<PurgeReport | null> {
    const reason = this.#notReady();
    const fleet = this.#parts.fleet();
    if (fleet === null || reason !== "") throw new StartError([reason]);
    if (fleet.plan.config.cache === null) return null;
    const [first, ...others] = fleet.serving;
    const report = await first!.purge(order, true);
    if (report.reason !== "") await Promise.allSettled(others.map((worker) => worker.purge(order, false)));
    return report;
  }

  /** "" when it is. */
  #notReady(): string {
    const state = this.#parts.state();
    if (state !== "serving") return `the gateway is ${state}`;
    return this.#parts.fleet()?.serving.length ? "" : "no worker serves";
  }
}

function sameAddress(a: ResolvedConfig, b: ResolvedConfig): boolean {
  const [now, before] = [a.admin, b.admin];
  if (now?.host !== before?.host || now?.port !== before?.port) return false;
  const asks = (admin: typeof now): string => (admin?.tls === undefined ? "" : admin.tls.clientCaFile === "" ? "tls" : "tls with client certificates");
  if (asks(now) !== asks(before))
    throw new StartError(["admin.tls: a listener that is open keeps to plain HTTP, TLS or mutual TLS; restart, or choose another port"]);
  return true;
}
