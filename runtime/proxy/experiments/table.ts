/** The experiments of one release, as exchanges ask for them: everything that can be known beforehand, worked out when the release is loaded. */
import type { CheckedGoal, VariantChanges } from "../../../sdk/experiment.ts";
import type { RuleModule } from "../../compile/release.ts";
import { Assigner, type LiveState, planOf } from "../../experiments/assign/assign.ts";
import { type CompiledEdits, compileEdits } from "../../experiments/edits/edits.ts";
import type { ExperimentData } from "../../experiments/experiment-data.ts";
import type { LiveBoard } from "../../experiments/live/live.ts";
import { compileMatcher } from "../match/compile-matcher.ts";
import type { Matcher } from "../match/match.ts";
import { readsOfMatch } from "../match/reads.ts";

/** One variant's changes. */
export interface VariantTable {
  readonly key: string;
  readonly changes: VariantChanges;
  /** null: the page stays. */
  readonly edits: CompiledEdits | null;
  /** Names and values of response fields, null for one that is deleted; lowercase. */
  readonly fields: readonly (readonly [name: string, value: string | null])[];
  readonly originFields: readonly (readonly [name: string, value: string | null])[];
  /** `name=value` of each cookie. */
  readonly cookies: readonly string[];
  /** Must the entry's key name it? Path and upstream stand in the key as they are. */
  readonly isKeyed: boolean;
}

/** Where variants of an experiment differ: the same for control, whose visitors must be counted at the same places. */
export interface Touches {
  /** Fields and cookies of whatever is delivered. */
  readonly head: boolean;
  /** HTML pages. */
  readonly page: boolean;
  /** What the origin sees, or which one. */
  readonly origin: boolean;
  readonly redirect: boolean;
}

/** What matters of a response for whether variants may differ there. */
export interface Page {
  readonly isPage: boolean;
  /** It is the page itself; else an error, or a 304, in its place. */
  readonly isWhole: boolean;
}
export const WHOLE_PAGE: Page = Object.freeze({ isPage: true, isWhole: true });
export const IN_PAGES_PLACE: Page = Object.freeze({ isPage: true, isWhole: false });
export const NO_PAGE: Page = Object.freeze({ isPage: false, isWhole: false });

export interface ExperimentEntry {
  /** Of its module in the release. */
  readonly number: number;
  readonly data: ExperimentData;
  readonly variants: readonly VariantTable[];
  readonly touches: Touches;
  /** The page edits of its variants, each once: who sees which of them matters not for where units are counted. */
  readonly pageEdits: readonly CompiledEdits[];
  /** Does it change anything by itself, without a rule? */
  readonly acts: boolean;
  /** Do visitor cookie, sticky entries and User-Agent decide alone? */
  readonly isSteady: boolean;
  /** Whoever asks for the URL is meant, whatever else the request says. */
  readonly isForAll: boolean;
  /** Functions that run in the sandbox. */
  readonly runs: boolean;
  readonly claims: boolean;
  /** null: no consent is needed, or asked of `stateless`. */
  readonly consent: Matcher | null;
}

export interface GoalEntry {
  readonly experiment: ExperimentEntry;
  readonly goal: CheckedGoal;
}

export interface RunningModules {
  readonly rules: readonly number[];
  readonly params: readonly null[];
}

const MAX_RUNNING = 256;

export class ExperimentTable {
  readonly entries: readonly ExperimentEntry[];
  readonly assigner: Assigner;
  readonly #byKey: ReadonlyMap<string, ExperimentEntry>;
  readonly #byNumber: ReadonlyMap<number, ExperimentEntry>;
  /** That traffic reaches. */
  readonly goals: readonly GoalEntry[];
  readonly #running = new Map<string, RunningModules>();
  liveVersion = 0;
  #live: ReadonlyMap<string, LiveState> = new Map();

  constructor(entries: readonly ExperimentEntry[]) {
    this.entries = entries;
    this.assigner = new Assigner(entries.map(({ data }) => planOf(data)));
    this.#byKey = new Map(entries.map((entry) => [entry.data.key, entry]));
    this.#byNumber = new Map(entries.map((entry) => [entry.number, entry]));
    this.goals = entries.flatMap((experiment) => experiment.data.goals.flatMap((goal) => (goal.traffic === null ? [] : [{ experiment, goal }])));
  }

