/**
 * What connects this gateway to the releases in the store: with which release it starts, the follower that keeps it on the right one, and the
 * rollouts that it leads. The control room decides; this carries it out on the process tree.
 */
import type net from "node:net";
import os from "node:os";
import type { Clock } from "../clock.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { SharedConfig } from "../config/schema.ts";
import type { Audit } from "../control/audit.ts";
import { type OwnCounts, Steward } from "../control/canary/steward.ts";
import { Follower, type ReleaseSeat } from "../control/follower.ts";
import { agreedGatewaysKey, ownGatewaysKey } from "../control/gateways-key.ts";
import { gatewayName } from "../control/gateway-name.ts";
import { writeLastGood, type LastGood } from "../control/last-good.ts";
import type { ReleaseDesk } from "../control/release-endpoints.ts";
import { PackageError } from "../control/release-package.ts";
import { Shadowing } from "../control/shadow.ts";
import { ReleaseShelf, type Taken } from "../control/release-shelf.ts";
import { Rollouts } from "../control/rollouts.ts";
import type { WorkerSnapshot } from "../observe/snapshot.ts";
import { Recordings } from "../observe/recordings/recordings.ts";
import { openStore, type Store } from "../store/store.ts";
import { CanaryTally } from "./canary-tally.ts";
import { DeployedConfig } from "./deployed-config.ts";
import { FirstRelease } from "./first-release.ts";
import type { Fleet, Plan, Served } from "./fleet.ts";
import { probe, type ListeningAt } from "./probe.ts";
import { WorkersShadow } from "./shadow-seat.ts";
import { ReleaseInspections } from "./release-inspections.ts";
import { reasonOf } from "./start-error.ts";

type Log = (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;

export interface DeploymentParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly audit: Audit;
  readonly version: string;
  readonly startedUnixMs: number;
  /** What the store counts this gateway as; another one after each start. */
  readonly gateway: string;
  readonly givePipe: (take: (pipe: net.Socket) => void) => void;
  /** As this machine's file has it. */
  readonly local: () => ResolvedConfig;
  /** What serves. */
  readonly config: () => ResolvedConfig;
  readonly fleet: () => Fleet;
  readonly listeners: () => readonly ListeningAt[];
  /** What the workers said last. */
  readonly snapshots: () => readonly WorkerSnapshot[];
  /** What previews are signed with is another one from now on. */
  readonly keyChanged: (key: string) => Promise<void>;
  /** One change of the process tree after the other. */
  readonly inTurn: (change: () => Promise<void>) => Promise<void>;
}

/** For one call to the store. */
const PATIENCE_MS = 2_000;

export class Deployments {
  readonly #parts: DeploymentParts;
  readonly #name: string;
  #store: Store | null = null;
  #storeConfig = "";
  #begun: LastGood | null = null;
  #desk: ReleaseDesk | null = null;
  #shadowing: Shadowing | null = null;
  #steward: Steward | null = null;
  #endHealth: () => void = () => undefined;
  #key: string;
  readonly tally: CanaryTally;
  readonly #configs: DeployedConfig;
  readonly #inspections: ReleaseInspections;

  constructor(parts: DeploymentParts) {
    this.#parts = parts;
    this.#name = gatewayName(parts.config().stateDir);
    this.#key = ownGatewaysKey(parts.config().stateDir);
    this.tally = new CanaryTally(() => parts.clock.now());
    this.#configs = new DeployedConfig({ local: parts.local, serving: parts.config, log: parts.log });
    this.#inspections = new ReleaseInspections(this.#configs);
  }

  /** Null until it follows. */
  get desk(): ReleaseDesk | null {
    return this.#desk;
  }

  /** Null until it follows. */
  get shadowing(): Shadowing | null {
    return this.#shadowing;
  }

