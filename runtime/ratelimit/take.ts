/**
 * Asks of one moment, decided: in the embedded store as the script's function, in a worker that lost the store, and (as `take.lua`) in Redis.
 * Several asks make a check: either all that are not in shadow are granted, or none takes anything.
 */
import { defineScript, type EmbeddedDb, type StoreReply, type StoreArgument } from "../store/store.ts";
import { type Algorithm, EPOCH_MS, type Quota, TIMED, type TimedState, wholeMs } from "./algorithms.ts";
import { holderExpiryMs, inFlight } from "./in-flight.ts";
import type { LimitPolicy } from "./policy.ts";

/** Three numbers of the algorithm's own, then until when the key is blocked, its strikes, and when it had the last. For `concurrency` see `in-flight.ts`. */
export type KeyState = number[];

/** What of a policy the arithmetic needs. */
export interface AskedPolicy extends Quota {
  readonly algorithm: Algorithm;
  readonly shadow: boolean;
  readonly penalty: LimitPolicy["penalty"];
}

export interface Ask {
  readonly policy: AskedPolicy;
  readonly key: string;
  /** Fewer than these are no use. 0 only looks. */
  readonly cost: number;
  /** As many as there are, up to this; at least `cost`. */
  readonly want: number;
}

export interface Asking {
  readonly nowMs: number;
  /** Who holds what is in flight, and for how long without a sign of life. */
  readonly holder: number;
  readonly holdMs: number;
}

export const OVER = -1;
export const PENALISED = -2;
/** Numbers per ask in a reply: what was granted (or `OVER`, `PENALISED`), what remains, ms until reset, ms until a retry may do. */
export const REPLY_STRIDE = 4;

const FRESH: readonly number[] = [0, 0, 0, 0, 0, 0];
const UNTIL = 3;
const STRIKES = 4;
const LAST_STRIKE = 5;
/** When somebody else will be done is not known. */
const IN_FLIGHT_RETRY_MS = 1000;

export interface KeyStates {
  read(key: string): readonly number[] | undefined;
  /** `ttlMs`: after that the key is as good as new. */
  write(key: string, state: KeyState, ttlMs: number): void;
}

/** Decides one check and adds `REPLY_STRIDE` numbers for each ask to `reply`. */
export function take(asks: readonly Ask[], states: KeyStates, asking: Asking, reply: number[]): void {
  const { nowMs } = asking;
  const found = asks.map(({ policy, key }) => {
    // A copy: what is not written is not changed, as in Redis.
    const state = [...(states.read(key) ?? (policy.algorithm === "concurrency" ? [] : FRESH))];
    roll(state, policy, nowMs);
    return state;
  });
  const codes = asks.map(({ policy, cost, want }, i) => look(found[i]!, policy, nowMs, cost, want));
  const refused = asks.some(({ policy }, i) => codes[i]! < 0 && !policy.shadow);

  asks.forEach(({ policy, key, cost }, i) => {
    const state = found[i]!;
    let code = codes[i]!;
    let changed = false;
    if (code > 0 && !refused) {
      spend(state, policy, code, asking);
      changed = true;
    }
    if (code === OVER && policy.penalty !== null) {
      code = strike(state, policy.penalty, policy.windowMs, nowMs);
      changed = true;
    }
    if (changed) states.write(key, state, Math.max(1, wholeMs(lifetimeMs(state, policy, nowMs))));
    reply.push(code, remaining(state, policy, nowMs, code), wholeMs(resetMs(state, policy, nowMs)), retryMs(state, policy, nowMs, cost, code));
  });
}

function roll(state: KeyState, policy: AskedPolicy, nowMs: number): void {
  if (policy.algorithm === "concurrency") inFlight.roll(state, nowMs);
  else TIMED[policy.algorithm].roll(state as unknown as TimedState, policy, nowMs);
}

function available(state: KeyState, policy: AskedPolicy, nowMs: number): number {
  if (policy.algorithm === "concurrency") return policy.capacity - inFlight.count(state);
  return TIMED[policy.algorithm].available(state as unknown as TimedState, policy, nowMs);
}

function look(state: KeyState, policy: AskedPolicy, nowMs: number, cost: number, want: number): number {
  if (policy.penalty !== null && nowMs < state[UNTIL]!) return PENALISED;
  if (cost === 0) return 0;
  const units = available(state, policy, nowMs);
  return units < cost ? OVER : Math.min(units, want);
}

function spend(state: KeyState, policy: AskedPolicy, units: number, asking: Asking): void {
  if (policy.algorithm === "concurrency") inFlight.add(state, asking.holder, units, asking.nowMs + asking.holdMs);
  else TIMED[policy.algorithm].take(state as unknown as TimedState, policy, units);
}

function strike(state: KeyState, penalty: NonNullable<LimitPolicy["penalty"]>, windowMs: number, nowMs: number): number {
  const strikes = (nowMs - state[LAST_STRIKE]! >= windowMs ? 0 : state[STRIKES]!) + 1;
  state[LAST_STRIKE] = nowMs;
  if (strikes < penalty.after) {
    state[STRIKES] = strikes;
    return OVER;
  }
  state[STRIKES] = 0;
  state[UNTIL] = nowMs + penalty.blockMs;
  return PENALISED;
}

