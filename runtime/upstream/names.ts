/** Names of targets to addresses: looked up when used, remembered for a short while, never waited for without end. */
import { lookup as systemLookup } from "node:dns";
import type { LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import type { Clock, Timer } from "../clock.ts";

/** getaddrinfo tells no TTL. Five seconds spare the resolver under load and still follow a DNS failover quickly. */
const REMEMBER_MS = 5_000;
/** A name that failed is not asked for again within this, or each request to a dead name would occupy one of libuv's four resolver threads. */
const REMEMBER_FAILURE_MS = 1_000;
/** getaddrinfo may take its own time-outs times its servers (30 s and more); nobody waits that long here. */
const DEADLINE_MS = 5_000;
/** Names come from config only, so that this bound is met by mistake alone. */
const REMEMBERED_NAMES = 1_024;

/** The system's resolver, or a test's. */
export type ResolveName = (name: string, done: (error: Error | null, addresses: LookupAddress[]) => void) => void;

type Waiter = (error: Error | null, addresses: readonly LookupAddress[]) => void;

interface Known {
  readonly error: Error | null;
  readonly addresses: readonly LookupAddress[];
  readonly untilMs: number;
}

export class Names {
  readonly #clock: Clock;
  readonly #resolveName: ResolveName;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Waiter[]>();

  constructor(clock: Clock, resolveName: ResolveName = bySystem) {
    this.#clock = clock;
    this.#resolveName = resolveName;
  }

  /** Calls `waiter` once, at the latest after the deadline; at once when the answer is known. */
  resolve(name: string, waiter: Waiter): void {
    const known = this.#known.get(name);
    if (known && known.untilMs > this.#clock.now()) return waiter(known.error, known.addresses);
    const waiting = this.#asking.get(name);
    if (waiting) {
      waiting.push(waiter);
      return;
    }
    this.#asking.set(name, [waiter]);
    this.#ask(name);
  }

  /** `lookup` for net and tls; `seen` learns each outcome. */
  lookupFor(seen: (error: Error | null) => void): LookupFunction {
    return (name, options, callback) => {
      this.resolve(name, (error, addresses) => {
        seen(error);
        if (error) return callback(error, "", 0);
        if (options.all) return callback(null, addresses.slice());
        callback(null, addresses[0]!.address, addresses[0]!.family);
      });
    };
  }

  #ask(name: string): void {
    let over = false;
    const settle = (error: Error | null, addresses: readonly LookupAddress[]): void => {
      const nowMs = this.#clock.now();
      this.#remember(name, { error, addresses, untilMs: nowMs + (error ? REMEMBER_FAILURE_MS : REMEMBER_MS) });
      if (over) return;
      over = true;
      deadline.cancel();
      const waiting = this.#asking.get(name) ?? [];
      this.#asking.delete(name);
      for (const waiter of waiting) waiter(error, addresses);
    };
    const deadline: Timer = this.#clock.after(DEADLINE_MS, () => settle(new Error(`the name ${name} was not resolved within ${DEADLINE_MS} ms`), []));
    this.#resolveName(name, (error, addresses) => {
      if (!error && addresses.length === 0) return settle(new Error(`the name ${name} has no address`), []);
      settle(error, addresses);
    });
  }

  #remember(name: string, known: Known): void {
    this.#known.delete(name);
    this.#known.set(name, known);
    if (this.#known.size > REMEMBERED_NAMES) this.#known.delete(this.#known.keys().next().value!);
  }
}

function bySystem(name: string, done: (error: Error | null, addresses: LookupAddress[]) => void): void {
  systemLookup(name, { all: true }, (error, addresses) => done(error, addresses ?? []));
}
