/** One fetch that many requests wait for. */
import type { Clock, Timer } from "../clock.ts";
import type { Fields } from "../proxy/fields.ts";
import type { GatewayResponse } from "../proxy/reply.ts";
import type { Entry, EntryHead } from "./entry.ts";
import type { Fill } from "./fill.ts";

/** What became of it, once the origin's head was there. */
export type Outcome =
  /** Complete in the cache. `fwdStatus`: what the origin said, 0 when it was not asked. */
  | { readonly kind: "stored"; readonly key: string; readonly entry: Entry; readonly fwdStatus: number }
  /** Arriving. `own`: the fields for the leader, with those that are not stored. `shared`: those who waited may have it too. */
  | { readonly kind: "fill"; readonly key: string; readonly head: EntryHead; readonly own: Fields; readonly fill: Fill; readonly shared: boolean }
  /** The leader's alone. */
  | { readonly kind: "uncacheable"; readonly response: GatewayResponse; readonly reason: string }
  /** The cache does not hold it, and this request is to ask for itself. */
  | { readonly kind: "alone"; readonly reason: string }
  /** It took too long: whoever waits may try. Only waiters are told. */
  | { readonly kind: "slow" }
  | { readonly kind: "failed"; readonly error: unknown };

export class Flight {
  /** For the leader: the end, however late. */
  readonly landed: Promise<Outcome>;
  /** For those who wait: the end, or "slow" at the deadline. */
  readonly awaited: Promise<Outcome>;
  slow = false;
  readonly #land: (outcome: Outcome) => void;
  readonly #tell: (outcome: Outcome) => void;
  readonly #timer: Timer;

  constructor(clock: Clock, timeoutMs: number) {
    const landed = Promise.withResolvers<Outcome>();
    const awaited = Promise.withResolvers<Outcome>();
    this.landed = landed.promise;
    this.awaited = awaited.promise;
    this.#land = landed.resolve;
    this.#tell = awaited.resolve;
    this.#timer = clock.after(timeoutMs, () => {
      this.slow = true;
      this.#tell({ kind: "slow" });
    });
  }

  end(outcome: Outcome): void {
    this.#timer.cancel();
    this.#tell(outcome);
    this.#land(outcome);
  }
}
