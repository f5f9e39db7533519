/**
 * `mode: "leased"`: units are taken from the store in advance, a few at a time, and given out here. The store never grants more than the limit
 * allows, so what is leased comes out of the limit; it may only be used later than it was taken. Over any span of time at most
 *
 *     burst + rate × span + workers × largest lease
 *
 * are admitted. A lease grows while it is used up quickly and shrinks while it is not; what is not used within `LEASE_MS` is lost.
 */
import { LRUCache } from "lru-cache";
import type { LimitPolicy } from "./policy.ts";

/** How long leased units may wait to be used. */
export const LEASE_MS = 250;
/** After the store had too little: how long nobody asks again, so that the next answer is worth its way. Shorter where units would be lost meanwhile. */
const PAUSE_MS = 10;
/** A lease is at most this part of the burst, and at least one unit. */
const LARGEST_SHARE = 1 / 20;

export function largestLease(policy: LimitPolicy): number {
  return Math.max(1, Math.floor(policy.capacity * LARGEST_SHARE));
}

interface Waiter {
  readonly cost: number;
  readonly settle: (outcome: LeaseOutcome) => void;
}

interface Lease {
  units: number;
  untilMs: number;
  /** How many to ask for next. */
  size: number;
  takenMs: number;
  /** True while the store is being asked. */
  asking: boolean;
  waiters: Waiter[];
  remaining: number;
  resetAtMs: number;
  /** The store had less than was wanted: until then nobody asks again. */
  dryUntilMs: number;
}

/** What the store said when it was asked for units. */
export interface Granted {
  /** 0: refused. */
  readonly units: number;
  readonly remaining: number;
  readonly resetMs: number;
  readonly retryMs: number;
}

export type LeaseOutcome =
  | { readonly kind: "granted"; readonly remaining: number; readonly resetMs: number }
  /** `pauseMs`: for how long others need not ask either. */
  | { readonly kind: "refused"; readonly resetMs: number; readonly retryMs: number; readonly pauseMs: number }
  | { readonly kind: "store-lost" };

/** Asks the store for `cost` to `want` units; null when it did not answer. */
export type AskForUnits = (cost: number, want: number, answered: (granted: Granted | null) => void) => void;

export class Leases {
  readonly #leases: LRUCache<string, Lease>;

  constructor(max: number) {
    this.#leases = new LRUCache({ max });
  }

  /** Units at hand: what was granted, at once. Null: the store has to be asked. */
  takeNow(key: string, cost: number, nowMs: number): { remaining: number; resetMs: number } | null {
    const lease = this.#leases.get(key);
    if (lease === undefined || nowMs >= lease.untilMs || lease.units < cost) return null;
    lease.units -= cost;
    return { remaining: lease.remaining + lease.units, resetMs: Math.max(0, lease.resetAtMs - nowMs) };
  }

  /** Asks, together with whoever waits for the same key. */
  take(key: string, policy: LimitPolicy, cost: number, now: () => number, ask: AskForUnits, settle: (outcome: LeaseOutcome) => void): void {
    let lease = this.#leases.get(key);
    if (lease === undefined) {
      lease = { units: 0, untilMs: 0, size: 1, takenMs: 0, asking: false, waiters: [], remaining: 0, resetAtMs: 0, dryUntilMs: 0 };
      this.#leases.set(key, lease);
    }
    const nowMs = now();
    if (nowMs < lease.dryUntilMs) {
      const pauseMs = lease.dryUntilMs - nowMs;
      settle({ kind: "refused", resetMs: Math.max(0, lease.resetAtMs - nowMs), retryMs: Math.ceil(pauseMs), pauseMs });
      return;
    }
    lease.waiters.push({ cost, settle });
    if (!lease.asking) this.#ask(lease, policy, now, ask);
  }

  /** Not needed after all: another limit of the same check refused. */
  giveBack(key: string, cost: number): void {
    const lease = this.#leases.get(key);
    if (lease !== undefined) lease.units += cost;
  }

  /** What is leased now, for tests and status. */
  unitsOf(key: string): number {
    return this.#leases.get(key)?.units ?? 0;
  }

  #ask(lease: Lease, policy: LimitPolicy, now: () => number, ask: AskForUnits): void {
    const nowMs = now();
    resize(lease, policy, nowMs);
    const { waiters } = lease;
    lease.waiters = [];
    lease.asking = true;
    const costs = waiters.reduce((sum, { cost }) => sum + cost, 0);
    const least = waiters[0]!.cost;
    // No more than the limit could ever grant: it would be refused as a whole otherwise.
    const want = Math.min(policy.capacity, Math.max(costs, lease.size));
    ask(least, Math.max(least, want), (granted) => {
      lease.asking = false;
      const atMs = now();
      if (granted === null) {
        for (const { settle } of [...waiters, ...lease.waiters.splice(0)]) settle({ kind: "store-lost" });
        return;
      }
      if (granted.units > 0) {
        lease.units += granted.units;
        lease.takenMs = atMs;
        lease.untilMs = atMs + LEASE_MS;
      }
      lease.remaining = granted.remaining;
      lease.resetAtMs = atMs + granted.resetMs;
      if (granted.units < want) lease.dryUntilMs = atMs + Math.max(granted.retryMs, pauseMs(policy));
      const unserved = serve(lease, policy, waiters, granted, want);
      lease.waiters.unshift(...unserved);
      if (lease.waiters.length > 0) this.#ask(lease, policy, now, ask);
    });
  }
}

/** In order. Who finds too little is refused when the store had no more, and asks again otherwise. */
function serve(lease: Lease, policy: LimitPolicy, waiters: readonly Waiter[], granted: Granted, want: number): Waiter[] {
  const unserved: Waiter[] = [];
  const retryMs = Math.max(1, granted.retryMs);
  for (const waiter of waiters) {
    if (lease.units >= waiter.cost) {
      lease.units -= waiter.cost;
      waiter.settle({ kind: "granted", remaining: granted.remaining + lease.units, resetMs: granted.resetMs });
    } else if (granted.units < want) {
      waiter.settle({ kind: "refused", resetMs: granted.resetMs, retryMs, pauseMs: Math.max(retryMs, pauseMs(policy)) });
    } else unserved.push(waiter);
  }
  return unserved;
}

/** At most until half the burst has come back: units that come to a full bucket are lost. */
function pauseMs(policy: LimitPolicy): number {
  return Math.min(PAUSE_MS, ((policy.capacity / 2) * policy.windowMs) / policy.limit);
}

/** Used up within half its life: twice as much next time. Mostly unused at its end: half as much. */
function resize(lease: Lease, policy: LimitPolicy, nowMs: number): void {
  if (nowMs >= lease.untilMs) {
    if (lease.units > lease.size / 2) lease.size = Math.max(1, Math.floor(lease.size / 2));
    lease.units = 0;
  } else if (nowMs - lease.takenMs < LEASE_MS / 2) lease.size = Math.min(largestLease(policy), lease.size * 2);
}