function lifetimeMs(state: KeyState, policy: AskedPolicy, nowMs: number): number {
  if (policy.algorithm === "concurrency") return holderExpiryMs(state) - nowMs;
  const timed = TIMED[policy.algorithm].resetMs(state as unknown as TimedState, policy, nowMs);
  if (policy.penalty === null) return timed;
  const striking = state[STRIKES]! > 0 ? state[LAST_STRIKE]! + policy.windowMs - nowMs : 0;
  return Math.max(timed, state[UNTIL]! - nowMs, striking);
}

function remaining(state: KeyState, policy: AskedPolicy, nowMs: number, code: number): number {
  return code === PENALISED ? 0 : Math.max(0, available(state, policy, nowMs));
}

function resetMs(state: KeyState, policy: AskedPolicy, nowMs: number): number {
  if (policy.algorithm === "concurrency") return 0;
  const timed = TIMED[policy.algorithm].resetMs(state as unknown as TimedState, policy, nowMs);
  return policy.penalty !== null && nowMs < state[UNTIL]! ? Math.max(timed, state[UNTIL]! - nowMs) : timed;
}

function retryMs(state: KeyState, policy: AskedPolicy, nowMs: number, cost: number, code: number): number {
  if (code >= 0) return 0;
  if (code === PENALISED) return wholeMs(state[UNTIL]! - nowMs);
  if (policy.algorithm === "concurrency") return IN_FLIGHT_RETRY_MS;
  return Math.max(1, wholeMs(TIMED[policy.algorithm].waitMs(state as unknown as TimedState, policy, nowMs, cost)));
}

const LETTERS: Readonly<Record<Algorithm, string>> = { gcra: "g", "token-bucket": "t", "fixed-window": "f", "sliding-window": "s", concurrency: "c" };
const ALGORITHM_OF = new Map(Object.entries(LETTERS).map(([algorithm, letter]) => [letter, algorithm as Algorithm]));
/** Arguments of a policy: letter, limit, window, capacity, penalty after, penalty for, shadow. */
const POLICY_ARGS = 7;
const HEAD_ARGS = 3;

/** As the script's KEYS and ARGV; see the head of `take.lua`. */
export function takeArguments(checks: readonly (readonly Ask[])[], holder: number, holdMs: number): { keys: string[]; args: StoreArgument[] } {
  const keys = new Map<string, number>();
  const policies = new Map<AskedPolicy, number>();
  const asked: StoreArgument[] = [];
  for (const asks of checks) {
    asked.push(asks.length);
    for (const { key, policy, cost, want } of asks) asked.push(indexOf(keys, key), indexOf(policies, policy), cost, want);
  }
  const args: StoreArgument[] = [holder, holdMs, policies.size];
  for (const { algorithm, limit, windowMs, capacity, penalty, shadow } of policies.keys())
    args.push(LETTERS[algorithm], limit, windowMs, capacity, penalty?.after ?? 0, penalty?.blockMs ?? 0, shadow ? 1 : 0);
  for (const arg of asked) args.push(arg);
  return { keys: [...keys.keys()], args };
}

/** From 1, as Lua counts. */
function indexOf<K>(known: Map<K, number>, key: K): number {
  let index = known.get(key);
  if (index === undefined) known.set(key, (index = known.size + 1));
  return index;
}

function takeEmbedded(db: EmbeddedDb, keys: readonly string[], args: readonly StoreArgument[], unixMs: number): StoreReply {
  const asking: Asking = { nowMs: unixMs - EPOCH_MS, holder: Number(args[0]), holdMs: Number(args[1]) };
  const policies = Array.from({ length: Number(args[2]) }, (_, i) => policyAt(args, HEAD_ARGS + i * POLICY_ARGS));
  const states: KeyStates = {
    read: (key) => db.get(key) as readonly number[] | undefined,
    write: (key, state, ttlMs) => db.set(key, state, ttlMs),
  };
  const reply: number[] = [];
  for (let at = HEAD_ARGS + policies.length * POLICY_ARGS; at < args.length;) {
    const count = Number(args[at++]);
    const asks: Ask[] = [];
    for (let i = 0; i < count; i++, at += 4)
      asks.push({ key: keys[Number(args[at]) - 1]!, policy: policies[Number(args[at + 1]) - 1]!, cost: Number(args[at + 2]), want: Number(args[at + 3]) });
    take(asks, states, asking, reply);
  }
  return reply;
}

function policyAt(args: readonly StoreArgument[], at: number): AskedPolicy {
  const number = (offset: number): number => Number(args[at + offset]);
  return {
    algorithm: ALGORITHM_OF.get(String(args[at]))!,
    limit: number(1),
    windowMs: number(2),
    capacity: number(3),
    penalty: number(4) === 0 ? null : { after: number(4), blockMs: number(5) },
    shadow: number(6) === 1,
  };
}

export const TAKE = defineScript({ name: "ratelimit:take", lua: new URL("./take.lua", import.meta.url), embedded: takeEmbedded });
