/** Who sees what: compiled once per release, asked on every request that meets an experiment. Own work is three hashes at most for a unit. */
import { bucketOf } from "./hash.ts";
import type { Layer } from "./layers.ts";
import { layersOf, ownerOf } from "./layers.ts";
import type { AssignPlan, AssignReason, Assignment, LiveState, StickyEntry, UnitSource } from "./plan.ts";
import type { Range } from "./ranges.ts";
import { rangeAt, rangesOf } from "./ranges.ts";
import { unitTag } from "./sticky.ts";

/** What assignment needs to know of a request. Everything is asked for lazily: most requests need a part of it. */
export interface AssignFacts {
  /** The unit that this source holds here, or null. A new visitor has its id on the very request that creates it. */
  unit(source: UnitSource): string | null;
  /** `when`, country, device and predicates: is the request one that the experiment is for? */
  inAudience(experiment: string): boolean;
  isBot(): boolean;
  hasConsent(): boolean;
  /** The variant that a verified QA token names. */
  forced(experiment: string): string | null;
  /** Verified sticky entries. */
  sticky(): readonly StickyEntry[];
}

interface Compiled {
  readonly plan: AssignPlan;
  readonly ranges: readonly Range[];
  readonly layer: Layer | null;
  readonly holdoutSeed: string;
}

const RUNNING: LiveState = { kind: "running" };

export class Assigner {
  readonly #experiments: ReadonlyMap<string, Compiled>;
  #live: ReadonlyMap<string, LiveState> = new Map();

  constructor(plans: readonly AssignPlan[]) {
    const layers = layersOf(plans);
    this.#experiments = new Map(
      plans.map((plan) => [
        plan.key,
        {
          plan,
          ranges: rangesOf(
            plan.variants.map(({ weight }) => weight),
            plan.traffic,
          ),
          layer: plan.layer === null ? null : layers.get(plan.layer.name)!,
          holdoutSeed: plan.holdout === null ? "" : `holdout:${plan.holdout.name}:`,
        },
      ]),
    );
  }

  /** Replaces what operators decided, as a whole; experiments that it does not name run. */
  setLive(live: ReadonlyMap<string, LiveState>): void {
    this.#live = live;
  }

  /** null: this release has no such experiment. */
  assign(key: string, facts: AssignFacts): Assignment | null {
    const experiment = this.#experiments.get(key);
    if (experiment === undefined) return null;
    const { plan } = experiment;
    // QA looks at variants before the start and after the stop too, so this comes first.
    const forced = facts.forced(key);
    const forcedIndex = forced === null ? -1 : indexOf(plan, forced);
    if (forcedIndex >= 0) return seen(plan, forcedIndex, "forced");
    const live = this.#live.get(key) ?? RUNNING;
    if (live.kind === "stopped") return seen(plan, 0, "stopped");
    if (!facts.inAudience(key)) return seen(plan, 0, "audience");
    // A variant that this release no longer has: shipping it is over.
    if (live.kind === "shipped") return seen(plan, Math.max(0, indexOf(plan, live.variant)), "shipped");
    if (plan.excludeBots && facts.isBot()) return seen(plan, 0, "bot");
    if (plan.consent === "required" && !facts.hasConsent()) return seen(plan, 0, "consent");
    return this.#draw(experiment, facts);
  }

  #draw({ plan, ranges, layer, holdoutSeed }: Compiled, facts: AssignFacts): Assignment {
    const unit = facts.unit(plan.unit) ?? (plan.fallbackUnit === null ? null : facts.unit(plan.fallbackUnit));
    if (unit === null || unit === "") return seen(plan, 0, "no-unit");
    if (plan.holdout !== null && bucketOf(holdoutSeed, unit, 2) < plan.holdout.share) return seen(plan, 0, "holdout", unit);

    const remembered = plan.sticky && plan.consent !== "stateless" ? this.#remembered(plan, facts) : null;
    if (remembered !== null) {
      if (remembered.bucketVersion < plan.minBucketVersion) return seen(plan, 0, "earlier-version", unit);
      const index = remembered.bucketVersion === plan.bucketVersion ? indexOf(plan, remembered.variant) : -1;
      // Follows the unit through ramps down and through a login, where the hash alone would drop or move it.
      if (index >= 0) return { ...seen(plan, index, "sticky", unit), counted: true, stick: this.#stick(plan, facts, remembered) };
    }
    if (layer !== null && this.#owner(layer, unit, plan, facts) !== plan.key) return seen(plan, 0, "other-experiment", unit);
    const index = rangeAt(ranges, bucketOf(plan.seed, unit, plan.hashVersion));
    if (index < 0) return seen(plan, 0, "outside-traffic", unit);
    const drawn = seen(plan, index, "bucketed", unit);
    return { ...drawn, counted: true, stick: plan.sticky && plan.consent !== "stateless" ? this.#entry(plan, facts, drawn.variant) : null };
  }

  /** The primary unit's own entry comes before the one from before the login. */
  #remembered(plan: AssignPlan, facts: AssignFacts): StickyEntry | null {
    const entries = facts.sticky();
    if (entries.length === 0) return null;
    for (const source of plan.fallbackUnit === null ? [plan.unit] : [plan.unit, plan.fallbackUnit]) {
      const value = facts.unit(source);
      if (value === null || value === "") continue;
      const tag = unitTag(source, value);
      const entry = entries.find(({ experiment, unitTag: own }) => experiment === plan.key && own === tag);
      if (entry !== undefined) return entry;
    }
    return null;
  }

  /** A unit that is held by a sticky assignment to a running experiment of the layer belongs to that one, wherever shares have moved since. */
  #owner(layer: Layer, unit: string, plan: AssignPlan, facts: AssignFacts): string | null {
    if (facts.sticky().length > 0) {
      for (const { key } of [...layer.ranged, ...layer.sharing]) {
        const other = key === plan.key ? undefined : this.#experiments.get(key)?.plan;
        if (other === undefined || !other.sticky || (this.#live.get(key) ?? RUNNING).kind !== "running") continue;
        const entry = this.#remembered(other, facts);
        if (entry !== null && entry.bucketVersion === other.bucketVersion && indexOf(other, entry.variant) >= 0) return key;
      }
    }
    return ownerOf(layer, unit);
  }

  /** Only when the cookie does not say it yet: after a login the entry is written again under the new unit. */
  #stick(plan: AssignPlan, facts: AssignFacts, remembered: StickyEntry): StickyEntry | null {
    const entry = this.#entry(plan, facts, remembered.variant);
    return entry !== null && entry.unitTag !== remembered.unitTag ? entry : null;
  }

  #entry(plan: AssignPlan, facts: AssignFacts, variant: string): StickyEntry | null {
    for (const source of plan.fallbackUnit === null ? [plan.unit] : [plan.unit, plan.fallbackUnit]) {
      const value = facts.unit(source);
      if (value !== null && value !== "") {
        return { unitTag: unitTag(source, value), experiment: plan.key, bucketVersion: plan.bucketVersion, variant };
      }
    }
    return null;
  }
}

function indexOf(plan: AssignPlan, variant: string): number {
  return plan.variants.findIndex(({ key }) => key === variant);
}

function seen(plan: AssignPlan, index: number, reason: AssignReason, unit: string | null = null): Assignment {
  return {
    experiment: plan.key,
    variant: plan.variants[index]!.key,
    index,
    reason,
    counted: false,
    unit,
    bucketVersion: plan.bucketVersion,
    stick: null,
  };
}