  /** Was anything ever deployed here? Then that counts, not what lies in the rules folder. */
  get deployed(): boolean {
    return (this.#desk?.follower.epoch ?? this.#begun?.head.epoch ?? 0) > 0;
  }

  /** For `/v1/status`: as the store told it last. */
  status(): object {
    const follower = this.#desk?.follower;
    if (follower === undefined) return { gateway: this.#name, epoch: 0, release: "", state: "starting", reason: "", rollout: null, gateways: [], drift: [] };
    const { proposal, gateways } = follower.seen;
    return {
      gateway: this.#name,
      ...follower.report(),
      running: this.#steward?.view() ?? null,
      rollout: proposal,
      gateways,
      drift: this.#configs.drift(this.#deployedConfig),
    };
  }

  get #deployedConfig(): SharedConfig | null {
    return this.#begun?.release.config ?? null;
  }

  /** What a reload of this machine's config serves with: once something was deployed, that counts for all but the machine's own keys. */
  reloading(local: ResolvedConfig): ResolvedConfig {
    return this.#configs.reloaded(local, this.#deployedConfig);
  }

  /** Null: nothing was ever deployed. Throws when something was and cannot be had. */
  async first(): Promise<(Served & Pick<Plan, "canary">) | null> {
    const { audit, clock, config, log } = this.#parts;
    const store = await this.#open();
    const first = await new FirstRelease({
      audit,
      clock,
      config,
      log,
      store,
      shelf: this.#shelfOf(store),
      inspections: this.#inspections,
      agree: async () => {
        await this.#agree(store);
        return this.#key;
      },
    }).find();
    if (first === null) return null;
    this.#begun = first.good;
    this.#configs.tellDrift(first.good.release.config);
    return first.served;
  }

  #shelfOf(store: Store): ReleaseShelf {
    return new ReleaseShelf(
      () => store,
      () => this.#parts.config().releases,
      () => this.#parts.clock.unixMs(),
    );
  }

  /** What previews are signed with. */
  get key(): string {
    return this.#key;
  }

