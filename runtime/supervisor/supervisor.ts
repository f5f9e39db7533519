/** The door of the process tree: start, deploys, reload and shutdown of one gateway. */
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import { systemClock } from "../clock.ts";
import { EMPTY_RELEASE, type Release, type SourceMaps } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { Audit } from "../control/audit.ts";
import { debugKey } from "../control/debug.ts";
import { AdminSurface, type Reopened } from "./admin-surface.ts";
import { Deployments } from "./deployments.ts";
import { Experiments } from "./experiments.ts";
import { Fleet, type Plan, type Served } from "./fleet.ts";
import { GatewayStore } from "./gateway-store.ts";
import type { ShownProblem } from "./problem-answer.ts";
import { openSockets, systemdFds, type ListeningSocket } from "./sockets.ts";
import { reasonOf, StartError } from "./start-error.ts";
import type { GatewayState, Reload, SupervisorStatus } from "./status.ts";
import { Tails } from "./tails.ts";
import { WORKER_ENTRY, type WorkerProcess } from "./worker-process.ts";
import { UNRESPONSIVE_MS, WorkerWatch } from "./worker-watch.ts";

export { StartError } from "./start-error.ts";
export { runUntilStopped } from "./signals.ts";
export type { ShownProblem } from "./problem-answer.ts";
export type { SupervisorStatus } from "./status.ts";

export interface Compiled {
  /** Null when `problems` kept it from being made. */
  readonly release: Release | null;
  readonly maps: SourceMaps;
  /** Located messages for people. */
  readonly problems: readonly string[];
}

export type SupervisorLog = (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;

export interface SupervisorOptions {
  readonly config: ResolvedConfig;
  /** Reads config again, for `reload`. Rejects with what is wrong. Left out: the config stays. */
  readonly loadConfig?: () => Promise<ResolvedConfig>;
  readonly compile: (config: ResolvedConfig) => Promise<Compiled>;
  /** Deployed releases, once there are any, come before what `compile` makes. Left out: false. */
  readonly takesDeployments?: boolean;
  /** What runs beneath the rules (`buildKernel()`), built once for all workers. */
  readonly kernel: string;
  readonly version: string;
  readonly log: SupervisorLog;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Left out: the one in this room. */
  readonly workerEntry?: string;
}

export interface Supervisor {
  /** Where it listens, in config's order. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly adminAddress: AdminSurface["address"];
  /** Swaps releases on all workers or on none. Rejects with a `StartError` that says why. Never touches a socket. */
  deploy(release: Release, maps: SourceMaps): Promise<void>;
  /** Config and rules again; workers are replaced one at a time. Rejects, changing nothing, when either is invalid. */
  reload(): Promise<void>;
  /** `sluice dev`, while a save is broken: what page loads are answered with. Null takes it away. */
  showProblem(problem: ShownProblem | null): Promise<void>;
  /** The same config on fresh processes, one at a time. */
  replaceWorkers(): Promise<void>;
  status(): SupervisorStatus;
  metrics(): Promise<string>;
  /** Drains and ends everything. */
  stop(): Promise<void>;
  /** Ends everything at once. */
  kill(): void;
}

const SNAPSHOT_EVERY_MS = 1_000;

export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const gateway = new Gateway(options);
  await gateway.start();
  return gateway;
}

