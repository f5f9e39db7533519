/**
 * What connects this gateway to the releases in the store: with which release it starts, the follower that keeps it on the right one, and the
 * rollouts that it leads. The control room decides; this carries it out on the process tree.
 */
import type net from "node:net";
import os from "node:os";
import type { Clock } from "../clock.ts";
import { canonicalJson, inspectRelease, type Inspected } from "../compile/compile.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { Audit } from "../control/audit.ts";
import { Board } from "../control/board.ts";
import { Follower, type ReleaseSeat } from "../control/follower.ts";
import { gatewayName } from "../control/gateway-name.ts";
import { readLastGood, writeLastGood, type LastGood } from "../control/last-good.ts";
import type { ReleaseDesk } from "../control/release-endpoints.ts";
import { PackageError } from "../control/release-package.ts";
import { ReleaseShelf, type Head, type Taken } from "../control/release-shelf.ts";
import { Rollouts } from "../control/rollouts.ts";
import { openStore, type Store } from "../store/store.ts";
import type { Fleet } from "./fleet.ts";
import { probe, type ListeningAt } from "./probe.ts";
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
  readonly config: () => ResolvedConfig;
  readonly fleet: () => Fleet;
  readonly listeners: () => readonly ListeningAt[];
  /** One change of the process tree after the other. */
  readonly inTurn: (change: () => Promise<void>) => Promise<void>;
}

/** What a gateway starts with. */
export interface FirstRelease {
  readonly release: Release;
  readonly maps: SourceMaps;
}

/** How long a start waits for the store to say what serves. */
const STORE_WAIT_MS = 3_000;
/** Each is as large as a release. */
const INSPECTIONS_KEPT = 4;

export class Deployments {
  readonly #parts: DeploymentParts;
  readonly #name: string;
  #store: Store | null = null;
  #storeConfig = "";
  #begun: LastGood | null = null;
  #desk: ReleaseDesk | null = null;
  readonly #inspections = new Map<string, Inspected>();
  #inspectedBy: ResolvedConfig | null = null;

  constructor(parts: DeploymentParts) {
    this.#parts = parts;
    this.#name = gatewayName(parts.config().stateDir);
  }

  /** Null until it follows. */
  get desk(): ReleaseDesk | null {
    return this.#desk;
  }

