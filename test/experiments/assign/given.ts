/** Experiments and requests for tests: everything usual unless said otherwise. */
import type { AssignFacts, AssignPlan, StickyEntry, UnitSource } from "../../../runtime/experiments/assign/assign.ts";

export function plan(key: string, changes: Partial<AssignPlan> = {}): AssignPlan {
  return {
    key,
    variants: [
      { key: "control", weight: 0.5 },
      { key: "bold", weight: 0.5 },
    ],
    traffic: 1,
    seed: key,
    hashVersion: 2,
    bucketVersion: 0,
    minBucketVersion: 0,
    unit: { kind: "visitor" },
    fallbackUnit: null,
    sticky: true,
    layer: null,
    holdout: null,
    consent: "exempt",
    excludeBots: true,
    ...changes,
  };
}

interface Given {
  readonly visitor?: string | null;
  readonly user?: string | null;
  readonly bot?: boolean;
  readonly consent?: boolean;
  readonly matches?: boolean;
  readonly audience?: boolean;
  readonly forced?: Readonly<Record<string, string>>;
  readonly sticky?: readonly StickyEntry[];
}

export function facts(given: Given = {}): AssignFacts {
  return {
    unit: (source: UnitSource) => (source.kind === "visitor" ? (given.visitor ?? null) : source.kind === "header" ? (given.user ?? null) : null),
    matches: () => given.matches ?? true,
    inAudience: () => given.audience ?? true,
    isBot: () => given.bot ?? false,
    hasConsent: () => given.consent ?? false,
    forced: (experiment) => given.forced?.[experiment] ?? null,
    sticky: () => given.sticky ?? [],
  };
}
