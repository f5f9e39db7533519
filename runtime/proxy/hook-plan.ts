/** Which hooks a request meets: computed when a release is swapped in, then only looked up. */
import { type LoadedRelease } from "../sandbox/sandbox.ts";
import { PHASES, type Phase, type RuleModule } from "../compile/release.ts";
import { type ExperimentEntry, ExperimentTable, type GoalEntry } from "./experiments/table.ts";
import { compileMatcher } from "./match/compile-matcher.ts";
import type { RuleRead } from "../cache/cache.ts";
import { readsOfMatch } from "./match/reads.ts";
import type { Matchable, Matcher, MatchResult, Params } from "./match/match.ts";
import type { Routing } from "./routing.ts";

/** The rules of one phase in running order, and where each stands in the match result. */
export interface PhaseHooks {
  readonly rules: readonly number[];
  readonly positions: readonly number[];
}
export interface CountryKey {
  /** In the words of `cache/privacy.ts`. */
  readonly parts: readonly string[];
  /** The country stands in the key, too: a rule with alternatives may have matched by another one there, and have other path groups. */
  readonly exact: boolean;
}

export interface HookPlan extends Readonly<Record<Phase, PhaseHooks | null>> {
  /** Is there a hook between the cache and the origin, or for its failure? */
  readonly changesOrigin: boolean;
  /** Personal input by which rules match that have a say before the cache stores: who asks without it must not get their answer. */
  readonly matchReads: readonly RuleRead[];
  /** Which of those rules, and of those with a say about errors, match by country: entries are keyed by them. null: none do. */
  readonly byCountry: CountryKey | null;
  /** May a rule read `ctx.client`? One whose code does not spell the word sees no country there. */
  readonly asksClient: boolean;
  /** Experiments that act on the request. */
  readonly experiments: readonly ExperimentEntry[];
  /** Their goals that the request may reach. */
  readonly goals: readonly GoalEntry[];
  /** Experiments that a rule may ask for (`["*"]`: any); null: none. */
  readonly asksExperiments: readonly string[] | null;
  /** May a rule report a goal? */
  readonly tracks: boolean;
  /** Experiments that rules between cache and origin may ask for (`["*"]`: any): entries are keyed by them. null: none do. */
  readonly keyedExperiments: readonly string[] | null;
}

const NO_HOOKS: HookPlan = Object.freeze({
  ...(Object.fromEntries(PHASES.map((phase) => [phase, null])) as Record<Phase, null>),
  changesOrigin: false,
  matchReads: Object.freeze([]),
  byCountry: null,
  asksClient: false,
  experiments: Object.freeze([]),
  goals: Object.freeze([]),
  asksExperiments: null,
  tracks: false,
  keyedExperiments: null,
});
const NO_MATCH: MatchResult = Object.freeze({ indices: Object.freeze([]), params: Object.freeze([]) });
/** Where rules have a say about what the cache stores. */
const STORED: ReadonlySet<Phase> = new Set(["onRequest", "onOriginRequest", "onOriginResponse", "onError"]);
/** As of services (`compile/manifest.ts`): a word in the code. */
const SPELLS_CLIENT = /\bclient\b/;
const NO_PARAMS: readonly null[] = Object.freeze([null]);

/** One release in service. Exchanges finish on the table that they began with; the last one out lets the release go. */
export class HookTable {
  readonly loaded: LoadedRelease | null;
  readonly releaseId: string;
  /** In the cache; "" but for a release that is not promoted: what its exchanges fill nobody else may see. */
  partition = "";
  /** As what it runs beside the release that serves; "": it serves. */
  beside: "" | "canary" | "preview" = "";
  readonly routing: Routing;
  /** null: the release has none. */
  readonly experiments: ExperimentTable | null;
  /** Does a rule with a say before the cache stores match by country? Then a URL may have entries that other plans than an exchange's own are keyed by. */
  readonly keysByCountry: boolean;
  readonly #matcher: Matcher | null;
  /** Matchers intern their results, so the array's identity is a key; the matcher bounds how many there are. */
  readonly #plans = new WeakMap<readonly number[], HookPlan>();
  readonly #onUnused: (loaded: LoadedRelease) => void;
  /** By the rule's number: its code is searched once. */
  readonly #spellsClient = new Map<number, boolean>();
  #running = 0;
  #retired = false;

  constructor(releaseId: string, loaded: LoadedRelease | null, routing: Routing, onUnused: (loaded: LoadedRelease) => void) {
    this.releaseId = releaseId;
    this.loaded = loaded;
    this.routing = routing;
    this.#onUnused = onUnused;
    const rules = loaded?.release.rules ?? [];
    this.experiments = ExperimentTable.of(rules);
    this.keysByCountry = rules.some(({ manifest: { phases, when } }) => phases.some((phase) => STORED.has(phase)) && readsOfMatch(when).includes("country"));
    // Goals of experiments behind the rules: one look for all.
    const goals = this.experiments?.goals ?? [];
    const entries = [...rules.map(({ manifest }) => ({ specs: manifest.when })), ...goals.map(({ goal }) => ({ specs: [goal.traffic!.when] }))];
    this.#matcher = rules.length === 0 ? null : compileMatcher(entries);
  }

