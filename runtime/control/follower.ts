/**
 * Keeps one gateway on what the store says: prepares what is proposed and votes, serves what is committed, catches up when it was away.
 * Epochs only grow: a head older than the one it has seen is refused, and put right in the store.
 */
import type { Clock, Timer } from "../clock.ts";
import type { Release } from "../compile/release.ts";
import { asGatewayError } from "../errors.ts";
import type { Store, Subscription } from "../store/store.ts";
import type { AuditFacts } from "./audit.ts";
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
  /** Loads it with its config beside what serves. Rejects with the reason. */
  prepare(release: Release, taken: Taken): Promise<void>;
  /** What was prepared serves. */
  activate(release: Release, taken: Taken): Promise<void>;
  discard(): Promise<void>;
  /** A request through the real path: "" when the release answers it, else why not. */
  probe(release: string): Promise<string>;
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
  /** The replayed head that was told of last. */
  #replayed = "";
  #voted = 0;
  #refused = "";
  #retryAtMs = 0;
  #seen: Seen = { head: null, proposal: null, gateways: [] };
  #acting: Promise<void> | null = null;
  #again = false;
  #beat: Timer | null = null;
  #closed = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.#good = parts.begun;
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
    return { ...this.#parts.facts, epoch: this.epoch, release: this.#parts.seat.current().id, state: this.#state, reason: this.#reason };
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
    if (head !== null && head.epoch > this.epoch) await this.#follow(head);
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
      const release = await this.#parts.seat.inspect(taken, true);
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
    const { seat, clock, log } = this.#parts;
    if (clock.now() < this.#retryAtMs && this.#refused === `${head.epoch}`) return;
    this.#become("activating", "");
    try {
      const { taken, release } = await this.#readied(head);
      if (release.id !== seat.current().id) await seat.activate(release, taken);
      this.#prepared = null;
      const good = { head, ...taken };
      this.#good = good;
      await this.#parts.keep(good).catch((thrown: unknown) => log("error", "last-good-not-kept", { reason: (thrown as Error).message }));
      const trouble = await seat.probe(release.id);
      this.#become(trouble === "" ? "serving" : "behind", trouble);
      log(trouble === "" ? "info" : "error", trouble === "" ? "release-serving" : "release-not-answering", {
        release: release.id,
        epoch: head.epoch,
        reason: trouble,
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

  /** Loaded on all workers: it was prepared, or is now. */
  async #readied(head: Head): Promise<Omit<Prepared, "number">> {
    const { seat } = this.#parts;
    const prepared = this.#prepared;
    if (prepared?.number === head.rollout && prepared.taken.release.digest === head.digest) return prepared;
    if (prepared !== null) await this.#discard();
    const taken = await this.#take(head.release, head.digest);
    const release = await seat.inspect(taken, false);
    if (head.release !== seat.current().id) await seat.prepare(release, taken);
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
