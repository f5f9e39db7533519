/**
 * `concurrency`: who holds how many, as triples of holder, count and when the holder is taken for dead. A holder is a worker, not a
 * request: a key's state is as large as there are workers, and what a killed one held comes free by itself.
 */
import { defineScript, type EmbeddedDb, type StoreArgument, type StoreReply } from "../store/store.ts";
import { EPOCH_MS } from "./algorithms.ts";

type Holders = number[];

const STRIDE = 3;

export const inFlight = {
  /** Lets go of what the dead hold. */
  roll(state: Holders, nowMs: number): void {
    for (let i = state.length - STRIDE; i >= 0; i -= STRIDE) if (state[i + 2]! <= nowMs) state.splice(i, STRIDE);
  },
  count(state: Holders): number {
    let sum = 0;
    for (let i = 1; i < state.length; i += STRIDE) sum += state[i]!;
    return sum;
  },
  /** `units` may be negative: given back. Never below none. */
  add(state: Holders, holder: number, units: number, expiresAtMs: number): void {
    this.set(state, holder, this.of(state, holder) + units, expiresAtMs);
  },
  of(state: Holders, holder: number): number {
    for (let i = 0; i < state.length; i += STRIDE) if (state[i] === holder) return state[i + 1]!;
    return 0;
  },
  set(state: Holders, holder: number, units: number, expiresAtMs: number): void {
    for (let i = 0; i < state.length; i += STRIDE) {
      if (state[i] !== holder) continue;
      if (units <= 0) state.splice(i, STRIDE);
      else {
        state[i + 1] = units;
        state[i + 2] = expiresAtMs;
      }
      return;
    }
    if (units > 0) state.push(holder, units, expiresAtMs);
  },
};

/** When the last of them would be taken for dead. */
export function holderExpiryMs(state: Holders): number {
  let last = 0;
  for (let i = 2; i < state.length; i += STRIDE) last = Math.max(last, state[i]!);
  return last;
}

/** ARGV: holder, holdMs, then for each key "add" or "set" and a number. */
function holdEmbedded(db: EmbeddedDb, keys: readonly string[], args: readonly StoreArgument[], unixMs: number): StoreReply {
  const nowMs = unixMs - EPOCH_MS;
  const holder = Number(args[0]);
  const expiresAtMs = nowMs + Number(args[1]);
  return keys.map((key, i) => {
    const state = (db.get(key) as Holders | undefined) ?? [];
    inFlight.roll(state, nowMs);
    const units = Number(args[3 + i * 2]);
    if (args[2 + i * 2] === "add") inFlight.add(state, holder, units, expiresAtMs);
    else inFlight.set(state, holder, units, expiresAtMs);
    if (state.length === 0) db.delete(key);
    else db.set(key, state, Math.max(1, Math.ceil(holderExpiryMs(state) - nowMs)));
    return inFlight.count(state);
  });
}

export const HOLD = defineScript({ name: "ratelimit:hold", lua: new URL("./hold.lua", import.meta.url), embedded: holdEmbedded });