class Gateway implements Supervisor {
  readonly #options: SupervisorOptions;
  readonly #clock: Clock;
  readonly #watch: WorkerWatch;
  readonly #inheritedFds: readonly number[];
  readonly #startedUnixMs: number;
  readonly #name = randomBytes(8).toString("hex");
  readonly #tails = new Tails();
  readonly #debugKey: string;
  readonly #store: GatewayStore;
  readonly #admin: AdminSurface;
  #state: GatewayState = "starting";
  #sockets: ListeningSocket[] = [];
  #fleet: Fleet | null = null;
  /** Null: this gateway serves what it compiles. */
  #deployments: Deployments | null = null;
  #audit: Audit | null = null;
  #experiments: Experiments | null = null;
  /** As the file has it; what serves is in the plan. */
  #local: ResolvedConfig;
  #lastReload: Reload | null = null;
  /** Deploys, reloads and replacements run one after the other. */
  #changes: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | null = null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#local = options.config;
    this.#debugKey = debugKey(options.config.stateDir);
    this.#clock = options.clock ?? systemClock;
    this.#store = new GatewayStore({ clock: this.#clock, random: options.random ?? Math.random, gateway: this.#name, log: options.log });
    this.#watch = new WorkerWatch({ clock: this.#clock, onSnapshot: (worker, snapshot) => this.#deployments?.tally.update(worker, snapshot) });
    this.#startedUnixMs = this.#clock.unixMs();
    this.#inheritedFds = systemdFds(process.env, [process.pid, process.ppid]);
    this.#admin = new AdminSurface({
      version: options.version,
      clock: this.#clock,
      startedUnixMs: this.#startedUnixMs,
      log: options.log,
      debugKey: this.#debugKey,
      tails: this.#tails,
      store: this.#store,
      watch: this.#watch,
      audit: (config) => this.#openAudit(config),
      tokens: () => this.#local.adminTokens,
      state: () => this.#state,
      fleet: () => this.#fleet,
      deployments: () => this.#deployments,
      experiments: () => this.#experiments,
      lastReload: () => this.#lastReload,
      addresses: () => this.addresses,
    });
  }

  get addresses() {
    return this.#sockets.map(({ host, port }) => ({ host, port }));
  }
  get adminAddress() {
    return this.#admin.address;
  }

  async start(): Promise<void> {
    const { config } = this.#options;
    try {
      this.#sockets = await openSockets(config.listeners, [], this.#inheritedFds);
      await this.#admin.open(config);
      await this.#store.checkRedis(config);
      await this.#store.use(config);
      await this.#startFleet({ ...(await this.#firstServed(config)), sockets: this.#sockets });
      await this.#store.ready();
    } catch (thrown) {
      this.#fleet?.killAll();
      await this.#deployments?.close();
      this.#store.kill();
      await this.#closeDoors();
      throw thrown instanceof StartError ? thrown : new StartError([reasonOf(thrown)], { cause: thrown });
    }
    this.#state = "serving";
    await this.#deployments?.follow();
    await this.#followExperiments();
    this.#pollLater();
  }

  #followExperiments(): Promise<void> {
    this.#experiments ??= new Experiments({
      clock: this.#clock,
      log: this.#options.log,
      audit: this.#audit,
      gateway: this.#name,
      givePipe: (take) => this.#store.givePipe(take),
      config: () => this.#fleet?.plan.config ?? this.#local,
      release: () => this.#fleet?.plan.release ?? EMPTY_RELEASE,
    });
    return this.#experiments.follow();
  }

  /** What is deployed; until something was, what the rules folder holds. */
  async #firstServed(config: ResolvedConfig): Promise<Served> {
    if (this.#options.takesDeployments !== true) return { config, ...(await this.#compile(config)) };
    this.#deployments = new Deployments({
      clock: this.#clock,
      log: this.#options.log,
      audit: this.#openAudit(config),
      version: this.#options.version,
      startedUnixMs: this.#startedUnixMs,
      gateway: this.#name,
      givePipe: (take) => this.#store.givePipe(take),
      local: () => this.#local,
      config: () => this.#fleet?.plan.config ?? this.#local,
      fleet: () => this.#running,
      listeners: () => this.#sockets,
      snapshots: () => (this.#fleet?.workers ?? []).flatMap(({ number }) => this.#watch.book.latest(number) ?? []),
      keyChanged: (key) => this.#fleet?.previewKey(key) ?? Promise.resolve(),
      inTurn: (change) => this.#inTurn(change),
    });
    // Both at once: most starts know soon that nothing was deployed.
    const own = this.#options.compile(config);
    const trouble = own.then(({ release, problems }) => (release === null ? problems.join("\n") : ""), reasonOf);
    const deployed = await this.#deployments.first();
    if (deployed === null) return { config, ...compiled(await own) };
    // It serves nobody while something is deployed, and still somebody should know before the next deploy.
    void trouble.then((reason) => {
      if (reason !== "")
        this.#options.log("warn", "own-rules-refused", {
          reason,
          text: `the rules folder is broken; release ${deployed.release.id}, which was deployed, serves`,
        });
    });
    return deployed;
  }

  #openAudit(config: ResolvedConfig): Audit {
    const { log } = this.#options;
    return (this.#audit ??= new Audit(
      config.stateDir,
      () => this.#clock.unixMs(),
      (text) => log("error", "audit", { text }),
    ));
  }

  async #startFleet(plan: Plan): Promise<void> {
    const { kernel, workerEntry = WORKER_ENTRY, random = Math.random, log } = this.#options;
    this.#fleet = new Fleet(plan, {
      kernel,
      entry: workerEntry,
      clock: this.#clock,
      random,
      gateway: this.#name,
      givePipe: (take) => this.#store.givePipe(take),
      onEvent: log,
      tails: this.#tails,
      debugKey: this.#debugKey,
      onWantRelease: (worker, id) => void this.#giveRelease(worker, id),
      onPreviewRefused: (release, reason, address) =>
        this.#openAudit(this.#local).note({ actor: "", action: "preview", outcome: "refused", reason, facts: { release, address } }),
      onSnapshot: (worker, snapshot) => this.#watch.told(worker, snapshot),
      onEnded: (worker, end) => {
        this.#watch.ended(worker, end);
        this.#deployments?.tally.ended(worker);
      },
    });
    if (this.#deployments !== null) await this.#fleet.previewKey(this.#deployments.key);
    await this.#fleet.start();
  }

  async #giveRelease(worker: WorkerProcess, id: string): Promise<void> {
    try {
      const taken = this.#deployments === null ? null : await this.#deployments.preview(id);
      await worker.giveRelease(id, taken, "this gateway takes no releases");
    } catch (thrown) {
      // A worker that is gone waits for nothing.
      await worker.giveRelease(id, null, reasonOf(thrown)).catch(() => undefined);
    }
  }

  get #running(): Fleet {
    if (this.#fleet === null || this.#state !== "serving") throw new StartError([`the gateway is ${this.#state}`]);
    return this.#fleet;
  }

  deploy(release: Release, maps: SourceMaps): Promise<void> {
    return this.#inTurn(async () => {
      await this.#running.deploy(release, maps);
      this.#options.log("info", "release-serving", { release: release.id });
    });
  }

  showProblem(problem: ShownProblem | null): Promise<void> {
    return this.#inTurn(() => this.#running.showProblem(problem));
  }

  replaceWorkers(): Promise<void> {
    return this.#inTurn(() => this.#running.replaceAll({ ...this.#running.plan }));
  }

  reload(): Promise<void> {
    return this.#inTurn(async () => {
      try {
        await this.#reload();
        this.#lastReload = { atUnixMs: this.#clock.unixMs(), ok: true, reason: "" };
        this.#options.log("info", "reloaded", { release: this.#running.plan.release.id });
      } catch (thrown) {
        this.#lastReload = { atUnixMs: this.#clock.unixMs(), ok: false, reason: reasonOf(thrown) };
        this.#options.log("error", "reload-refused", { reason: reasonOf(thrown) });
        throw thrown;
      }
    });
  }

  /** Everything that can be found wrong is found before the first worker is touched. */
  async #reload(): Promise<void> {
    const fleet = this.#running;
    const local = (await this.#options.loadConfig?.()) ?? this.#local;
    const config = this.#deployments?.reloading(local) ?? local;
    const { release, maps } = this.#deployments?.deployed === true ? fleet.plan : await this.#compile(config);
    if (JSON.stringify(config.store) !== JSON.stringify(fleet.plan.config.store)) await this.#store.checkRedis(config);
    const before = this.#sockets;
    const sockets = await openSockets(config.listeners, before, this.#inheritedFds);
    const opened = sockets.filter((socket) => !before.includes(socket));
    let admin: Reopened | null = null;
    try {
      admin = await this.#admin.reopen(config, fleet.plan.config);
      await this.#store.use(config);
      await fleet.replaceAll({ config, release, maps, sockets });
    } catch (thrown) {
      await this.#store.use(fleet.plan.config);
      for (const socket of opened) socket.close();
      await admin?.undo();
      throw thrown;
    }
    for (const socket of before) if (!sockets.includes(socket)) socket.close();
    this.#sockets = sockets;
    await admin.keep();
    this.#local = local;
    await this.#deployments?.reloaded();
  }

  async #compile(config: ResolvedConfig): Promise<{ release: Release; maps: SourceMaps }> {
    return compiled(await this.#options.compile(config));
  }

  /** Changes wait for each other; one that fails does not hold up the next. */
  #inTurn(change: () => Promise<void>): Promise<void> {
    const done = this.#changes.then(change);
    this.#changes = done.catch(() => undefined);
    return done;
  }

  #pollLater(): void {
    this.#clock.after(SNAPSHOT_EVERY_MS, () => {
      if (this.#state !== "serving") return;
      void this.#watch.poll(this.#fleet?.workers ?? [], UNRESPONSIVE_MS);
      void this.#followExperiments();
      this.#pollLater();
    });
  }

  status(): SupervisorStatus {
    return this.#admin.status();
  }

  metrics(): Promise<string> {
    return this.#admin.metrics();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#state = "draining";
    this.#options.log("info", "draining", {});
    // Ours first: when the workers stop accepting, the port is closed, and new clients are refused instead of waiting for nobody.
    for (const socket of this.#sockets) socket.close();
    await this.#experiments?.close();
    await this.#deployments?.close();
    await this.#fleet?.drain();
    await this.#store.stop();
    this.#state = "stopped";
    await this.#closeDoors();
    this.#options.log("info", "stopped", {});
  }

  kill(): void {
    this.#state = "stopped";
    this.#fleet?.killAll();
    void this.#experiments?.close();
    this.#store.kill();
    void this.#closeDoors();
  }

  async #closeDoors(): Promise<void> {
    for (const socket of this.#sockets) socket.close();
    await this.#admin.close();
  }
}

function compiled({ release, maps, problems }: Compiled): { release: Release; maps: SourceMaps } {
  if (release === null) throw new StartError(problems.length > 0 ? problems : ["the rules did not compile"]);
  return { release, maps };
}