  /** Whenever the store is there: it may be another one, or have been emptied. */
  async #agree(store: Store): Promise<void> {
    try {
      const key = await agreedGatewaysKey(store, this.#parts.config().stateDir, this.#key);
      if (key === this.#key) return;
      this.#key = key;
      await this.#parts.keyChanged(key);
    } catch (thrown) {
      this.#parts.log("warn", "control-store", { reason: reasonOf(thrown), text: "previews are signed with this gateway's own key until the store is there" });
    }
  }

  /** For a preview: as the config that serves understands it, whatever it was deployed with. Rejects with the reason. */
  async preview(id: string): Promise<{ readonly release: Release; readonly maps: SourceMaps }> {
    const shelf = this.#desk?.shelf;
    if (shelf === undefined) throw new PackageError("this gateway is still starting");
    const taken = await shelf.take(id);
    if (taken === null) throw new PackageError("it is not in the store");
    return { release: await this.#inspections.toShow(taken, this.#parts.config()), maps: taken.maps };
  }

  /** From now on this gateway takes part. */
  async follow(): Promise<void> {
    const { clock, log, audit, version, startedUnixMs } = this.#parts;
    const store = await this.#open();
    const note: Audit["note"] = (facts) => audit.note(facts);
    const shelf = this.#shelfOf(store);
    const follower = new Follower({
      name: this.#name,
      facts: { host: os.hostname(), pid: process.pid, version, startedUnixMs },
      store,
      shelf,
      seat: this.#seat(),
      clock,
      begun: this.#begun,
      keep: (good) => {
        this.#begun = good;
        return writeLastGood(this.#parts.config().stateDir, good);
      },
      audit: note,
      log,
    });
    const rollouts = new Rollouts({ store, shelf, follower, clock, audit: note });
    const steward = new Steward({ store, follower, rollouts, clock, audit: note, log, counts: (step) => this.#counts(step) });
    this.#steward = steward;
    this.#endHealth = store.onHealth(({ state }) => {
      if (state === "ready") void this.#agree(store);
    });
    await this.#agree(store);
    const current = () => {
      const { release, maps, config } = this.#parts.fleet().plan;
      return { release, maps, routes: config.routes, config: config.shared };
    };
    const recordings = new Recordings(
      () => store,
      () => clock.unixMs(),
    );
    this.#desk = { steward, previewKey: () => this.#key, nowUnixMs: () => clock.unixMs(), shelf, follower, rollouts, recordings, current };
    this.#shadowing = this.#shadow(store, shelf, follower);
  }

  /** After a reload: the store may be another one. */
  async reloaded(): Promise<void> {
    if (this.#deployedConfig !== null) this.#configs.tellDrift(this.#deployedConfig);
    if (JSON.stringify(this.#parts.config().store) === this.#storeConfig) return;
    await this.close();
    await this.follow();
  }

  /** What is only compared with what serves. */
  #shadow(store: Store, shelf: ReleaseShelf, follower: Follower): Shadowing {
    const { audit, clock, fleet, log, snapshots } = this.#parts;
    return new Shadowing({
      gateway: this.#name,
      store,
      shelf,
      clock,
      gateways: () => follower.seen.gateways.filter(({ live }) => live).map(({ name }) => name),
      serving: () => fleet().plan.release.id,
      epoch: () => follower.epoch,
      seat: new WorkersShadow({
        workers: () => fleet().serving,
        snapshots,
        inspect: (taken) => this.#inspections.toServe(taken, true),
        warn: (event, facts) => log("warn", event, facts),
      }),
      audit: (facts) => audit.note(facts),
      log,
    });
  }

  async close(): Promise<void> {
    this.#shadowing?.close();
    this.#shadowing = null;
    const desk = this.#desk;
    this.#desk = null;
    this.#endHealth();
    this.#steward?.close();
    this.#steward = null;
    desk?.rollouts.close();
    await desk?.follower.close();
    const store = this.#store;
    this.#store = null;
    await store?.close();
  }

  async #open(): Promise<Store> {
    if (this.#store !== null) return this.#store;
    const { clock, gateway, givePipe, log } = this.#parts;
    const config = this.#parts.config().store;
    this.#storeConfig = JSON.stringify(config);
    const opened = await openStore({
      // No request waits for it, and a rollout must not fail because a busy machine answers late.
      config: { ...config, timeoutMs: Math.max(config.timeoutMs, PATIENCE_MS) },
      clock,
      gateway,
      member: false,
      requestPipe: () => givePipe((pipe) => opened.attach(pipe)),
      warn: (text) => log("warn", "store", { text }),
    });
    this.#store = opened.store;
    return opened.store;
  }

  /** What this gateway counted at a step of the canary. */
  #counts(step: number): OwnCounts {
    const { canary } = this.#parts.fleet().plan;
    if (!canary) return { counts: null, missing: "the canary does not run here" };
    return this.tally.of(
      step,
      canary.release.id,
      this.#parts.fleet().serving.map(({ number }) => number),
    );
  }

  #seat(): ReleaseSeat {
    const { fleet, inTurn, listeners, clock } = this.#parts;
    const served = (release: Release, taken: Taken): Served => ({ config: this.#configs.of(taken.release), release, maps: taken.maps });
    return {
      current: () => fleet().plan.release,
      inspectBeside: (taken) => this.#inspections.beside(taken, fleet().plan.config),
      canary: () => fleet().plan.canary?.terms ?? null,
      runCanary: (release, { maps }, share) =>
        inTurn(() => {
          const running = fleet().plan.canary;
          const terms = { ...share, key: this.#key };
          if (release !== null) return fleet().runCanary({ release, maps, terms });
          return running ? fleet().runCanary({ ...running, terms }) : Promise.reject(new PackageError("it does not run here any more"));
        }),
      endCanary: () => inTurn(() => fleet().endCanary()),
      promoteCanary: () => inTurn(() => fleet().promoteCanary()),
      inspect: async (taken, asked) => (await this.#inspections.toServe(taken, asked)).release,
      prepare: (release, taken) => inTurn(() => fleet().prepare(served(release, taken))),
      activate: (release, taken) => inTurn(() => fleet().activate(served(release, taken))),
      discard: () => inTurn(() => fleet().discard()),
      probe: (release) => probe(fleet(), listeners(), { release, previewKey: this.#key }, clock),
    };
  }
}
