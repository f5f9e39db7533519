/** Who sees what: compiled once per release, asked on every request that meets an experiment. Own work is three hashes at most for a unit. */
import type { Salt } from "./hash.ts";
import { bucketIn, saltOf } from "./hash.ts";
import type { Layer } from "./layers.ts";
import { layersOf, ownerOf } from "./layers.ts";
import type { AssignPlan, AssignReason, Assignment, LiveState, StickyEntry, UnitSource } from "./plan.ts";
import type { Range } from "./ranges.ts";
import { rangeAt, rangesOf } from "./ranges.ts";
import { identityOf, unitTag } from "./sticky.ts";

/** What assignment needs to know of a request. Everything is asked for lazily: most requests need a part of it. */
export interface AssignFacts {
  /** The unit that this source of an experiment holds here, or null. A new visitor has its id on the very request that creates it. */
  unit(source: UnitSource, experiment: string): string | null;
  /** `when`: does the experiment act on this request? */
  matches(experiment: string): boolean;
  /** Device and predicates: is the client one that the experiment is for? */
  inAudience(experiment: string): boolean;
  isBot(): boolean;
  hasConsent(experiment: string): boolean;
  /** The variant that a verified QA token names. */
  forced(experiment: string): string | null;
  /** Verified sticky entries. */
  sticky(): readonly StickyEntry[];
}