  /** Was anything ever deployed here? Then that counts, not what lies in the rules folder. */
  get deployed(): boolean {
    return (this.#desk?.follower.epoch ?? this.#begun?.head.epoch ?? 0) > 0;
  }

  /** For `/v1/status`: as the store told it last. */
  status(): object {
    const follower = this.#desk?.follower;
    if (follower === undefined) return { gateway: this.#name, epoch: 0, release: "", state: "starting", reason: "", rollout: null, gateways: [] };
    const { proposal, gateways } = follower.seen;
    return { gateway: this.#name, ...follower.report(), rollout: proposal, gateways };
  }

  /** The release that is deployed: as the store says, else the last good one on this disk. Null: none was ever deployed, or none can be had. */
  async first(): Promise<FirstRelease | null> {
    const kept = await this.#lastGood();
    const store = await this.#open();
    const head = await this.#headOf(store);
    const newer = head !== null && head.epoch > (kept?.head.epoch ?? 0) ? await this.#takeHead(head) : null;
    const begun = newer ?? kept;
    if (begun === null) return null;
    try {
      const release = await this.#inspect(begun, false);
      this.#begun = begun;
      return { release, maps: begun.maps };
    } catch (thrown) {
      // Tried again by the follower, which tells the other gateways why.
      this.#refused("start with", begun.head, reasonOf(thrown));
      return null;
    }
  }

  /** From now on this gateway takes part. */
  async follow(): Promise<void> {
    const { clock, log, audit, version, startedUnixMs } = this.#parts;
    const store = await this.#open();
    const note: Audit["note"] = (facts) => audit.note(facts);
    const shelf = new ReleaseShelf(
      () => store,
      () => this.#parts.config().releases,
      () => clock.unixMs(),
    );
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
    const current = () => ({ release: this.#parts.fleet().plan.release, routes: this.#parts.config().routes });
    this.#desk = { shelf, follower, rollouts, current };
  }

  /** After a reload: the store may be another one. */
  async reloaded(): Promise<void> {
    if (JSON.stringify(this.#parts.config().store) === this.#storeConfig) return;
    await this.close();
    await this.follow();
  }

  async close(): Promise<void> {
    const desk = this.#desk;
    this.#desk = null;
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
      config,
      clock,
      gateway,
      member: false,
      requestPipe: () => givePipe((pipe) => opened.attach(pipe)),
      warn: (text) => log("warn", "store", { text }),
    });
    this.#store = opened.store;
    return opened.store;
  }

  async #lastGood(): Promise<LastGood | null> {
    const { stateDir, releases } = this.#parts.config();
    try {
      return await readLastGood(stateDir, releases, this.#parts.clock.unixMs());
    } catch (thrown) {
      const reason = `the last good release on this disk: ${reasonOf(thrown)}`;
      this.#parts.log("error", "last-good-refused", { reason });
      this.#parts.audit.note({ actor: "gateway", action: "start", outcome: "refused", reason, facts: {} });
      return null;
    }
  }

  async #headOf(store: Store): Promise<Head | null> {
    const { clock, log } = this.#parts;
    if (store.health().state !== "ready") {
      let end = (): void => undefined;
      await new Promise<void>((resolve) => {
        end = store.onHealth(({ state }) => {
          if (state === "ready") resolve();
        });
        clock.after(STORE_WAIT_MS, resolve);
      });
      end();
    }
    try {
      return (await new Board(() => store).look("", null)).head;
    } catch (thrown) {
      log("warn", "control-store", { reason: reasonOf(thrown), text: "starting without word from the store on what is deployed" });
      return null;
    }
  }

  async #takeHead(head: Head): Promise<LastGood | null> {
    const { clock } = this.#parts;
    const shelf = new ReleaseShelf(
      () => this.#store!,
      () => this.#parts.config().releases,
      () => clock.unixMs(),
    );
    try {
      const taken = await shelf.take(head.release);
      if (taken === null) throw new PackageError("it is not in the store");
      if (taken.release.digest !== head.digest) throw new PackageError("the store has another content under its id");
      const good = { head, ...taken };
      await writeLastGood(this.#parts.config().stateDir, good);
      return good;
    } catch (thrown) {
      this.#refused("start with", head, reasonOf(thrown));
      return null;
    }
  }

  #refused(action: string, { release, epoch }: Head, reason: string): void {
    this.#parts.log("error", "release-not-taken", { release, epoch, reason });
    this.#parts.audit.note({ actor: "gateway", action, outcome: "refused", reason, facts: { release, epoch } });
  }

  async #inspect(taken: Taken, asked: boolean): Promise<Release> {
    const config = this.#parts.config();
    const { release, routes } = taken.release;
    // At a start or when catching up what was agreed upon counts; config changes by reload.
    if (canonicalJson(routes) !== canonicalJson(config.routes)) {
      if (asked) throw new PackageError("its routes are not those of this gateway's config: reload the config here first, or deploy from the same one");
      this.#parts.log("warn", "routes-differ", { release: release.id, text: "this gateway's config has other routes than the release was deployed with" });
    }
    const { problem, differs, release: here } = await this.#inspected(taken);
    if (problem !== "") throw new PackageError(problem);
    // Another version of Sluice may read the same code differently: then its own reading counts.
    if (differs !== "" && asked) throw new PackageError(`${differs}: its manifest does not tell what the code is`);
    return here;
  }

  /** Evaluated once under one config: a rollback need not wait for it again. */
  async #inspected({ release, maps }: Taken): Promise<Inspected> {
    const config = this.#parts.config();
    if (this.#inspectedBy !== config) this.#inspections.clear();
    this.#inspectedBy = config;
    const known = this.#inspections.get(release.digest);
    if (known !== undefined) return known;
    const inspected = await inspectRelease(config, release.release, maps);
    // A problem may have been one of the moment.
    if (inspected.problem !== "") return inspected;
    this.#inspections.set(release.digest, inspected);
    for (const old of this.#inspections.keys()) if (this.#inspections.size > INSPECTIONS_KEPT) this.#inspections.delete(old);
    return inspected;
  }

  #seat(): ReleaseSeat {
    const { fleet, inTurn, listeners, clock } = this.#parts;
    return {
      current: () => fleet().plan.release,
      inspect: (taken, asked) => this.#inspect(taken, asked),
      prepare: (release, maps) => inTurn(() => fleet().prepare(release, maps)),
      activate: (release, maps) => inTurn(() => fleet().activate(release, maps)),
      discard: () => inTurn(() => fleet().discard()),
      probe: (release) => probe(fleet(), listeners(), release, clock),
    };
  }
}
