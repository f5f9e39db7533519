/** An experiment as assignment sees it: plain data, part of a release. Weights and shares from 0 to 1. */
import type { HashVersion } from "./hash.ts";
import type { Range } from "./ranges.ts";

/** Who is assigned. What a source holds on a request is read by the caller; `function` runs in the sandbox. */
export type UnitSource =
  | { readonly kind: "visitor" }
  | { readonly kind: "cookie"; readonly name: string }
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "claim"; readonly name: string }
  | { readonly kind: "function" };

/**
 * `required`: without consent the unit sees control and is not counted. `exempt`: no consent is needed. `stateless`: nothing is kept in the
 * browser, so units are what the request itself carries, and nobody is sticky.
 */
export type ConsentMode = "required" | "exempt" | "stateless";

export interface LayerPlace {
  readonly name: string;
  /** The experiment's own part of the layer (GrowthBook's namespace); null: it shares with the others what no range takes. */
  readonly range: Range | null;
}

export interface VariantPlan {
  readonly key: string;
  readonly weight: number;
}

export interface AssignPlan {
  readonly key: string;
  /** The first is control. */
  readonly variants: readonly VariantPlan[];
  readonly traffic: number;
  /** Salts the bucket; usually the key. Another seed is another draw for everybody. */
  readonly seed: string;
  readonly hashVersion: HashVersion;
  /** Raised when variants, weights or seed change: sticky assignments of other versions are not followed. */
  readonly bucketVersion: number;
  /** Units with a sticky assignment of a version below are kept out: they have seen another experiment. 0: nobody. */
  readonly minBucketVersion: number;
  readonly unit: UnitSource;
  /** Asked for when `unit` is absent, and for the sticky assignment from before the login. */
  readonly fallbackUnit: UnitSource | null;
  readonly sticky: boolean;
  readonly layer: LayerPlace | null;
  /** A share of units that no experiment naming this holdout may touch. */
  readonly holdout: { readonly name: string; readonly share: number } | null;
  readonly consent: ConsentMode;
  /** Bots see control and are not counted. */
  readonly excludeBots: boolean;
}

/** What operators decided since the release was made: `stop` (the kill switch) and `ship`. */
export type LiveState = { readonly kind: "running" } | { readonly kind: "stopped" } | { readonly kind: "shipped"; readonly variant: string };

/**
 * Why a unit sees what it sees. Only `bucketed` and `sticky` are counted.
 * `no-match`: the experiment does not act on this request. `audience`: it does, but not for this client. `other-experiment`: the layer gave the unit to another one. `earlier-version`: it saw a version below `minBucketVersion`.
 */
export type AssignReason =
  | "bucketed"
  | "sticky"
  | "forced"
  | "stopped"
  | "shipped"
  | "no-match"
  | "audience"
  | "bot"
  | "consent"
  | "no-unit"
  | "holdout"
  | "other-experiment"
  | "earlier-version"
  | "outside-traffic";

export interface Assignment {
  readonly experiment: string;
  readonly variant: string;
  /** Of the variant; 0 is control. */
  readonly index: number;
  readonly reason: AssignReason;
  /** Is the unit part of the experiment, so that exposures and goals count? */
  readonly counted: boolean;
  /** What was hashed; null when nothing was. */
  readonly unit: string | null;
  /**
   * Under whom exposures and goals count, with its source in front; null: under nobody. Who was assigned as a visitor and then logged in goes on
   * as that visitor, or would be two units with one history. Who is outside the traffic has it for goals with a pre-period alone.
   */
  readonly countAs: string | null;
  readonly bucketVersion: number;
  /** To be kept for the next time; null: nothing new. */
  readonly stick: StickyEntry | null;
  /** The same assignment comes back when the same visitor asks again, with what was noted here. Left out: another one does. */
  readonly shared?: { isTold: boolean };
}

/** One remembered assignment. */
export interface StickyEntry {
  /** `unitTag` of the unit that was assigned. */
  readonly unitTag: string;
  readonly experiment: string;
  readonly bucketVersion: number;
  readonly variant: string;
}
