/**
 * Is the store to be asked just now? When a call fails the answer is no, at once and for everybody, so that a store that hangs costs one time-out
 * and not one for each request; a single probe asks from time to time. When it is back, keys return to it one after another.
 */
import type { Clock } from "../clock.ts";
import type { Store } from "../store/store.ts";

const PROBE_MS = 250;
/** Keys come back spread over this: a store that has just started must not meet the load of all gateways in one moment. */
const RETURN_MS = 2000;

export interface StoreGateOptions {
  readonly store: Pick<Store, "health" | "onHealth">;
  readonly clock: Clock;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly onChange: (lost: boolean, why: string) => void;
}

export class StoreGate {
  readonly #clock: Clock;
  readonly #random: () => number;
  /** Differs between workers: they do not come back with the same keys first. */
  readonly #salt: number;
  readonly #onChange: (lost: boolean, why: string) => void;
  readonly #unsubscribe: () => void;
  #lost: boolean;
  #wasReady: boolean;
  #probeAtMs = 0;
  #returnedMs = Number.NEGATIVE_INFINITY;

  constructor({ store, clock, random, onChange }: StoreGateOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#onChange = onChange;
    this.#salt = Math.floor(random() * 2 ** 31);
    this.#lost = store.health().state !== "ready";
    this.#wasReady = !this.#lost;
    this.#unsubscribe = store.onHealth(({ state, reason }) => (state === "ready" ? this.answered() : this.failed(reason)));
  }

  get lost(): boolean {
    return this.#lost;
  }

  /** Costs two comparisons while all is well. */
  mayAsk(key: string): boolean {
    if (this.#lost) return this.#mayProbe();
    if (this.#returnedMs === Number.NEGATIVE_INFINITY) return true;
    const sinceMs = this.#clock.now() - this.#returnedMs;
    if (sinceMs < RETURN_MS) return sinceMs >= this.#turnMs(key);
    this.#returnedMs = Number.NEGATIVE_INFINITY;
    return true;
  }

  /** For who must not wait for its turn. */
  mayAskAtOnce(): boolean {
    return !this.#lost || this.#mayProbe();
  }

  failed(why: string): void {
    const was = this.#lost;
    this.#lost = true;
    // Jitter: gateways that lost it together do not probe together.
    this.#probeAtMs = this.#clock.now() + PROBE_MS * (0.5 + this.#random());
    if (!was) this.#onChange(true, why);
  }

  answered(): void {
    if (!this.#lost) return;
    this.#lost = false;
    // At a start nothing was counted elsewhere that could come back.
    if (this.#wasReady) this.#returnedMs = this.#clock.now();
    this.#wasReady = true;
    this.#onChange(false, "");
  }

  close(): void {
    this.#unsubscribe();
  }

  #mayProbe(): boolean {
    const nowMs = this.#clock.now();
    if (nowMs < this.#probeAtMs) return false;
    this.#probeAtMs = nowMs + PROBE_MS * (0.5 + this.#random());
    return true;
  }

  /** When, within the return, this key's turn is. FNV-1a, and MurmurHash3's end, which lets the salt reorder keys instead of shifting all alike. */
  #turnMs(key: string): number {
    let hash = 0x811c9dc5;
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
    hash ^= this.#salt;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return ((hash ^ (hash >>> 16)) >>> 0) % RETURN_MS;
  }
}
