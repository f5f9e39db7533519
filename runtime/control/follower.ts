/**
 * Keeps one gateway on what the store says: prepares what is proposed and votes, serves what is committed, catches up when it was away.
 * Epochs only grow: a head older than the one it has seen is refused, and put right in the store.
 */
import type { Clock, Timer } from "../clock.ts";
import type { Release } from "../compile/release.ts";
import { asGatewayError } from "../errors.ts";
import type { Store, Subscription } from "../store/store.ts";
import type { AuditFacts } from "./audit.ts";
import { percent, shareOf } from "./canary/canary.ts";
import { BEAT_MS, Board, TOPIC, type GatewayReport, type GatewayRolloutState, type Proposal, type Seen, type Vote } from "./board.ts";
import type { LastGood } from "./last-good.ts";
import { PackageError } from "./release-package.ts";
import type { Head, ReleaseShelf, Taken } from "./release-shelf.ts";
import { KEYS, RESTORE } from "./scripts/scripts.ts";

/** What the control room asks of the process tree. */
export interface ReleaseSeat {
  /** What serves now. */
  current(): Release;
  /** The release as this gateway understands it. Rejects with a `PackageError` that says why it cannot serve it. `asked`: it is proposed, and may still be refused. */
  inspect(taken: Taken, asked: boolean): Promise<Release>;
  /** The same for a release that is to run beside what serves. */
  inspectBeside(taken: Taken): Promise<Release>;
  /** Loads it with its config beside what serves. Rejects with the reason. */
  prepare(release: Release, taken: Taken): Promise<void>;
  /** What was prepared serves. */
  activate(release: Release, taken: Taken): Promise<void>;
  discard(): Promise<void>;
  /** What runs beside what serves; null: nothing. */
  canary(): CanaryShare | null;
  /** What was prepared takes a share of the clients; or what runs already another one. */
  runCanary(release: Release | null, taken: Taken, share: CanaryShare): Promise<void>;
  endCanary(): Promise<void>;
  /** The canary serves. */
  promoteCanary(): Promise<void>;
  /** A request through the real path: "" when the release answers it, else why not. */
  probe(release: string): Promise<string>;
}

export interface CanaryShare {
  readonly release: string;
  readonly tag: string;
  /** In ten-thousandths. */
  readonly share: number;
  /** The epoch of the step. */
  readonly step: number;
}

