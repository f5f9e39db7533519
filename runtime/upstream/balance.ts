/**
 * Which target takes a request. Pure: no clock, no sockets. Further algorithms (least connections, hashing, …) are
 * further functions that return a `Balancer`.
 */
import type { UpstreamRequest } from "../proxy/exchange.ts";

/** What an algorithm may know of a target. */
export interface Balanced {
  /** Share of the requests relative to the other targets; 0 takes none. */
  readonly weight: number;
  /** False while its name does not resolve: such a target is picked only when no other is left. */
  readonly resolved: boolean;
}

export interface Balancer<T extends Balanced> {
  /** The target for `request`, none of `tried` (null: none tried yet); null when nothing is left. */
  pick(request: UpstreamRequest | null, tried: readonly T[] | null): T | null;
}

/**
 * Smooth weighted round robin, as nginx does it: at each pick every candidate gains its weight, the richest is taken
 * and pays the sum. Over any full cycle each target gets exactly its weight, and picks of one target are spread out:
 * weights 5, 1, 1 give a a b a c a a, never a a a a a b c.
 */
export function smoothWeightedRoundRobin<T extends Balanced>(targets: readonly T[]): Balancer<T> {
  const only = targets.length === 1 ? targets[0]! : null;
  const credit = targets.map(() => 0);

  function pickFrom(tried: readonly T[] | null, unresolvedToo: boolean): T | null {
    let sum = 0;
    let best = -1;
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i]!;
      if (target.weight <= 0 || (!target.resolved && !unresolvedToo) || tried?.includes(target)) continue;
      sum += target.weight;
      credit[i]! += target.weight;
      if (best < 0 || credit[i]! > credit[best]!) best = i;
    }
    if (best < 0) return null;
    credit[best]! -= sum;
    return targets[best]!;
  }

  return {
    pick(_request, tried) {
      if (only && tried === null && only.weight > 0) return only;
      return pickFrom(tried, false) ?? pickFrom(tried, true);
    },
  };
}