interface Compiled {
  readonly plan: AssignPlan;
  readonly ranges: readonly Range[];
  readonly layer: Layer | null;
  readonly salt: Salt;
  readonly holdoutSalt: Salt | null;
  /** null: what is drawn hangs on more than visitor and sticky entries. */
  readonly drawn: DrawnMemory | null;
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
          salt: saltOf(plan.seed, plan.hashVersion),
          holdoutSalt: plan.holdout === null ? null : saltOf(`holdout:${plan.holdout.name}:`, 2),
          drawn: plan.unit.kind === "visitor" && plan.fallbackUnit === null ? new DrawnMemory() : null,
        },
      ]),
    );
  }

  /** Replaces what operators decided, as a whole; experiments that it does not name run. */
  setLive(live: ReadonlyMap<string, LiveState>): void {
    this.#live = live;
    // Whoever left a layer has left it to others.
    for (const { drawn } of this.#experiments.values()) drawn?.forget();
  }

  /** null: this release has no such experiment. */
  assign(key: string, facts: AssignFacts): Assignment | null {
    const experiment = this.#experiments.get(key);
    if (experiment === undefined) return null;
    const { plan } = experiment;
    // A change meant for one page must not be made on others, forced or not.
    if (!facts.matches(key)) return seen(plan, 0, "no-match");
    // QA looks at variants before the start, after the stop and from anywhere.
    const forced = facts.forced(key);
    const forcedIndex = forced === null ? -1 : indexOf(plan, forced);
    if (forcedIndex >= 0) return seen(plan, forcedIndex, "forced");
    const live = this.#live.get(key) ?? RUNNING;
    if (live.kind === "stopped") return seen(plan, 0, "stopped");
    if (!facts.inAudience(key)) return seen(plan, 0, "audience");
    // A variant that this release no longer has: shipping it is over.
    if (live.kind === "shipped") return seen(plan, Math.max(0, indexOf(plan, live.variant)), "shipped");
    if (plan.excludeBots && facts.isBot()) return seen(plan, 0, "bot");
    if (plan.consent === "required" && !facts.hasConsent(key)) return seen(plan, 0, "consent");
    return experiment.drawn === null ? this.#draw(experiment, facts) : this.#drawnBefore(experiment, experiment.drawn, facts);
  }

  /** A visitor comes back many times, and readers of cookies give the same objects for the same cookies. */
  #drawnBefore(experiment: Compiled, drawn: DrawnMemory, facts: AssignFacts): Assignment {
    const visitor = facts.unit(experiment.plan.unit, experiment.plan.key);
    if (visitor === null || visitor === "") return this.#draw(experiment, facts);
    const entries = facts.sticky();
    const known = drawn.get(visitor, entries);
    if (known !== null) return known;
    const assignment: Assignment = Object.freeze({ ...this.#draw(experiment, facts), shared: { isTold: false } });
    drawn.put(visitor, entries, assignment);
    return assignment;
  }

  #draw({ plan, ranges, layer, salt, holdoutSalt }: Compiled, facts: AssignFacts): Assignment {
    const source = presentSource(plan, facts);
    const unit = source === null ? null : facts.unit(source, plan.key);
    if (source === null || unit === null) return seen(plan, 0, "no-unit");
    if (holdoutSalt !== null && bucketIn(holdoutSalt, unit) < plan.holdout!.share) return seen(plan, 0, "holdout", unit);

    const sticky = plan.sticky && plan.consent !== "stateless";
    const remembered = sticky ? rememberedIn(plan, facts) : null;
    if (remembered !== null) {
      if (remembered.bucketVersion < plan.minBucketVersion) return seen(plan, 0, "earlier-version", unit);
      const index = remembered.bucketVersion === plan.bucketVersion ? indexOf(plan, remembered.variant) : -1;
      // Follows the unit through ramps down and through a login, where the hash alone would drop or move it.
      if (index >= 0) return this.#followed(plan, facts, source, unit, index);
    }
    if (layer !== null && this.#owner(layer, unit, plan, facts) !== plan.key) return seen(plan, 0, "other-experiment", unit);
    const index = rangeAt(ranges, bucketIn(salt, unit));
    // What it does may be the past of a unit that takes part once there is more traffic.
    if (index < 0) return { ...seen(plan, 0, "outside-traffic", unit), countAs: identityOf(source, unit) };
    const drawn = seen(plan, index, "bucketed", unit);
    return { ...drawn, counted: true, countAs: identityOf(source, unit), stick: sticky ? entryOf(plan, source, unit, drawn.variant) : null };
  }

  #followed(plan: AssignPlan, facts: AssignFacts, source: UnitSource, unit: string, index: number): Assignment {
    const followed = seen(plan, index, "sticky", unit);
    const before = plan.fallbackUnit === null ? null : facts.unit(plan.fallbackUnit, plan.key);
    const earlier = before === null || before === "" ? null : entryIn(facts, plan, plan.fallbackUnit!, before);
    const asBefore = earlier !== null && earlier.variant === followed.variant && earlier.bucketVersion === plan.bucketVersion;
    return {
      ...followed,
      counted: true,
      countAs: asBefore ? identityOf(plan.fallbackUnit!, before!) : identityOf(source, unit),
      // After a login the entry is written again under the new unit.
      stick: entryIn(facts, plan, source, unit) === null ? entryOf(plan, source, unit, followed.variant) : null,
    };
  }

  /** A unit that is held by a sticky assignment to a running experiment of the layer belongs to that one, wherever shares have moved since. */
  #owner(layer: Layer, unit: string, plan: AssignPlan, facts: AssignFacts): string | null {
    if (facts.sticky().length > 0) {
      for (const { key } of [...layer.ranged, ...layer.sharing]) {
        const other = key === plan.key ? undefined : this.#experiments.get(key)?.plan;
        if (other === undefined || !other.sticky || (this.#live.get(key) ?? RUNNING).kind !== "running") continue;
        const entry = rememberedIn(other, facts);
        if (entry !== null && entry.bucketVersion === other.bucketVersion && indexOf(other, entry.variant) >= 0) return key;
      }
    }
    return ownerOf(layer, unit);
  }
}

/** Of one generation. */
const REMEMBERED = 10_000;

/** What visitors were drawn for (0.4 µs, and an object each), until operators decide anew. */
class DrawnMemory {
  #young = new Map<string, { readonly entries: readonly StickyEntry[]; readonly assignment: Assignment }>();
  #old: ReadonlyMap<string, { readonly entries: readonly StickyEntry[]; readonly assignment: Assignment }> = new Map();

  get(visitor: string, entries: readonly StickyEntry[]): Assignment | null {
    const known = this.#young.get(visitor) ?? this.#old.get(visitor);
    return known !== undefined && known.entries === entries ? known.assignment : null;
  }
  put(visitor: string, entries: readonly StickyEntry[], assignment: Assignment): void {
    if (this.#young.size >= REMEMBERED) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(visitor, { entries, assignment });
  }
  forget(): void {
    this.#young = new Map();
    this.#old = new Map();
  }
}

/** The unit's own place, or the one that stands in for it; null: the request holds neither. */
function presentSource(plan: AssignPlan, facts: AssignFacts): UnitSource | null {
  if (holds(facts, plan.unit, plan)) return plan.unit;
  return plan.fallbackUnit !== null && holds(facts, plan.fallbackUnit, plan) ? plan.fallbackUnit : null;
}

function holds(facts: AssignFacts, source: UnitSource, plan: AssignPlan): boolean {
  const value = facts.unit(source, plan.key);
  return value !== null && value !== "";
}

/** The primary unit's own entry comes before the one from before the login. */
function rememberedIn(plan: AssignPlan, facts: AssignFacts): StickyEntry | null {
  if (facts.sticky().length === 0) return null;
  for (const source of plan.fallbackUnit === null ? [plan.unit] : [plan.unit, plan.fallbackUnit]) {
    const value = facts.unit(source, plan.key);
    const entry = value === null || value === "" ? null : entryIn(facts, plan, source, value);
    if (entry !== null) return entry;
  }
  return null;
}

function entryIn(facts: AssignFacts, plan: AssignPlan, source: UnitSource, value: string): StickyEntry | null {
  const tag = unitTag(source, value);
  return facts.sticky().find(({ experiment, unitTag: own }) => experiment === plan.key && own === tag) ?? null;
}

function entryOf(plan: AssignPlan, source: UnitSource, value: string, variant: string): StickyEntry {
  return { unitTag: unitTag(source, value), experiment: plan.key, bucketVersion: plan.bucketVersion, variant };
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
    countAs: null,
    bucketVersion: plan.bucketVersion,
    stick: null,
  };
}