export interface FollowerParts {
  readonly name: string;
  readonly facts: Pick<GatewayReport, "host" | "pid" | "version" | "startedUnixMs">;
  readonly store: Store;
  readonly shelf: ReleaseShelf;
  readonly seat: ReleaseSeat;
  readonly clock: Clock;
  /** What it has begun with; null: a release of its own, never deployed. */
  readonly begun: LastGood | null;
  readonly keep: (good: LastGood) => Promise<void>;
  readonly audit: (facts: AuditFacts) => void;
  readonly log: (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;
}

interface Prepared {
  readonly number: number;
  readonly taken: Taken;
  readonly release: Release;
}

/** What could not be activated is tried again after this. */
const RETRY_MS = 5000;

export class Follower {
  readonly board: Board;
  readonly #parts: FollowerParts;
  readonly #endHealth: () => void;
  readonly #subscription: Subscription;
  #good: LastGood | null;
  #state: GatewayRolloutState;
  #reason = "";
  #settled: { readonly state: GatewayRolloutState; readonly reason: string } = { state: "serving", reason: "" };
  #prepared: Prepared | null = null;
  /** The canary that runs here. */
  #beside: Taken | null;
  /** The replayed head that was told of last. */
  #replayed = "";
  #voted = 0;
  #refused = "";
  #retryAtMs = 0;
  #seen: Seen = { nowUnixMs: 0, head: null, proposal: null, gateways: [] };
  #acting: Promise<void> | null = null;
  #again = false;
  #beat: Timer | null = null;
  #closed = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.#good = parts.begun;
    this.#beside = parts.begun?.canary ?? null;
    this.#state = "serving";
    this.board = new Board(() => parts.store);
    this.#subscription = parts.store.subscribe(TOPIC, () => void this.look());
    this.#subscription.ready.catch(() => undefined);
    this.#endHealth = parts.store.onHealth(({ state }) => {
      if (state === "ready") void this.look();
    });
    this.#beatLater();
    void this.look();
  }

  get epoch(): number {
    return this.#good?.head.epoch ?? 0;
  }
  /** As the store told it last. */
  get seen(): Seen {
    return this.#seen;
  }
  get name(): string {
    return this.#parts.name;
  }

  report(): GatewayReport {
    const { facts, seat } = this.#parts;
    const canary = seat.canary();
    const beside = canary === null ? null : { release: canary.release, share: canary.share };
    return { ...facts, epoch: this.epoch, release: seat.current().id, canary: beside, state: this.#state, reason: this.#reason };
  }

  /** Asks the store what stands, and does what follows from it. */
  async look(): Promise<void> {
    if (this.#closed) return;
    try {
      this.#seen = await this.board.look(this.name, this.report());
    } catch (thrown) {
      // What serves goes on serving; the store's own health tells of its trouble.
      this.#parts.log("warn", "control-store", { reason: asGatewayError(thrown).detail });
      return;
    }
    await this.#actSoon();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#beat?.cancel();
    this.#endHealth();
    this.#subscription.close();
    await this.board.leave(this.name).catch((thrown: unknown) => this.#parts.log("warn", "control-store", { reason: asGatewayError(thrown).detail }));
  }

  #beatLater(): void {
    this.#beat = this.#parts.clock.after(BEAT_MS, () => {
      if (this.#closed) return;
      void this.look();
      this.#beatLater();
    });
  }

  /** One at a time; what was seen meanwhile is acted upon afterwards. */
  #actSoon(): Promise<void> {
    if (this.#acting !== null) {
      this.#again = true;
      return Promise.resolve();
    }
    this.#acting = this.#act()
      .catch((thrown: unknown) => this.#parts.log("error", "control-defect", { reason: thrown instanceof Error ? thrown.stack : String(thrown) }))
      .finally(() => {
        this.#acting = null;
        if (!this.#again || this.#closed) return;
        this.#again = false;
        void this.#actSoon();
      });
    return this.#acting;
  }

  async #act(): Promise<void> {
    const { head, proposal } = this.#seen;
    if (head !== null && (head.epoch > this.epoch || this.#lacksCanary(head))) await this.#follow(head);
    else if (this.#good !== null && isOlder(head, this.#good.head)) await this.#refuseReplay(head, this.#good);
    if (this.#prepared !== null && this.#prepared.number !== proposal?.number) await this.#discard();
    if (proposal !== null && proposal.number !== this.#voted) await this.#answer(proposal);
  }

  /** Phase one. */
  async #answer(proposal: Proposal): Promise<void> {
    const { number, release: id, digest } = proposal;
    if (this.#prepared !== null) await this.#discard();
    this.#become("preparing", "");
    let vote: Vote;
    try {
      const taken = await this.#take(id, digest);
      const release = await (proposal.kind === "canary" ? this.#parts.seat.inspectBeside(taken) : this.#parts.seat.inspect(taken, true));
      if (id !== this.#parts.seat.current().id) await this.#parts.seat.prepare(release, taken);
      this.#prepared = { number, taken, release };
      vote = "PREPARED";
    } catch (thrown) {
      vote = `REJECTED ${reasonOf(thrown)}`;
    }
    this.#voted = number;
    if (vote === "PREPARED") this.#become("prepared", "");
    else this.#settle();
    const rejected = vote !== "PREPARED";
    this.#parts.log(rejected ? "warn" : "info", rejected ? "release-rejected" : "release-prepared", {
      release: id,
      rollout: number,
      ...(rejected ? { reason: vote.slice(9) } : {}),
    });
    if (rejected) this.#note("prepare", "refused", vote.slice(9), { release: id, rollout: number });
    try {
      await this.board.vote(number, this.name, vote);
    } catch (thrown) {
      // Without its vote the rollout does not go on, and ends at its deadline.
      this.#parts.log("warn", "control-store", { reason: asGatewayError(thrown).detail });
    }
  }

  /** Phase two, or catching up. */
  async #follow(head: Head): Promise<void> {
    const { clock, log } = this.#parts;
    if (clock.now() < this.#retryAtMs && this.#refused === `${head.epoch}`) return;
    this.#become("activating", "");
    try {
      const taken = await this.#serve(head);
      // Also when the canary cannot be had: what serves is this epoch's.
      this.#good = { ...taken, head, canary: null };
      this.#beside = await this.#runBeside(head);
      this.#prepared = null;
      const good = { ...taken, head, canary: this.#beside };
      this.#good = good;
      await this.#parts.keep(good).catch((thrown: unknown) => log("error", "last-good-not-kept", { reason: (thrown as Error).message }));
      const trouble = await this.#probe(head);
      this.#become(trouble === "" ? "serving" : "behind", trouble);
      log(trouble === "" ? "info" : "error", trouble === "" ? "release-serving" : "release-not-answering", {
        release: head.release,
        epoch: head.epoch,
        reason: trouble,
        ...(head.canary ? { canary: head.canary.release, share: percent(shareOf(head.canary)) } : {}),
      });
    } catch (thrown) {
      const reason = `release ${head.release}: ${reasonOf(thrown)}`;
      this.#retryAtMs = clock.now() + RETRY_MS;
      if (this.#refused !== `${head.epoch}`) {
        this.#note("activate", "refused", reason, { release: head.release, epoch: head.epoch });
        log("error", "release-not-taken", { release: head.release, epoch: head.epoch, reason });
      }
      this.#refused = `${head.epoch}`;
      this.#become("behind", reason);
    }
    await this.#tell();
  }

  /** What the head says serves. A canary that was promoted or ended needs no store for it: it is at hand. */
  async #serve(head: Head): Promise<Taken> {
    const { seat } = this.#parts;
    const [running, beside, good] = [seat.canary(), this.#beside, this.#good];
    const serving = seat.current().id;
    if (beside !== null && running?.release === head.release && serving !== head.release && beside.release.digest === head.digest) {
      await seat.promoteCanary();
      return beside;
    }
    if (running !== null && running.release !== head.canary?.release) await seat.endCanary();
    if (good !== null && serving === head.release && good.release.digest === head.digest) return good;
    const { taken, release } = await this.#readied(head.release, head.digest, head.rollout, false);
    if (release.id !== serving) await seat.activate(release, taken);
    return taken;
  }

  /** … and what runs beside it. */
  async #runBeside(head: Head): Promise<Taken | null> {
    const { canary, epoch } = head;
    const { seat } = this.#parts;
    if (canary === undefined || canary === null) return null;
    const share = { release: canary.release, tag: canary.tag, share: shareOf(canary), step: epoch };
    const beside = this.#beside;
    if (beside !== null && seat.canary()?.release === canary.release && beside.release.digest === canary.digest) {
      await seat.runCanary(null, beside, share);
      return beside;
    }
    const { taken, release } = await this.#readied(canary.release, canary.digest, head.rollout, true);
    await seat.runCanary(release, taken, share);
    return taken;
  }

  /** This gateway knows the head, and its canary does not run here, or not at its step. */
  #lacksCanary({ epoch, canary }: Head): boolean {
    if (epoch !== this.epoch) return false;
    const running = this.#parts.seat.canary();
    return canary === undefined || canary === null ? running !== null : running?.release !== canary.release || running.step !== epoch;
  }

  /** "" when both answer. */
  async #probe({ release, canary }: Head): Promise<string> {
    const { seat } = this.#parts;
    const trouble = await seat.probe(release);
    return trouble !== "" || canary === undefined || canary === null ? trouble : seat.probe(canary.release);
  }

  /** Loaded on all workers: it was prepared, or is now. */
  async #readied(id: string, digest: string, rollout: number, isBeside: boolean): Promise<Omit<Prepared, "number">> {
    const { seat } = this.#parts;
    const prepared = this.#prepared;
    if (prepared?.number === rollout && prepared.taken.release.digest === digest) return prepared;
    if (prepared !== null) await this.#discard();
    const known = this.#beside?.release.digest === digest ? this.#beside : null;
    const taken = known ?? (await this.#take(id, digest));
    const release = await (isBeside ? seat.inspectBeside(taken) : seat.inspect(taken, false));
    if (id !== seat.current().id) await seat.prepare(release, taken);
    return { taken, release };
  }

  async #take(id: string, digest: string): Promise<Taken> {
    const taken = await this.#parts.shelf.take(id);
    if (taken === null) throw new PackageError("it is not in the store");
    if (taken.release.digest !== digest) throw new PackageError(`the store has another content under its id (${taken.release.digest.slice(0, 20)}…)`);
    return taken;
  }

  async #discard(): Promise<void> {
    this.#prepared = null;
    await this.#parts.seat.discard();
    if (this.#state === "prepared") this.#settle();
  }

  /** The store was emptied, restored from an old copy, or somebody sent an old head again. */
  async #refuseReplay(head: Head | null, good: LastGood): Promise<void> {
    const { store, shelf, log } = this.#parts;
    const { epoch, ...rest } = good.head;
    const which = `${head?.epoch} ${head?.digest}`;
    if (head !== null && this.#replayed !== which) {
      this.#replayed = which;
      const reason = `replayed epoch ${head.epoch}: this gateway is at ${epoch}`;
      log("error", "epoch-refused", { reason, release: head.release });
      this.#note("activate", "refused", reason, { release: head.release, epoch: head.epoch });
    }
    // Whose is right, nobody can tell; the next rollout ends it.
    if (head?.epoch === epoch) return;
    try {
      await shelf.giveBack(good);
      if (good.canary) await shelf.giveBack(good.canary);
      await store.run(RESTORE, [KEYS.head, KEYS.history], [epoch, JSON.stringify(rest), HISTORY_KEPT]);
      log("warn", "store-restored", { release: good.head.release, epoch });
    } catch (thrown) {
      log("warn", "control-store", { reason: asGatewayError(thrown).detail });
    }
  }

  #become(state: GatewayRolloutState, reason: string): void {
    this.#state = state;
    this.#reason = reason;
    if (state === "serving" || state === "behind") this.#settled = { state, reason };
  }

  /** As before the rollout that came to nothing. */
  #settle(): void {
    this.#become(this.#settled.state, this.#settled.reason);
  }

  /** Whoever waits for this gateway hears of it now, not at the next beat. */
  async #tell(): Promise<void> {
    try {
      this.#seen = await this.board.look(this.name, this.report());
    } catch (thrown) {
      this.#parts.log("warn", "control-store", { reason: asGatewayError(thrown).detail });
    }
  }

  #note(action: string, outcome: "done" | "refused", reason: string, facts: AuditFacts["facts"]): void {
    this.#parts.audit({ actor: "gateway", action, outcome, reason, facts });
  }
}

/** Heads that stay in the store's history. */
export const HISTORY_KEPT = 100;

function isOlder(head: Head | null, mine: Head): boolean {
  if (head === null) return true;
  return head.epoch < mine.epoch || (head.epoch === mine.epoch && head.digest !== mine.digest);
}

function reasonOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.slice(0, 2000);
}
