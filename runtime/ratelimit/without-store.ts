/** What is decided here while the store is away: each limit as its `onStoreLoss` says. */
import { LRUCache } from "lru-cache";
import { EPOCH_MS } from "./algorithms.ts";
import type { LimitPolicy } from "./policy.ts";
import { type Ask, type AskedPolicy, type KeyState, type KeyStates, REPLY_STRIDE, take } from "./take.ts";

export interface WithoutStoreOptions {
  readonly unixMs: () => number;
  /** Among how many a limit is divided: the workers of all gateways. */
  readonly members: () => number;
  /** Units that this worker holds in flight under a key, counted in the store or not. */
  readonly held: (key: string) => number;
  readonly maxKeys: number;
}

interface PolicyAsk extends Ask {
  readonly policy: LimitPolicy;
}

const HELD_FOR_EVER_MS = 1e15;

export class WithoutStore {
  readonly #options: WithoutStoreOptions;
  readonly #states: LRUCache<string, KeyState>;
  readonly #parts = new WeakMap<LimitPolicy, { members: number; part: AskedPolicy }>();

  constructor(options: WithoutStoreOptions) {
    this.#options = options;
    this.#states = new LRUCache({ max: options.maxKeys });
  }

  /** Adds to `reply` what `take` would. `closed` limits are the caller's. */
  take(asks: readonly PolicyAsk[], reply: number[]): void {
    const members = Math.max(1, this.#options.members());
    const nowMs = this.#options.unixMs() - EPOCH_MS;
    const counted = asks.filter(({ policy }) => policy.onStoreLoss === "local");
    const local: number[] = [];
    take(
      counted.map(({ policy, key, cost }) => {
        const part = this.#part(policy, members);
        // A part may be smaller than what one request costs; it still gets through when nobody else does.
        const units = Math.min(cost, part.capacity);
        return { policy: part, key, cost: units, want: units };
      }),
      this.#keyStates(nowMs),
      { nowMs, holder: 0, holdMs: HELD_FOR_EVER_MS },
      local,
    );
    let at = 0;
    for (const { policy, cost } of asks) {
      if (policy.onStoreLoss !== "local") reply.push(cost, policy.capacity, 0, 0);
      else {
        for (let i = 0; i < REPLY_STRIDE; i++) reply.push(local[at + i]!);
        at += REPLY_STRIDE;
      }
    }
  }

  #keyStates(nowMs: number): KeyStates {
    return {
      read: (key) => {
        const held = this.#options.held(key);
        return held > 0 ? [0, held, nowMs + HELD_FOR_EVER_MS] : this.#states.get(key);
      },
      write: (key, state) => void this.#states.set(key, state),
    };
  }

  /** The limit divided by the members, and never below one unit each: with more members than units, a little more than the limit passes. */
  #part(policy: LimitPolicy, members: number): AskedPolicy {
    const known = this.#parts.get(policy);
    if (known?.members === members) return known.part;
    const { algorithm, windowMs, limit, capacity, shadow, penalty } = policy;
    const part: AskedPolicy = { algorithm, windowMs, limit: limit / members, capacity: Math.max(1, Math.floor(capacity / members)), shadow, penalty };
    this.#parts.set(policy, { members, part });
    return part;
  }
}