  /** null: the release has none. */
  static of(rules: readonly RuleModule[]): ExperimentTable | null {
    const entries = rules.flatMap(({ manifest }, number) => (manifest.experiment === undefined ? [] : [entryOf(number, manifest.experiment)]));
    return entries.length === 0 ? null : new ExperimentTable(entries);
  }

  find(key: string): ExperimentEntry | undefined {
    return this.#byKey.get(key);
  }
  /** Of those modules that are experiments. */
  numbered(numbers: readonly number[]): readonly ExperimentEntry[] {
    return numbers.flatMap((number) => this.#byNumber.get(number) ?? []);
  }

  /** The numbers of modules that run together, always the same array for the same ones: what they decide is remembered by it. */
  running(entries: readonly ExperimentEntry[]): RunningModules {
    const numbers = entries.map(({ number }) => number);
    const name = numbers.join();
    let running = this.#running.get(name);
    if (running === undefined) {
      if (this.#running.size >= MAX_RUNNING) this.#running.clear();
      this.#running.set(name, (running = Object.freeze({ rules: Object.freeze(numbers), params: Object.freeze(numbers.map(() => null)) })));
    }
    return running;
  }

  /** Experiments in which rules report a goal of that name. */
  tracking(name: string): readonly { readonly experiment: ExperimentEntry; readonly goal: CheckedGoal }[] {
    return this.entries.flatMap((experiment) =>
      experiment.data.goals.flatMap((goal) => (goal.traffic === null && goal.name === name ? [{ experiment, goal }] : [])),
    );
  }

  /** Takes over what operators decided, when there is something new. */
  follow(board: LiveBoard): void {
    if (board.version === this.liveVersion) return;
    this.liveVersion = board.version;
    this.#live = new Map([...board.entries].map(([key, { state }]) => [key, state]));
    this.assigner.setLive(this.#live);
  }
  stateOf(key: string): LiveState["kind"] {
    return this.#live.get(key)?.kind ?? "running";
  }
}

function entryOf(number: number, data: ExperimentData): ExperimentEntry {
  const variants = data.variants.map(({ key, changes }) => variantOf(key, changes));
  const some = (has: (changes: VariantChanges) => boolean): boolean => data.variants.some(({ changes }) => has(changes));
  const touches: Touches = {
    head: some(({ headers, cookies }) => headers !== undefined || cookies !== undefined),
    page: some(({ html }) => html !== undefined && html.length > 0),
    origin: some(({ path, upstream, originHeaders }) => path !== undefined || upstream !== undefined || originHeaders !== undefined),
    redirect: some(({ redirect }) => redirect !== undefined),
  };
  const { unit, fallbackUnit, consent } = data;
  const isClaim = (source: ExperimentData["unit"] | null): boolean => typeof source === "object" && source?.kind === "claim";
  return Object.freeze({
    number,
    data,
    variants,
    touches,
    pageEdits: Object.freeze([...new Map(variants.flatMap(({ edits }) => (edits === null ? [] : [[edits.id, edits] as const]))).values()]),
    acts: touches.head || touches.page || touches.origin || touches.redirect,
    isSteady: unit === "visitor" && fallbackUnit === null && !data.audience && typeof consent !== "object",
    isForAll: !data.audience && data.devices.length === 0 && readsOfMatch(data.when).length === 0,
    runs: data.audience || (typeof unit === "object" && unit.kind === "function"),
    claims: isClaim(unit) || isClaim(fallbackUnit),
    consent: typeof consent === "object" ? compileMatcher([{ specs: [{ cookie: consent.cookie }] }]) : null,
  });
}

function variantOf(key: string, changes: VariantChanges): VariantTable {
  const { html = [], headers = {}, originHeaders = {}, cookies = {} } = changes;
  return Object.freeze({
    key,
    changes,
    edits: html.length === 0 ? null : compileEdits(html),
    fields: Object.entries(headers),
    originFields: Object.entries(originHeaders),
    cookies: Object.entries(cookies).map(([name, value]) => `${name}=${value}`),
    isKeyed: changes.originHeaders !== undefined,
  });
}
