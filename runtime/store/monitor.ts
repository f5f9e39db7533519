/** How a store is doing, as its user sees it: state, counts, and when to stop waiting for it. */
import type { Clock } from "../clock.ts";
import type { StoreHealth, StoreKind, StoreState } from "./store.ts";

export class Monitor {
  readonly #kind: StoreKind;
  readonly #clock: Clock;
  readonly #listeners = new Set<(health: StoreHealth) => void>();
  #state: StoreState = "connecting";
  #reason = "";
  #sinceUnixMs: number;
  calls = 0;
  failures = 0;
  timeouts = 0;
  reconnects = 0;
  roundTripMs = 0;

  constructor(kind: StoreKind, clock: Clock) {
    this.#kind = kind;
    this.#clock = clock;
    this.#sinceUnixMs = clock.unixMs();
  }

  get state(): StoreState {
    return this.#state;
  }
  get reason(): string {
    return this.#reason;
  }

  /** Told to listeners when the state is another one. */
  become(state: StoreState, reason: string): void {
    const before = this.#state;
    this.#reason = reason;
    if (state === before) return;
    this.#state = state;
    this.#sinceUnixMs = this.#clock.unixMs();
    const health = this.health(0);
    for (const listener of this.#listeners) listener(health);
  }

  listen(listener: (health: StoreHealth) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  health(outstanding: number): StoreHealth {
    const { calls, failures, timeouts, reconnects, roundTripMs } = this;
    return {
      kind: this.#kind,
      state: this.#state,
      reason: this.#reason,
      sinceUnixMs: this.#sinceUnixMs,
      calls,
      failures,
      timeouts,
      reconnects,
      outstanding,
      roundTripMs,
    };
  }
}
