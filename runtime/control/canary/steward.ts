/**
 * Watches over the canary: every gateway tells the store what it counted, and the one that leads judges all counts together and changes the head.
 * Which one leads, the store says; that nothing is decided twice, the head's epoch: a change is only made from the head that was judged.
 */
import type { Clock, Timer } from "../../clock.ts";
import { asGatewayError } from "../../errors.ts";
import { addCounts, type CanaryCounts } from "../../observe/canary-counts.ts";
import { LOCK, type Store } from "../../store/store.ts";
import type { AuditFacts } from "../audit.ts";
import { BEAT_MS, type SeenGateway } from "../board.ts";
import type { Follower } from "../follower.ts";
import { type Head, splitOnce } from "../release-shelf.ts";
import type { Rollouts } from "../rollouts.ts";
import { COUNT, KEYS } from "../scripts/scripts.ts";
import { type Canary, nextOf, percent, promoted, shareOf, stepped, takenBack } from "./canary.ts";
import { judge, type Picture, told } from "./judgement.ts";

/** What one gateway counted at a step. */
export interface OwnCounts {
  /** Null: nothing yet. */
  readonly counts: CanaryCounts | null;
  /** What could not be counted here; "" when all was. */
  readonly missing: string;
}

export interface StewardParts {
  readonly store: Store;
  readonly follower: Follower;
  readonly rollouts: Rollouts;
  readonly clock: Clock;
  readonly counts: (step: number) => OwnCounts;
  readonly audit: (facts: AuditFacts) => void;
  readonly log: (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;
}

/** What is told of a canary to whoever asks. */
export interface CanaryView {
  readonly canary: Canary;
  readonly epoch: number;
  /** Of the step that is on; null: nobody has judged it yet. */
  readonly picture: Picture | null;
}

interface Report extends OwnCounts {
  readonly step: number;
}

/** What a gateway told is old after this: it tells once a second. */
const FRESH_MS = 5000;
const LEAD_MS = 4000;
const REMEMBERED_MS = 60_000;
const PICTURE_MS = 60_000;

export class Steward {
  readonly #parts: StewardParts;
  #beat: Timer | null = null;
  #busy = false;
  #closed = false;
  #latest: { readonly epoch: number; readonly picture: Picture } | null = null;
  /** A breach stays one until it is acted upon, whatever is counted meanwhile. */
  #breach: { readonly epoch: number; readonly picture: Picture } | null = null;

  constructor(parts: StewardParts) {
    this.#parts = parts;
    this.#beatLater();
  }

  close(): void {
    this.#closed = true;
    this.#beat?.cancel();
  }

  /** Null: no canary runs. */
  view(): CanaryView | null {
    const { head } = this.#parts.follower.seen;
    if (!head?.canary) return null;
    return { canary: head.canary, epoch: head.epoch, picture: this.#latest?.epoch === head.epoch ? this.#latest.picture : null };
  }

  #beatLater(): void {
    this.#beat = this.#parts.clock.after(BEAT_MS, () => {
      if (this.#closed) return;
      void this.tend();
      this.#beatLater();
    });
  }

