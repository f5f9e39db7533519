/** What this worker has in flight under limits with algorithm `concurrency`: given back when done, and told anew from time to time. */
import type { Clock, Timer } from "../clock.ts";
import type { Store } from "../store/store.ts";
import { HOLD } from "./in-flight.ts";

/** A worker that is silent for this long is taken for dead, and what it held is free. */
export const HOLD_MS = 30_000;
const RENEW_MS = HOLD_MS / 3;

interface Held {
  units: number;
  /** Given back in this turn, not yet told. */
  owed: number;
}

export class Holds {
  readonly #store: Store;
  readonly #holder: number;
  readonly #clock: Clock;
  /** The store could not be told; the next sign of life tells it. */
  readonly #onFailure: (thrown: unknown) => void;
  readonly #held = new Map<string, Held>();
  /** Keys to tell of at the end of this turn. */
  readonly #changed = new Set<string>();
  /** Those whose last word may not have arrived. */
  readonly #doubtful = new Set<string>();
  #renewal: Timer | null = null;
  #scheduled = false;
  #closed = false;

  constructor(store: Store, holder: number, clock: Clock, onFailure: (thrown: unknown) => void) {
    this.#store = store;
    this.#holder = holder;
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  /** Units that this worker holds under a key. */
  of(key: string): number {
    return this.#held.get(key)?.units ?? 0;
  }
  get units(): number {
    let sum = 0;
    for (const { units } of this.#held.values()) sum += units;
    return sum;
  }

  /** `told`: the store has counted them already. */
  add(key: string, units: number, told: boolean): void {
    const held = this.#held.get(key);
    if (held === undefined) this.#held.set(key, { units, owed: 0 });
    else held.units += units;
    if (!told) this.#doubtful.add(key);
    this.#renewal ??= this.#clock.after(RENEW_MS, () => this.#renew());
  }

  release(key: string, units: number): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    held.units -= units;
    held.owed += units;
    this.#changed.add(key);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#tellReleased());
  }

  close(): void {
    this.#closed = true;
    this.#renewal?.cancel();
  }

  #tellReleased(): void {
    this.#scheduled = false;
    const byGroup = new Map<string, [key: string, units: number][]>();
    for (const key of this.#changed) {
      const held = this.#held.get(key)!;
      // What may not have arrived is told as a whole, later: a difference would be one to an unknown number.
      if (!this.#doubtful.has(key)) append(byGroup, groupOf(key), [key, -held.owed]);
      held.owed = 0;
      if (held.units === 0 && !this.#doubtful.has(key)) this.#held.delete(key);
    }
    this.#changed.clear();
    for (const pairs of byGroup.values()) this.#tell("add", pairs);
  }

  #renew(): void {
    this.#renewal = null;
    if (this.#closed || this.#held.size === 0) return;
    const byGroup = new Map<string, [key: string, units: number][]>();
    for (const [key, { units }] of this.#held) append(byGroup, groupOf(key), [key, units]);
    for (const pairs of byGroup.values()) this.#tell("set", pairs);
    this.#renewal = this.#clock.after(RENEW_MS, () => this.#renew());
  }

  #tell(how: "add" | "set", pairs: readonly (readonly [key: string, units: number])[]): void {
    this.#store
      .run(
        HOLD,
        pairs.map(([key]) => key),
        [this.#holder, HOLD_MS, ...pairs.flatMap(([, units]) => [how, units])],
      )
      .then(
        () => {
          if (how === "set") for (const [key] of pairs) this.#settled(key);
        },
        (thrown: unknown) => {
          for (const [key] of pairs) this.#doubt(key);
          this.#onFailure(thrown);
        },
      );
  }

  #settled(key: string): void {
    this.#doubtful.delete(key);
    const held = this.#held.get(key);
    if (held !== undefined && held.units === 0 && held.owed === 0) this.#held.delete(key);
  }

  #doubt(key: string): void {
    this.#doubtful.add(key);
    if (!this.#held.has(key)) this.#held.set(key, { units: 0, owed: 0 });
    this.#renewal ??= this.#clock.after(RENEW_MS, () => this.#renew());
  }
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

/** The tag. */
function groupOf(key: string): string {
  return key.slice(key.indexOf("{") + 1, key.indexOf("}"));
}
