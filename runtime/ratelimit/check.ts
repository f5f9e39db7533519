/** One check that needs an answer from elsewhere: first units that are leased, then everything else in one call. */
import type { Decision, LimitAsk, LimiterEvents, LimitReason, LimitResult } from "./decision.ts";
import type { Holds } from "./holds.ts";
import type { KnownBlocks } from "./known-blocks.ts";
import type { LeaseOutcome, Leases } from "./leases.ts";
import type { OnStoreLoss } from "./policy.ts";
import type { StoreGate } from "./store-gate.ts";
import { PENALISED, REPLY_STRIDE } from "./take.ts";
import type { TakeQueue } from "./take-queue.ts";
import type { WithoutStore } from "./without-store.ts";

export interface CheckParts {
  readonly now: () => number;
  readonly events: LimiterEvents;
  readonly gate: StoreGate;
  readonly queue: TakeQueue;
  readonly known: KnownBlocks;
  readonly leases: Leases;
  readonly holds: Holds;
  readonly withoutStore: WithoutStore;
}

/** Whoever must not pass because nothing can be counted may ask again then. */
const CLOSED_RETRY_MS = 1000;
const CLOSED: LimitResult = Object.freeze({ allowed: false, remaining: 0, resetMs: CLOSED_RETRY_MS, retryAfterMs: CLOSED_RETRY_MS, reason: "store" });

export class Check {
  readonly #parts: CheckParts;
  readonly #asks: readonly LimitAsk[];
  readonly #results: (LimitResult | null)[];
  /** To be asked from the store, all in one. */
  readonly #open: number[];
  readonly #resolve: (decision: Decision) => void;
  /** Leased units already taken for this check. */
  readonly #leased: number[];
  #degraded: OnStoreLoss | null = null;
  #held: LimitAsk[] | null = null;

  constructor(
    parts: CheckParts,
    asks: readonly LimitAsk[],
    results: (LimitResult | null)[],
    leased: number[],
    open: number[],
    resolve: (decision: Decision) => void,
  ) {
    this.#parts = parts;
    this.#asks = asks;
    this.#results = results;
    this.#leased = leased;
    this.#open = open;
    this.#resolve = resolve;
  }

