/**
 * Leads rollouts from the gateway that was asked: proposes, waits for every live gateway's vote, commits an epoch or gives up, and watches
 * until all serve. Should this gateway end meanwhile, the proposal expires and nothing has changed.
 */
import type { Clock } from "../clock.ts";
import { asGatewayError, GatewayError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { AuditFacts } from "./audit.ts";
import { BEAT_MS, proposalOf, TOPIC, type Proposal, type SeenGateway, type Vote } from "./board.ts";
import { HISTORY_KEPT, type Follower } from "./follower.ts";
import { begun, type Canary, type CanaryEnd, type CanaryPolicy, type HeadChange } from "./canary/canary.ts";
import { headOf, type Head, type HeadKind, type ReleaseShelf } from "./release-shelf.ts";
import { ABANDON, ADVANCE, COMMIT, KEYS, PROPOSE } from "./scripts/scripts.ts";

export interface RolloutOrder {
  readonly release: string;
  /** The epoch that the caller saw. */
  readonly base: number;
  readonly kind: "deploy" | "rollback";
  readonly dryRun: boolean;
  readonly by: string;
  readonly message: string;
  readonly timeoutMs: number;
  /** First on a share of the clients. Left out or null: it serves at once. */
  readonly canary?: CanaryPolicy | null;
}

/**
 * `"preparing"`; then `"rejected"`, `"expired"` (somebody did not vote), `"outdated"` (what it is based on is no longer the head), `"checked"` (a dry run) or
 * `"active"`: committed; then `"serving"` when every live gateway serves it, or `"incomplete"` when one did not in time.
 */
export type RolloutState = "preparing" | "rejected" | "expired" | "outdated" | "checked" | "active" | "serving" | "incomplete" | "failed";

export interface RolloutGateway {
  readonly name: string;
  readonly host: string;
  readonly live: boolean;
  /** `"away"`, `"waiting"`, `"prepared"`, `"rejected"`, `"activating"`, `"serving"`, `"behind"`. */
  readonly state: string;
  readonly reason: string;
  readonly epoch: number;
  readonly release: string;
}

export interface Rollout {
  readonly number: number;
  readonly release: string;
  readonly base: number;
  readonly kind: HeadKind;
  readonly dryRun: boolean;
  state: RolloutState;
  /** Why it came to nothing, or is not complete; "". */
  reason: string;
  /** 0 until it is committed. */
  epoch: number;
  gateways: readonly RolloutGateway[];
  tookMs: number;
  /** What came of the canary that it ended. */
  ended?: CanaryEnd;
}

/** A canary's next step, its promotion or its end. */
export interface CanaryOrder {
  /** The head that it is about, with its canary. Null: whichever stands. */
  readonly epoch: number | null;
  readonly by: string;
  /** Null: the canary is not in a state for it. */
  readonly make: (head: Head, canary: Canary, nowUnixMs: number) => HeadChange | null;
}

export type RolloutRefusal =
  | { readonly refused: "unknown"; readonly found: string }
  | { readonly refused: "outdated"; readonly newer: Head | null }
  | { readonly refused: "running"; readonly other: Proposal }
  /** One runs already. */
  | { readonly refused: "canary"; readonly canary: Canary }
  /** Nothing was ever deployed, or it serves already: there is nothing to compare with. */
  | { readonly refused: "incomparable"; readonly found: string; readonly expected: string };

export interface RolloutParts {
  readonly store: Store;
  readonly shelf: ReleaseShelf;
  readonly follower: Follower;
  readonly clock: Clock;
  readonly audit: (facts: AuditFacts) => void;
}

/**
 * A rollback is for bad moments, and one of them is that a gateway has just died: it waits no longer for one that has not even said that it lives, although
 * everybody was told to look. Such a one catches up when it speaks again. More than a beat, so that a busy one is waited for.
 */
const SILENT_MS = 1.2 * BEAT_MS;
/** How long it is asked whether a commit whose answer was lost was carried out. */
const COMMIT_DOUBT_MS = 5_000;
const LOOK_MS = 20;
const LONGEST_LOOK_MS = 200;
/** The proposal outlives whoever leads it by no more than this. */
const PROPOSAL_GRACE_MS = 5000;
/** After the commit nobody decides any more; this is for watching. */
const SERVE_DEADLINE_MS = 60_000;
const KEPT = 50;
/** Somebody else may change it at the same time. */
const CHANGE_TRIES = 5;
/** Gateways look each second, and restore what the store lost: all tries together are longer. */
const RESTORED_MS = BEAT_MS / 2;

export class Rollouts {
  readonly #parts: RolloutParts;
  readonly #known = new Map<number, Rollout>();
  #closed = false;

  constructor(parts: RolloutParts) {
    this.#parts = parts;
  }

  get(number: number): Rollout | null {
    return this.#known.get(number) ?? null;
  }
  get all(): readonly Rollout[] {
    return [...this.#known.values()];
  }

  /** Begins; what comes of it shows in the `Rollout`. */
  async begin(order: RolloutOrder): Promise<Rollout | RolloutRefusal> {
    const { store, shelf, clock } = this.#parts;
    const { release, base, kind, dryRun, by, message, timeoutMs } = order;
    const [{ releases }, { head }] = await Promise.all([shelf.list(), this.#parts.follower.board.look("", null)]);
    const entry = releases.find(({ id }) => id === release);
    if (entry === undefined) return { refused: "unknown", found: release };
    const canary = order.canary ?? null;
    if (head?.canary && kind !== "rollback") return { refused: "canary", canary: head.canary };
    const incomparable = canary === null ? null : withoutComparison(release, head);
    if (incomparable !== null) return incomparable;
    // What was looked at is what stands when it is committed, or it is refused then.
    if ((head?.epoch ?? 0) !== base) return { refused: "outdated", newer: head };
    const asked = canary === null ? kind : "canary";
    const text = JSON.stringify({ release, digest: entry.digest, base, kind: asked, dryRun, by, message } satisfies Omit<Proposal, "number" | "expiresUnixMs">);
    const [outcome, more] = await store.run(PROPOSE, [KEYS.head, KEYS.proposal, KEYS.number, KEYS.votes], [base, text, timeoutMs + PROPOSAL_GRACE_MS]);
    if (outcome === 0) return { refused: "outdated", newer: headOf(String(more)) };
    if (outcome === -1) return { refused: "running", other: proposalOf(String(more))! };
    const number = Number(more);
    const rollout: Rollout = { number, release, base, kind: asked, dryRun, state: "preparing", reason: "", epoch: 0, gateways: [], tookMs: 0 };
    this.#keep(rollout, by, clock.now(), this.#lead(rollout, order, entry.digest, head));
    return rollout;
  }

  /** Changes the canary that runs. Nobody is asked first: every gateway holds both releases. */
  async change({ epoch, by, make }: CanaryOrder): Promise<Rollout | { readonly refused: "no-canary" }> {
    const { store, follower, clock } = this.#parts;
    const startedMs = clock.now();
    for (let tries = 0; tries < CHANGE_TRIES; tries++) {
      const { head, nowUnixMs, gateways } = await follower.board.look("", null);
      // The store has lost what a gateway knows, and is about to be told: made from here, a change would come under an epoch that was given already.
      if ((head?.epoch ?? 0) < Math.max(follower.epoch, ...gateways.map(({ live, epoch }) => (live ? epoch : 0)))) {
        await this.#pause(RESTORED_MS);
        continue;
      }
      const change = head?.canary && (epoch === null || head.epoch === epoch) ? make(head, head.canary, nowUnixMs) : null;
      if (head === null || change === null) return { refused: "no-canary" };
      const [made, number] = await store.run(ADVANCE, [KEYS.head, KEYS.history, KEYS.number], [head.epoch, JSON.stringify(change), HISTORY_KEPT]);
      if (made === 0) continue;
      const { release, kind, ended } = change;
      const rollout: Rollout = {
        ...{
          number: Number(number),
          release,
          base: head.epoch,
          kind,
          dryRun: false,
          state: "active",
          reason: "",
          epoch: Number(made),
          gateways: [],
          tookMs: 0,
        },
        ...(ended === undefined ? {} : { ended }),
      };
      await this.#wake();
      this.#keep(rollout, by, startedMs, this.#watch(rollout, startedMs + SERVE_DEADLINE_MS));
      return rollout;
    }
    return { refused: "no-canary" };
  }

  #keep(rollout: Rollout, by: string, startedMs: number, led: Promise<void>): void {
    this.#known.set(rollout.number, rollout);
    for (const old of this.#known.keys()) if (this.#known.size > KEPT) this.#known.delete(old);
    void led
      .catch((thrown: unknown) => this.#end(rollout, "failed", asGatewayError(thrown).detail))
      .finally(() => {
        rollout.tookMs = Math.round(this.#parts.clock.now() - startedMs);
        this.#note(rollout, by);
      });
  }

  close(): void {
    this.#closed = true;
  }

  /** `before`: what stood when it was asked for. */
  async #lead(rollout: Rollout, order: RolloutOrder, digest: string, before: Head | null): Promise<void> {
    const { clock } = this.#parts;
    await this.#wake();
    const verdict = await this.#collect(rollout, clock.now() + order.timeoutMs);
    if (verdict !== "prepared" || order.dryRun) {
      await this.#parts.store.run(ABANDON, [KEYS.proposal], [rollout.number]);
      this.#end(rollout, verdict === "prepared" ? "checked" : verdict, rollout.reason);
      await this.#wake();
      return;
    }
    if (!(await this.#commitOnto(rollout, order, digest, before))) return;
    rollout.state = "active";
    await this.#wake();
    await this.#watch(rollout, clock.now() + SERVE_DEADLINE_MS);
  }

  /** Until all live gateways have voted. */
  async #collect(rollout: Rollout, untilMs: number): Promise<"prepared" | "rejected" | "expired"> {
    const { follower, clock } = this.#parts;
    for (let waitMs = LOOK_MS; ; waitMs = Math.min(waitMs * 1.3, LONGEST_LOOK_MS)) {
      const [seen, votes] = await this.#read(untilMs, () => Promise.all([follower.board.look("", null), follower.board.votes()]));
      rollout.gateways = seen.gateways.map((gateway) => votingRow(gateway, isWaitedFor(rollout, gateway), votes.get(gateway.name)));
      const rejected = rollout.gateways.filter(({ state }) => state === "rejected");
      if (rejected.length > 0) {
        rollout.reason = rejected.map(({ name, reason }) => `${name}: ${reason}`).join("; ");
        return "rejected";
      }
      const missing = rollout.gateways.filter(({ state }) => state === "waiting");
      if (missing.length === 0 && votes.size > 0) return "prepared";
      if (clock.now() >= untilMs || this.#closed) {
        rollout.reason = `no vote in time from ${missing.map(({ name }) => name).join(", ")}`;
        return "expired";
      }
      await this.#pause(waitMs);
    }
  }

  /**
   * False: it came to nothing. A canary changes the head without asking anybody, also while gateways prepare this. A deploy was prepared for another head
   * then; who rolls back wants what they named whatever the canary did, and must not be refused for it.
   */
  async #commitOnto(rollout: Rollout, order: RolloutOrder, digest: string, before: Head | null): Promise<boolean> {
    const { follower, clock, store } = this.#parts;
    for (let [tries, on] = [1, before]; ; tries++) {
      const head: Omit<Head, "epoch"> = { ...changeOf(order, digest, on, rollout.number, clock.unixMs()), rollout: rollout.number };
      const seen = Math.max(0, follower.epoch, ...rollout.gateways.map(({ epoch }) => epoch));
      const made = await this.#commit(rollout.number, seen, head, on?.epoch ?? 0);
      if (typeof made === "number") {
        rollout.epoch = made;
        if (made === 0) this.#end(rollout, "expired", "somebody else ended it");
        else if (head.ended !== undefined) rollout.ended = head.ended;
        return made > 0;
      }
      const { newer } = made;
      if (order.kind === "rollback" && newer !== null && OF_CANARIES.has(newer.kind) && tries < CHANGE_TRIES) {
        on = newer;
        continue;
      }
      await store.run(ABANDON, [KEYS.proposal], [rollout.number]);
      this.#end(rollout, "outdated", `it was prepared for epoch ${order.base}, and meanwhile there is ${headText(newer)}`);
      await this.#wake();
      return false;
    }
  }

  /** A commit whose answer was lost may have been carried out: the head tells. */
  async #commit(number: number, seen: number, head: Omit<Head, "epoch">, base: number): Promise<number | { readonly newer: Head | null }> {
    const { store, follower, clock } = this.#parts;
    try {
      const [epoch, standing] = await store.run(COMMIT, [KEYS.head, KEYS.proposal, KEYS.history], [number, seen, JSON.stringify(head), HISTORY_KEPT, base]);
      return epoch === -1 ? { newer: headOf(String(standing)) } : Number(epoch);
    } catch (thrown) {
      const now = (await this.#read(clock.now() + COMMIT_DOUBT_MS, () => follower.board.look("", null))).head;
      if (now?.rollout === number) return now.epoch;
      throw thrown;
    }
  }

  async #watch(rollout: Rollout, untilMs: number): Promise<void> {
    const { follower, clock } = this.#parts;
    for (let waitMs = LOOK_MS; ; waitMs = Math.min(waitMs * 1.3, LONGEST_LOOK_MS)) {
      const { gateways, head } = await this.#read(untilMs, () => follower.board.look("", null));
      rollout.gateways = gateways.map((gateway) => servingRow(gateway, isWaitedFor(rollout, gateway), rollout.epoch));
      const live = rollout.gateways.filter(({ live }) => live);
      if (live.length > 0 && live.every(({ state }) => state === "serving")) {
        this.#end(rollout, "serving", "");
        return;
      }
      const left = live.filter(({ state }) => state !== "serving").map(({ name, reason }) => (reason === "" ? name : `${name}: ${reason}`));
      if ((head?.epoch ?? 0) > rollout.epoch) {
        this.#end(rollout, "incomplete", `epoch ${head!.epoch} came before it served everywhere`);
        return;
      }
      if (clock.now() >= untilMs || this.#closed) {
        this.#end(rollout, "incomplete", `not served in time by ${left.join("; ")}`);
        return;
      }
      rollout.reason = left.some((text) => text.includes(": ")) ? left.join("; ") : "";
      await this.#pause(waitMs);
    }
  }

  #end(rollout: Rollout, state: RolloutState, reason: string): void {
    rollout.state = state;
    rollout.reason = reason;
  }

  /** Everybody looks now; one that does not hear of it looks within a second. */
  async #wake(): Promise<void> {
    await this.#parts.store.publish(TOPIC, "look").catch(() => undefined);
    void this.#parts.follower.look();
  }

  /** A store that does not answer this once is no reason to give a rollout up: the deadline is. */
  async #read<T>(untilMs: number, ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (thrown) {
        if (!(thrown instanceof GatewayError) || this.#closed || this.#parts.clock.now() >= untilMs) throw thrown;
        await this.#pause(LONGEST_LOOK_MS);
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#parts.clock.after(ms, resolve));
  }

  #note(rollout: Rollout, actor: string): void {
    const { number, release, epoch, state, reason, kind, tookMs, ended } = rollout;
    const done = state === "serving" || state === "checked" || state === "active";
    this.#parts.audit({
      actor,
      action: rollout.dryRun ? `dry run of a ${kind}` : kind,
      outcome: done ? "done" : "refused",
      reason: done ? "" : `${state}: ${reason}`,
      facts: { rollout: number, release, epoch, tookMs, ...(ended === undefined ? {} : { ended: `${ended.release} ${ended.outcome}: ${ended.reason}` }) },
    });
  }
}

