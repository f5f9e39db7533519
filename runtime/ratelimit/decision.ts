/** The words in which limits are charged and answered. */
import type { LimitPolicy, OnStoreLoss } from "./policy.ts";
import type { Ask } from "./take.ts";

/** Why a limit let pass or refused. `shadow`: would have refused. `store`: refused because it could not be counted (`onStoreLoss: "closed"`). */
export type LimitReason = "ok" | "over" | "penalty" | "shadow" | "store";

export interface LimitResult {
  readonly allowed: boolean;
  /** Units left. */
  readonly remaining: number;
  /** Until all units are there again. */
  readonly resetMs: number;
  /** 0 when allowed. */
  readonly retryAfterMs: number;
  readonly reason: LimitReason;
}

/** One limit to be charged. Limits that are charged together have one `group`, the tag of their keys. */
export interface LimitAsk extends Ask {
  readonly policy: LimitPolicy;
  readonly group: string;
}

export interface Decision {
  readonly allowed: boolean;
  /** Beside each ask; null where another limit refused before this one was asked. */
  readonly results: readonly (LimitResult | null)[];
  /** How it was decided without the store, or null. */
  readonly degraded: OnStoreLoss | null;
  /** Gives back what is in flight; to be called once, when the exchange is over. Null: nothing is. */
  readonly release: (() => void) | null;
}

/** Where the answer came from. */
export type DecidedBy = "store" | "lease" | "known" | OnStoreLoss;

export interface LimiterEvents {
  /** One limit was charged, or not. */
  charged(limit: string, reason: LimitReason, by: DecidedBy): void;
  /** The store was lost to the limits, or is back. */
  degraded(lost: boolean, why: string): void;
}