  get matchesNothing(): boolean {
    return this.#matcher === null;
  }
  match(request: Matchable): MatchResult {
    return this.#matcher === null ? NO_MATCH : this.#matcher.all(request);
  }
  plan(match: MatchResult): HookPlan {
    if (match.indices.length === 0) return NO_HOOKS;
    let plan = this.#plans.get(match.indices);
    if (plan === undefined) {
      plan = this.#makePlan(match.indices);
      this.#plans.set(match.indices, plan);
    }
    return plan;
  }

  /** Of those that match, the rules' numbers. */
  rulesOf(matched: readonly number[]): readonly number[] {
    const rules = this.loaded?.release.rules.length ?? 0;
    return matched.length === 0 || matched.at(-1)! < rules ? matched : matched.filter((index) => index < rules);
  }

  enter(): void {
    this.#running++;
  }
  leave(): void {
    this.#running--;
    this.#letGo();
  }
  /** No new exchange will enter. */
  retire(): void {
    this.#retired = true;
    this.#letGo();
  }

  #letGo(): void {
    if (this.#retired && this.#running === 0 && this.loaded) this.#onUnused(this.loaded);
  }

  #asksClient(rule: number): boolean {
    let spells = this.#spellsClient.get(rule);
    if (spells === undefined) this.#spellsClient.set(rule, (spells = SPELLS_CLIENT.test(this.loaded!.release.rules[rule]!.code)));
    return spells;
  }

  #makePlan(matched: readonly number[]): HookPlan {
    const plan = {} as Record<Phase, PhaseHooks | null>;
    const all = this.loaded!.release.rules;
    const indices = this.rulesOf(matched);
    for (const phase of PHASES) {
      const positions: number[] = [];
      indices.forEach((rule, position) => {
        if (all[rule]!.manifest.phases.includes(phase)) positions.push(position);
      });
      // The response passes the rules in the opposite direction, like the layers of an onion.
      if (phase === "onResponse") positions.reverse();
      plan[phase] = positions.length === 0 ? null : { positions, rules: positions.map((position) => indices[position]!) };
    }
    const { onOriginRequest, onOriginResponse, onError } = plan;
    const before = new Set([...(plan.onRequest?.rules ?? []), ...(onOriginRequest?.rules ?? []), ...(onOriginResponse?.rules ?? [])]);
    const matchReads = [...before].flatMap((rule) => {
      const { name, when } = all[rule]!.manifest;
      return readsOfMatch(when).map((read): RuleRead => ({ rule: name, read: read === "country" ? `country:${name}` : read }));
    });
    // A failure may have it ask another upstream, whose answer is stored like any.
    const placed = [...before.union(new Set(onError?.rules))].map((rule) => all[rule]!.manifest).filter(({ when }) => readsOfMatch(when).includes("country"));
    const byCountry =
      placed.length === 0 ? null : Object.freeze({ parts: placed.map(({ name }) => `country:${name}`), exact: placed.some(({ when }) => when.length > 1) });
    const asksClient = indices.some((rule) => this.#asksClient(rule));
    const between = new Set([...(onOriginRequest?.rules ?? []), ...(onOriginResponse?.rules ?? [])]);
    const experiments = {
      experiments: this.experiments === null ? NO_HOOKS.experiments : this.experiments.numbered(indices),
      goals: Object.freeze(matched.slice(indices.length).map((index) => this.experiments!.goals[index - all.length]!)),
      asksExperiments: asked(all, indices),
      tracks: indices.some((rule) => all[rule]!.manifest.tracks === true),
      keyedExperiments: asked(all, [...between]),
    };
    return Object.freeze({
      ...plan,
      ...experiments,
      matchReads,
      byCountry,
      asksClient,
      changesOrigin: onOriginRequest !== null || onOriginResponse !== null || onError !== null,
    });
  }
}

function asked(all: readonly RuleModule[], rules: readonly number[]): readonly string[] | null {
  const keys = new Set(rules.flatMap((rule) => all[rule]!.manifest.asksExperiments ?? []));
  return keys.size === 0 ? null : keys.has("*") ? ["*"] : [...keys];
}

/** Beside each rule of `hooks` its path groups. */
export function paramsOf(hooks: PhaseHooks, match: MatchResult): readonly (Params | null)[] {
  const { positions } = hooks;
  if (positions.length === 1) {
    const only = match.params[positions[0]!] ?? null;
    return only === null ? NO_PARAMS : [only];
  }
  return positions.map((position) => match.params[position] ?? null);
}