  /** Once a second while a canary runs. */
  async tend(): Promise<void> {
    const { head } = this.#parts.follower.seen;
    if (!head?.canary || this.#busy) return;
    this.#busy = true;
    try {
      await this.#tend(head, head.canary);
    } catch (thrown) {
      // Without the store nothing advances, and what runs goes on.
      this.#parts.log("warn", "control-store", { reason: asGatewayError(thrown).detail });
    } finally {
      this.#busy = false;
    }
  }

  async #tend(head: Head, canary: Canary): Promise<void> {
    const { store, follower } = this.#parts;
    const own = JSON.stringify({ step: head.epoch, ...this.#parts.counts(head.epoch) } satisfies Report);
    const [locked] = await store.run(LOCK, [KEYS.lead], [follower.name, LEAD_MS]);
    const leads = locked === 1;
    const [now, ...pairs] = await store.run(COUNT, [KEYS.counts], [follower.name, own, FRESH_MS, leads ? REMEMBERED_MS : 0]);
    if (!leads) {
      this.#latest = await this.#read();
      return;
    }
    const nowUnixMs = Number(now);
    // Judged anew is only what is known now: the head may have changed since this gateway looked.
    const { gateways } = await follower.board.look("", null);
    const reports = reportsOf(pairs.map(String), nowUnixMs);
    const missing = missingOf(gateways, reports, head, canary, nowUnixMs);
    const picture =
      this.#breach?.epoch === head.epoch
        ? this.#breach.picture
        : judge(canary, { ...summed(reports, head.epoch), missing, elapsedMs: nowUnixMs - canary.stepUnixMs });
    this.#latest = { epoch: head.epoch, picture };
    await store.set(KEYS.picture, Buffer.from(JSON.stringify(this.#latest)), { ttlMs: PICTURE_MS });
    if (picture.verdict === "rollback") {
      this.#breach = { epoch: head.epoch, picture };
      await this.#takeBack(head, picture);
    } else if (picture.verdict === "advance") await this.#advance(head, canary, picture);
  }

  async #read(): Promise<{ readonly epoch: number; readonly picture: Picture } | null> {
    const [bytes] = await this.#parts.store.getMany([KEYS.picture]);
    return bytes === null || bytes === undefined ? null : (JSON.parse(Buffer.from(bytes).toString("utf8")) as { epoch: number; picture: Picture });
  }

  async #takeBack(head: Head, picture: Picture): Promise<void> {
    const { rollouts } = this.#parts;
    const { reason } = picture;
    const made = await rollouts.change({
      epoch: head.epoch,
      by: "gateway",
      make: (head, canary, nowUnixMs) => takenBack(head, canary, { by: "gateway", message: reason, nowUnixMs, because: "breach", picture }),
    });
    if (!("refused" in made)) this.#note("canary rollback", "refused", head, picture);
  }

  async #advance(head: Head, canary: Canary, picture: Picture): Promise<void> {
    const next = nextOf(canary);
    if (next === "end") return;
    const facts = { by: "gateway", message: picture.reason, because: "last-step", picture } as const;
    const made = await this.#parts.rollouts.change({
      epoch: head.epoch,
      by: "gateway",
      make: (head, canary, nowUnixMs) => (next === "promotion" ? promoted(canary, { ...facts, nowUnixMs }) : stepped(head, canary, { ...facts, nowUnixMs })),
    });
    if (!("refused" in made)) this.#note(next === "promotion" ? "canary promotion" : "canary step", "done", head, picture);
  }

  /** With the counts and the intervals that it was decided by. */
  #note(action: string, outcome: "done" | "refused", { epoch, canary }: Head, picture: Picture): void {
    const { canary: on, current, reason } = picture;
    const facts = {
      release: canary!.release,
      step: epoch,
      share: percent(shareOf(canary!)),
      canaryClients: on.units,
      canaryRequests: on.requests,
      currentClients: current.units,
      currentRequests: current.requests,
      metrics: picture.metrics.map(told).join("; ").slice(0, 4000),
    };
    this.#parts.audit({ actor: "gateway", action, outcome, reason, facts });
    this.#parts.log(outcome === "done" ? "info" : "error", action.replace(" ", "-"), { ...facts, reason });
  }
}

/** By gateway, those that are new. */
function reportsOf(pairs: readonly string[], nowUnixMs: number): Map<string, Report> {
  const reports = new Map<string, Report>();
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const [expires, json] = splitOnce(pairs[i + 1]!);
    if (Number(expires) > nowUnixMs) reports.set(pairs[i]!, JSON.parse(json) as Report);
  }
  return reports;
}

function summed(reports: ReadonlyMap<string, Report>, step: number): { readonly counts: CanaryCounts | null } {
  let counts: CanaryCounts | null = null;
  for (const report of reports.values()) {
    if (report.step !== step || report.counts?.step !== step) continue;
    counts = counts === null ? report.counts : addCounts(counts, report.counts);
  }
  return { counts };
}

/** Whose word is missing. A gateway that took part and was lost counts: the canary may be why. */
function missingOf(gateways: readonly SeenGateway[], reports: ReadonlyMap<string, Report>, head: Head, canary: Canary, nowUnixMs: number): string[] {
  const missing: string[] = [];
  for (const { name, live, silentMs } of gateways) {
    const report = reports.get(name);
    if (!live) {
      if (nowUnixMs - silentMs > canary.beganUnixMs) missing.push(`gateway ${name} was lost while the canary ran`);
    } else if (report === undefined || report.step !== head.epoch) missing.push(`gateway ${name} has reported nothing of this step`);
    else if (report.missing !== "") missing.push(`gateway ${name}: ${report.missing}`);
    else if (report.counts?.step !== head.epoch) missing.push(`gateway ${name} has counted nothing at this step`);
  }
  return missing;
}