const OF_CANARIES: ReadonlySet<HeadKind> = new Set(["step", "promotion", "canary-end"]);

/** For people. */
export function headText(head: Head | null): string {
  if (head === null) return "nothing that was ever deployed (epoch 0)";
  const { epoch, kind, release, by, message, canary } = head;
  const what = kind === "step" && canary ? `the next step of canary ${canary.release} beside ${release}` : `release ${release}`;
  return `epoch ${epoch}: ${what} by ${by || "somebody"}${message === "" ? "" : `, "${message}"`}`;
}

/** The head that comes of a rollout which everybody has prepared. */
function changeOf(order: RolloutOrder, digest: string, before: Head | null, number: number, nowUnixMs: number): HeadChange {
  const { kind, by, message, release, canary = null } = order;
  if (canary !== null && before !== null) return begun(before, { policy: canary, release, digest, tag: number.toString(36), by, message, nowUnixMs });
  const change: HeadChange = { release, digest, kind, by, message, atUnixMs: nowUnixMs };
  const running = before?.canary ?? null;
  if (running === null) return change;
  return { ...change, ended: { release: running.release, outcome: "replaced", because: "asked", reason: `${kind} to ${release}`, pictures: running.past } };
}

function withoutComparison(release: string, head: Head | null): RolloutRefusal | null {
  if (head === null)
    return {
      refused: "incomparable",
      found: "nothing that was ever deployed",
      expected: "a release that serves, to compare the canary with: deploy one without --canary first",
    };
  if (head.release !== release) return null;
  return { refused: "incomparable", found: `${release}, which serves already`, expected: "a change in rules or config, to compare with what serves" };
}

function isWaitedFor({ kind }: Rollout, { live, silentMs }: SeenGateway): boolean {
  return live && ((kind !== "rollback" && kind !== "canary-end") || silentMs <= SILENT_MS);
}

function votingRow({ name, host, epoch, release }: SeenGateway, live: boolean, vote: Vote | undefined): RolloutGateway {
  const row = { name, host, live, epoch, release };
  if (vote === "PREPARED") return { ...row, state: live ? "prepared" : "away", reason: "" };
  if (vote !== undefined) return { ...row, state: "rejected", reason: vote.slice("REJECTED ".length) };
  return { ...row, state: live ? "waiting" : "away", reason: "" };
}

function servingRow({ name, host, epoch, release, state, reason }: SeenGateway, live: boolean, wanted: number): RolloutGateway {
  const row = { name, host, live, epoch, release };
  if (!live) return { ...row, state: "away", reason: "" };
  if (state === "behind") return { ...row, state: "behind", reason };
  return { ...row, state: epoch >= wanted && state === "serving" ? "serving" : "activating", reason: "" };
}
