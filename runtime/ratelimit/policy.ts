/** One limit in numbers: what config and rules write, resolved and checked. */
import { durationMs } from "../config/units.ts";
import type { Algorithm, Quota } from "./algorithms.ts";

/** What happens to a limit while the store is away: each gateway counts its part for itself, nothing is refused, everything is. */
export type OnStoreLoss = "local" | "open" | "closed";

/** `exact` asks the store for each request; `leased` takes units in advance. */
export type LimitMode = "exact" | "leased";

/** Refused for `blockMs` after `after` refusals, each within a window of the last. */
export interface Penalty {
  readonly after: number;
  readonly blockMs: number;
}

export interface LimitPolicy extends Quota {
  /** Names the limit: in fields, metrics, and the store. */
  readonly name: string;
  /** Limits of config and of rules may bear one name and stay two. */
  readonly of: "config" | "rule";
  readonly algorithm: Algorithm;
  readonly mode: LimitMode;
  /** Counts, and refuses nobody. */
  readonly shadow: boolean;
  readonly onStoreLoss: OnStoreLoss;
  readonly penalty: Penalty | null;
}

/** As written: `"100/1m"`, or `"20"` for `concurrency`. */
export interface LimitInput {
  readonly rate: string;
  readonly burst?: number | undefined;
  readonly algorithm?: Algorithm | undefined;
  readonly mode?: LimitMode | undefined;
  readonly shadow?: boolean | undefined;
  readonly onStoreLoss?: OnStoreLoss | undefined;
  readonly penalty?: { readonly after?: number | undefined; readonly block: string } | undefined;
}

export const LIMIT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const MAX_UNITS = 1_000_000_000;
const RATE = /^(\d{1,10})(?:\/(\d+(?:\.\d+)?(?:ms|s|m|h|d)))?$/;
const DEFAULT_PENALTY_AFTER = 10;
/** Above it a refill is shorter than what a double can tell apart. */
const MAX_PER_MS = 1000;

export type Resolved = { readonly policy: LimitPolicy } | { readonly problems: readonly { readonly at: keyof LimitInput; readonly expected: string }[] };

/** All that is wrong is told. */
export function resolvePolicy(name: string, of: LimitPolicy["of"], input: LimitInput): Resolved {
  const { algorithm = "gcra", mode = "exact", shadow = false, onStoreLoss = "local" } = input;
  const problems: { at: keyof LimitInput; expected: string }[] = [];
  const wrong = (at: keyof LimitInput, expected: string): void => void problems.push({ at, expected });
  const inFlight = algorithm === "concurrency";
  const windows = algorithm === "fixed-window" || algorithm === "sliding-window";

  const [, count = "", window] = RATE.exec(input.rate) ?? [];
  const limit = Number(count);
  const windowMs = window === undefined ? 0 : durationMs(window);
  const example = inFlight ? 'a number such as "20": how many may run at once' : 'a rate such as "100/1m"';
  if (count === "" || inFlight !== (window === undefined) || !(limit >= 1 && limit <= MAX_UNITS) || !Number.isFinite(windowMs)) wrong("rate", example);
  else if (!inFlight && !(windowMs >= 1 && limit / windowMs <= MAX_PER_MS)) wrong("rate", "a window of at least 1ms, and at most 1,000 a millisecond");

  const { burst } = input;
  if (burst !== undefined) {
    if (inFlight || windows) wrong("burst", `no burst: ${algorithm} has none`);
    else if (!(Number.isInteger(burst) && burst >= 1 && burst <= MAX_UNITS)) wrong("burst", "a whole number from 1");
  }
  if (inFlight && mode === "leased") wrong("mode", '"exact": what runs at once can\'t be leased');
  let penalty: Penalty | null = null;
  if (input.penalty !== undefined) {
    const { after = DEFAULT_PENALTY_AFTER, block } = input.penalty;
    const blockMs = durationMs(block);
    if (inFlight || mode === "leased") wrong("penalty", "no penalty: only limits over time with mode exact have one");
    else if (!(Number.isInteger(after) && after >= 1 && after <= MAX_UNITS && blockMs >= 1))
      wrong("penalty", '{ after, block } with a whole number from 1 and a duration such as "10m"');
    else penalty = { after, blockMs };
  }
  if (problems.length > 0) return { problems };
  const capacity = burst ?? limit;
  return { policy: Object.freeze({ name, of, limit, windowMs, capacity, algorithm, mode, shadow, onStoreLoss, penalty }) };
}
