/**
 * The door of the room: may these limits be charged? Answered here when it is known here (a key that is blocked, units at hand), by the
 * store otherwise, and by each limit's `onStoreLoss` while there is none.
 */
import type { Clock } from "../clock.ts";
import type { Store } from "../store/store.ts";
import { Check, type CheckParts } from "./check.ts";
import type { Decision, LimitAsk, LimiterEvents, LimitResult } from "./decision.ts";
import { Holds, HOLD_MS } from "./holds.ts";
import { KnownBlocks } from "./known-blocks.ts";
import { Leases } from "./leases.ts";
import { StoreGate } from "./store-gate.ts";
import { TakeQueue } from "./take-queue.ts";
import { WithoutStore } from "./without-store.ts";

export type { DecidedBy, Decision, LimitAsk, LimiterEvents, LimitReason, LimitResult } from "./decision.ts";
export { networkOf } from "./keys.ts";
export { type Admission, RouteLimits } from "./route-limits.ts";
export { LimitCall, RuleLimits } from "./rule-limits.ts";

export interface LimiterOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly events: LimiterEvents;
  /** From 0 up to, not including, 1. */
  readonly random?: () => number;
}

export interface LimiterStatus {
  /** The store is lost to the limits. */
  readonly degraded: boolean;
  /** Units held under limits with algorithm `concurrency`. */
  readonly inFlight: number;
}

/** Keys remembered in each of the tables of a worker: about 10 MiB when all are full. */
const MAX_KEYS = 50_000;

export class Limiter {
  readonly #parts: CheckParts;

  constructor({ store, clock, events, random = Math.random }: LimiterOptions) {
    // Names this worker among all of all gateways, and fits a double.
    const holder = 1 + Math.floor(random() * (Number.MAX_SAFE_INTEGER - 1));
    const gate = new StoreGate({ store, clock, random, onChange: (lost, why) => events.degraded(lost, why) });
    const holds = new Holds(store, holder, clock, (thrown) => gate.failed(String(thrown)));
    const withoutStore = new WithoutStore({
      unixMs: () => clock.unixMs(),
      members: () => store.liveMembers(),
      held: (key) => holds.of(key),
      maxKeys: MAX_KEYS,
    });
    const queue = new TakeQueue(store, holder, HOLD_MS);
    this.#parts = { now: () => clock.now(), events, gate, queue, known: new KnownBlocks(MAX_KEYS), leases: new Leases(MAX_KEYS), holds, withoutStore };
  }

  /** Charges all of them or none. At once when nobody has to be asked. Never rejects. */
  check(asks: readonly LimitAsk[]): Decision | Promise<Decision> {
    const nowMs = this.#parts.now();
    const results: (LimitResult | null)[] = [];
    for (const ask of asks) {
      const known = this.#known(ask, nowMs);
      results.push(known);
      if (known === null || known.allowed) continue;
      return { allowed: false, results, degraded: null, release: null };
    }
    const leased: number[] = [];
    const missing: number[] = [];
    const open: number[] = [];
    for (let i = 0; i < asks.length; i++) {
      if (results[i] !== null) continue;
      if (asks[i]!.policy.mode === "exact" || asks[i]!.cost === 0) open.push(i);
      else if (this.#takeLeased(asks[i]!, i, results, nowMs)) leased.push(i);
      else missing.push(i);
    }
    if (missing.length === 0 && open.length === 0) return { allowed: true, results, degraded: null, release: null };
    return new Promise((resolve) => new Check(this.#parts, asks, results, leased, open, resolve).begin(missing));
  }

  status(): LimiterStatus {
    return { degraded: this.#parts.gate.lost, inFlight: this.#parts.holds.units };
  }

  close(): void {
    this.#parts.gate.close();
    this.#parts.holds.close();
  }

  /** What needs no asking, or null. */
  #known({ policy, key, cost }: LimitAsk, nowMs: number): LimitResult | null {
    const block = this.#parts.known.find(key, policy, cost, nowMs);
    if (block === null) return null;
    const resetMs = Math.ceil(block.resetAtMs - nowMs);
    const reason = policy.shadow ? "shadow" : block.penalised ? "penalty" : "over";
    this.#parts.events.charged(policy.name, reason, "known");
    return { allowed: policy.shadow, remaining: 0, resetMs, retryAfterMs: policy.shadow ? 0 : Math.ceil(block.untilMs - nowMs), reason };
  }

  #takeLeased({ policy, key, cost }: LimitAsk, i: number, results: (LimitResult | null)[], nowMs: number): boolean {
    const taken = this.#parts.leases.takeNow(key, cost, nowMs);
    if (taken === null) return false;
    results[i] = { allowed: true, remaining: taken.remaining, resetMs: taken.resetMs, retryAfterMs: 0, reason: "ok" };
    this.#parts.events.charged(policy.name, "ok", "lease");
    return true;
  }
}
