/**
 * How often the admin API may be asked: by each token, from each address, and how often an address may fail to show a token that is known. Token
 * buckets; tables of bounded size, from which the longest silent go first.
 */
import { networkOf } from "../ratelimit/ratelimit.ts";

interface Bucket {
  tokens: number;
  atMs: number;
}

interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** A fleet that is watched by several people and a scraper asks some tens a second. */
const BY_TOKEN: Rate = { burst: 1_000, perSecond: 200 };
const BY_ADDRESS: Rate = { burst: 2_000, perSecond: 400 };
/** A scraper with an outdated token fails four times a minute, and must lock nobody out. */
const FAILURES: Rate = { burst: 20, perSecond: 1 };
const MAX_KEYS = 10_000;

class Buckets {
  readonly #rate: Rate;
  /** In the order in which they were asked last. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** 0 when there was one to take, else the seconds until there is. `cost` 0 only looks. */
  take(key: string, nowMs: number, cost: 0 | 1): number {
    const { burst, perSecond } = this.#rate;
    const last = this.#buckets.get(key) ?? { tokens: burst, atMs: nowMs };
    const tokens = Math.min(burst, last.tokens + (Math.max(0, nowMs - last.atMs) / 1000) * perSecond);
    if (tokens < 1) return Math.max(1, Math.ceil((1 - tokens) / perSecond));
    this.#buckets.delete(key);
    // A full one says what none says.
    if (tokens - cost < burst) this.#buckets.set(key, { tokens: tokens - cost, atMs: nowMs });
    if (this.#buckets.size > MAX_KEYS) this.#buckets.delete(this.#buckets.keys().next().value!);
    return 0;
  }
  get size(): number {
    return this.#buckets.size;
  }
}

/** Connections by address: so many of all may be one's own, and the rest is there for the others. */
export class AdminConnections {
  readonly #mostOfOne: number;
  readonly #open = new Map<string, number>();

  constructor(mostOfOne: number) {
    this.#mostOfOne = mostOfOne;
  }

  /** Null: it has as many as it may. Else what is to be called when this one has ended. */
  enter(address: string): (() => void) | null {
    const from = networkOf(address, 32, 64);
    const open = this.#open.get(from) ?? 0;
    if (open >= this.#mostOfOne) return null;
    this.#open.set(from, open + 1);
    return () => {
      const left = this.#open.get(from)! - 1;
      if (left > 0) this.#open.set(from, left);
      else this.#open.delete(from);
    };
  }
}

export class AdminRate {
  readonly #now: () => number;
  readonly #tokens = new Buckets(BY_TOKEN);
  readonly #addresses = new Buckets(BY_ADDRESS);
  readonly #failures = new Buckets(FAILURES);

  /** Milliseconds, monotonic. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Each gives 0, or the seconds until it is worth asking again. */
  fromAddress(address: string): number {
    return this.#addresses.take(networkOf(address, 32, 64), this.#now(), 1);
  }
  withToken(name: string): number {
    return this.#tokens.take(name, this.#now(), 1);
  }
  /** Has it failed too often to be told anything but that? */
  mayTry(address: string): number {
    return this.#failures.take(networkOf(address, 32, 64), this.#now(), 0);
  }
  failed(address: string): void {
    this.#failures.take(networkOf(address, 32, 64), this.#now(), 1);
  }
  /** Addresses and tokens that it knows. */
  get size(): number {
    return this.#tokens.size + this.#addresses.size + this.#failures.size;
  }
}