  /** `missing`: leased limits without units at hand. */
  begin(missing: readonly number[]): void {
    let waiting = missing.length;
    if (waiting === 0) return this.#askStore();
    for (const i of missing) {
      this.#askForUnits(i, (outcome) => {
        this.#leaseSettled(i, outcome);
        if (--waiting === 0) this.#afterLeases();
      });
    }
  }

  #askForUnits(i: number, settle: (outcome: LeaseOutcome) => void): void {
    const { leases, queue, gate, now } = this.#parts;
    const { key, policy, cost, group } = this.#asks[i]!;
    if (!this.#mayAsk(this.#asks[i]!)) return settle({ kind: "store-lost" });
    leases.take(
      key,
      policy,
      cost,
      now,
      (least, want, answered) =>
        queue.ask(group, [{ policy, key, cost: least, want }], (reply, at, thrown) => {
          if (reply === null) {
            gate.failed(String(thrown));
            return answered(null);
          }
          gate.answered();
          const [units, remaining, resetMs, retryMs] = [Number(reply[at]), Number(reply[at + 1]), Number(reply[at + 2]), Number(reply[at + 3])];
          answered({ units: Math.max(0, units), remaining, resetMs, retryMs });
        }),
      settle,
    );
  }

  #leaseSettled(i: number, outcome: LeaseOutcome): void {
    const { key, policy, cost } = this.#asks[i]!;
    switch (outcome.kind) {
      case "granted":
        this.#leased.push(i);
        this.#set(i, { allowed: true, remaining: outcome.remaining, resetMs: outcome.resetMs, retryAfterMs: 0, reason: "ok" });
        return;
      case "refused": {
        const nowMs = this.#parts.now();
        this.#parts.known.note(key, { policy, untilMs: nowMs + outcome.pauseMs, cost, resetAtMs: nowMs + outcome.resetMs, penalised: false });
        this.#set(i, refusal(policy.shadow, "over", 0, outcome.resetMs, outcome.retryMs));
        return;
      }
      case "store-lost":
        this.#open.push(i);
    }
  }

  #afterLeases(): void {
    if (this.#results.some((result) => result !== null && !result.allowed)) this.#finish();
    else this.#askStore();
  }

  #askStore(): void {
    const open = this.#open;
    if (open.length === 0) return this.#finish();
    const asks = open.length === this.#asks.length ? this.#asks : open.map((i) => this.#asks[i]!);
    if (!this.#mayAsk(asks[0]!)) return this.#decideWithoutStore(asks);
    this.#parts.queue.ask(asks[0]!.group, asks, (reply, at, thrown) => {
      if (reply === null) {
        this.#parts.gate.failed(String(thrown));
        return this.#decideWithoutStore(asks);
      }
      this.#parts.gate.answered();
      this.#read(reply.slice(at, at + asks.length * REPLY_STRIDE).map(Number), true);
      this.#finish();
    });
  }

  /** Refusing longer than the store is away helps nobody. */
  #mayAsk({ policy, key }: LimitAsk): boolean {
    return policy.onStoreLoss === "closed" ? this.#parts.gate.mayAskAtOnce() : this.#parts.gate.mayAsk(key);
  }

  #decideWithoutStore(asks: readonly LimitAsk[]): void {
    // The strictest word that was heeded.
    this.#degraded = asks.some(({ policy }) => policy.onStoreLoss === "local") ? "local" : "open";
    if (asks.some(({ policy }) => policy.onStoreLoss === "closed" && !policy.shadow)) {
      this.#degraded = "closed";
      for (const i of this.#open) if (this.#asks[i]!.policy.onStoreLoss === "closed") this.#set(i, CLOSED);
      return this.#finish();
    }
    const reply: number[] = [];
    this.#parts.withoutStore.take(asks, reply);
    this.#read(reply, false);
    this.#finish();
  }

  #read(reply: readonly number[], told: boolean): void {
    const refused = this.#open.some((i, n) => reply[n * REPLY_STRIDE]! < 0 && !this.#asks[i]!.policy.shadow);
    this.#open.forEach((i, n) => {
      const from = n * REPLY_STRIDE;
      const ask = this.#asks[i]!;
      const [code, remaining, resetMs, retryMs] = [reply[from]!, reply[from + 1]!, reply[from + 2]!, reply[from + 3]!];
      if (code < 0) {
        this.#set(i, refusal(ask.policy.shadow, code === PENALISED ? "penalty" : "over", remaining, resetMs, retryMs));
        if (told) this.#noteBlock(ask, code === PENALISED, resetMs, retryMs);
        return;
      }
      this.#set(i, { allowed: true, remaining, resetMs, retryAfterMs: 0, reason: "ok" });
      if (refused || ask.policy.algorithm !== "concurrency" || code === 0) return;
      this.#parts.holds.add(ask.key, code, told);
      (this.#held ??= []).push(ask);
    });
  }

  #noteBlock({ policy, key, cost }: LimitAsk, penalised: boolean, resetMs: number, retryMs: number): void {
    // What is in flight ends at any moment; a limit with a penalty counts each refusal until the key is blocked.
    if (policy.algorithm === "concurrency" || (policy.penalty !== null && !penalised)) return;
    const nowMs = this.#parts.now();
    this.#parts.known.note(key, { policy, untilMs: nowMs + retryMs, cost, resetAtMs: nowMs + resetMs, penalised });
  }

  #set(i: number, result: LimitResult): void {
    this.#results[i] = result;
    const { events } = this.#parts;
    const { policy } = this.#asks[i]!;
    const leased = policy.mode === "leased" && this.#degraded === null;
    events.charged(policy.name, result.reason, this.#degraded === null ? (leased ? "lease" : "store") : policy.onStoreLoss);
  }

  #finish(): void {
    const allowed = this.#results.every((result) => result === null || result.allowed);
    if (!allowed) for (const i of this.#leased) this.#parts.leases.giveBack(this.#asks[i]!.key, this.#asks[i]!.cost);
    const held = this.#held;
    const release = held === null ? null : () => held.forEach(({ key, cost }) => this.#parts.holds.release(key, cost));
    this.#resolve({ allowed, results: this.#results, degraded: this.#degraded, release });
  }
}

function refusal(shadow: boolean, reason: LimitReason, remaining: number, resetMs: number, retryMs: number): LimitResult {
  return shadow
    ? { allowed: true, remaining, resetMs, retryAfterMs: 0, reason: "shadow" }
    : { allowed: false, remaining, resetMs, retryAfterMs: retryMs, reason };
}
