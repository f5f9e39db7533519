/** A limiter on a store in this process, with a clock that stands still. */
import { ManualClock } from "../../runtime/clock.ts";
import { type Decision, type DecidedBy, type LimitAsk, Limiter, type LimitReason } from "../../runtime/ratelimit/ratelimit.ts";
import { type LimitInput, type LimitPolicy, resolvePolicy } from "../../runtime/ratelimit/policy.ts";
import { storePrefix } from "../../runtime/ratelimit/keys.ts";
import { createMemoryStore, type MemoryStore } from "../../runtime/store/memory.ts";

export interface Charged {
  readonly limit: string;
  readonly reason: LimitReason;
  readonly by: DecidedBy;
}

export class LimitsUnderTest {
  readonly clock: ManualClock;
  readonly store: MemoryStore;
  readonly charged: Charged[] = [];
  readonly degraded: boolean[] = [];
  readonly limiter: Limiter;
  readonly #policies = new Map<string, LimitPolicy>();
  /** Calls to the store. */
  get calls(): number {
    return this.store.health().calls;
  }

  /** `beside`: another worker, on the same store and clock. */
  constructor(options: { beside?: LimitsUnderTest; members?: number; random?: () => number } = {}) {
    const { beside, members = 1, random = Math.random } = options;
    this.clock = beside?.clock ?? new ManualClock(1000);
    this.store = beside?.store ?? createMemoryStore({ clock: this.clock, gateways: () => members });
    this.limiter = new Limiter({
      store: this.store,
      clock: this.clock,
      random,
      events: { charged: (limit, reason, by) => void this.charged.push({ limit, reason, by }), degraded: (lost) => void this.degraded.push(lost) },
    });
  }

  ask(name: string, input: LimitInput, { key = "k", cost = 1, group = name }: { key?: string; cost?: number; group?: string } = {}): LimitAsk {
    const policy = this.policy(name, input);
    return { policy, key: storePrefix(policy, group) + key, cost, want: cost, group };
  }

  /** One for the same words, as everywhere: who knows a block knows it under its policy. */
  policy(name: string, input: LimitInput): LimitPolicy {
    const words = `${name} ${JSON.stringify(input)}`;
    const policy = this.#policies.get(words) ?? this.#resolve(name, input);
    this.#policies.set(words, policy);
    return policy;
  }

  #resolve(name: string, input: LimitInput): LimitPolicy {
    const resolved = resolvePolicy(name, "config", input);
    if ("problems" in resolved) throw new Error(JSON.stringify(resolved.problems));
    return resolved.policy;
  }

  async check(...asks: LimitAsk[]): Promise<Decision> {
    return this.limiter.check(asks);
  }

  /** How many of `count` calls at once were allowed. */
  async allowed(count: number, name: string, input: LimitInput, options: { key?: string; cost?: number } = {}): Promise<number> {
    const decisions = await Promise.all(Array.from({ length: count }, () => this.check(this.ask(name, input, options))));
    return decisions.filter(({ allowed }) => allowed).length;
  }

  /** After whatever was told to the store at the end of this turn. */
  async settled(): Promise<void> {
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  }
}
