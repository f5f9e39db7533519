/** Experiments in one exchange: who asks, which variants it sees, and what came of them. Assigned once, on the request as it was received. */
import { hash } from "node:crypto";
import type { Assignment, StickyEntry } from "../../experiments/assign/plan.ts";
import type { AssignFacts, UnitSource } from "../../experiments/assign/assign.ts";
import { verifyQaToken, visitorIdOf } from "../../experiments/assign/assign.ts";
import type { Phase } from "../../compile/release.ts";
import type { Life } from "../life.ts";
import type { Matchable } from "../match/match.ts";
import { claimsOf, MAX_UNIT_UNITS, runFunctions, type Said } from "./asked-units.ts";
import { cookieIn, type QaLink } from "./gateway-marks.ts";
import type { ExperimentSeat, KnownClient } from "./seat.ts";
import type { ExperimentEntry, ExperimentTable, GoalEntry, VariantTable } from "./table.ts";
import type { UserAgent } from "./user-agents.ts";

const MAX_TRACKED = 100;
/** In a log line. */
const MAX_VARIANTS_UNITS = 300;

/** What a rule reported, before the answer is delivered. */
export interface Tracked {
  readonly goal: string;
  readonly value: number | null;
}

export class ExchangeExperiments implements AssignFacts {
  readonly life: Life;
  readonly seat: ExperimentSeat;
  readonly table: ExperimentTable;
  /** Those whose `when` matches. */
  readonly matched: readonly ExperimentEntry[];
  /** Goals that the request may reach. */
  readonly goals: readonly GoalEntry[];
  /** As received: rules may change the fields, and who asks stays who it is. */
  readonly asked: Matchable;
  readonly qa: QaLink | null;

  /** Beside `matched`; null until they are assigned. */
  assignments: readonly Assignment[] | null = null;
  /** The request was changed as the variants say, and went on … */
  reachedOrigin = false;
  /** … and where it went before: path and query, and the upstream that a rule picked or "". */
  targetBefore = "";
  upstreamBefore = "";
  /** What the visitor got instead of the page. */
  redirected: ExperimentEntry | null = null;
  /** The validators of the page that the client has, when variants keep the cache from judging them. */
  ifNoneMatch: string | null = null;
  ifModifiedSince: string | null = null;
  /** Experiments of which nothing is known to differ on this page; null: there are none. */
  unseen: readonly ExperimentEntry[] | null = null;
  /** The page is looked at while it flows. */
  isWatched = false;
  /** Made on this very request. */
  newVisitor = "";
  tracked: Tracked[] | null = null;
  /** The answer has been counted. */
  isSettled = false;
  nextTracked = 1;
  /** What the visitor was exposed to: `experiment=variant …`. */
  variants = "";
  /** Experiments that rules asked for. */
  #askedFor: Set<string> | null = null;
  readonly #said = new Map<string, Said>();
  readonly #claims = new Map<string, string>();
  /** From a link of before. */
  readonly #qaCookie: string | null;
  #known: KnownClient | null = null;
  #forced: Readonly<Record<string, string>> | null | undefined = undefined;
  /** For goals: the unit as its experiment would assign it where it acts. */
  #elsewhere = false;

  constructor(
    life: Life,
    seat: ExperimentSeat,
    table: ExperimentTable,
    matched: readonly ExperimentEntry[],
    goals: readonly GoalEntry[],
    asked: Matchable,
    qa: QaLink | null,
    qaCookie: string | null,
  ) {
    this.#qaCookie = qaCookie;
    this.life = life;
    this.seat = seat;
    this.table = table;
    this.matched = matched;
    this.goals = goals;
    this.asked = asked;
    this.qa = qa;
  }

  /** Assigns what the request meets. A promise where functions and claims have to be asked first. */
  prepare(): Promise<void> | null {
    const asking = this.#askers();
    if (asking === null) {
      this.#assign();
      return null;
    }
    return asking.then(() => this.#assign());
  }

  #assign(): void {
    const { matched, table, life } = this;
    const client = this.#steadyClient();
    const before = client === null ? null : client.before;
    if (before !== null && before.matched === matched && before.table === table && before.liveVersion === table.liveVersion)
      this.assignments = before.assignments;
    else {
      const assignments: Assignment[] = [];
      for (const { data } of matched) assignments.push(table.assigner.assign(data.key, this)!);
      this.assignments = assignments;
      if (client !== null) client.before = { table, liveVersion: table.liveVersion, matched, assignments };
    }
    life.trace?.variants?.(this.assignments);
  }

  /** Whoever comes again as it came before gets what it got before; null: something else has a say. */
  #steadyClient(): KnownClient | null {
    const { matched, qa, seat } = this;
    if (qa !== null || this.#qaCookie !== null || seat.mode === "control") return null;
    for (let i = 0; i < matched.length; i++) if (!matched[i]!.isSteady) return null;
    const client = this.#client;
    return client.visitor === null ? null : client;
  }

  /** null: nobody outside this file has to be asked. */
  #askers(): Promise<unknown> | null {
    let asking: Promise<unknown>[] | null = null;
    const running: ExperimentEntry[] = [];
    for (const entry of this.#concerned()) {
      if (!entry.runs && !entry.claims) continue;
      if (entry.runs) running.push(entry);
      if (entry.claims) (asking ??= []).push(claimsOf(this, entry, (source, value) => void this.#claims.set(`${entry.data.key}\n${source}`, value)));
    }
    const ran = running.length === 0 ? null : runFunctions(this, running, (key, said) => void this.#said.set(key, said));
    if (ran !== null) (asking ??= []).push(ran);
    return asking === null ? null : Promise.all(asking);
  }

  /** Those that are assigned here, and those of goals that may be reached. */
  #concerned(): readonly ExperimentEntry[] {
    if (this.goals.length === 0 && !this.life.plan.tracks) return this.matched;
    const entries = new Set([...this.matched, ...this.goals.map(({ experiment }) => experiment)]);
    if (this.life.plan.tracks) for (const entry of this.table.entries) entries.add(entry);
    return [...entries];
  }

  /** What the visitor sees of an experiment that may act on other requests only; null: this release has none of that name. */
  assignment(key: string): Assignment | null {
    const at = this.matched.findIndex(({ data }) => data.key === key);
    return at < 0 || this.assignments === null ? this.table.assigner.assign(key, this) : this.assignments[at]!;
  }

  /** The unit as the experiment assigns it where it acts: for goals, which are reached elsewhere. */
  assignmentElsewhere(key: string): Assignment {
    const here = this.assignments === null ? -1 : this.matched.findIndex(({ data }) => data.key === key);
    if (here >= 0) return this.assignments![here]!;
    this.#elsewhere = true;
    try {
      return this.table.assigner.assign(key, this)!;
    } finally {
      this.#elsewhere = false;
    }
  }

  /** The variant whose changes are made; null: none are. */
  variantOf(index: number): VariantTable | null {
    const assignment = this.assignments![index]!;
    return assignment.reason === "no-match" ? null : this.matched[index]!.variants[assignment.index]!;
  }

  /** For a rehearsal: what the real exchange was shown, and nothing else. */
  force(variants: Readonly<Record<string, string>>): void {
    this.#forced = variants;
  }
  /** Experiment → variant, of those that act on this request. */
  get shown(): Readonly<Record<string, string>> {
    const { assignments } = this;
    if (assignments === null) return {};
    return Object.fromEntries(assignments.flatMap(({ experiment, variant, reason }) => (reason === "no-match" ? [] : [[experiment, variant] as const])));
  }

  // What rules ask and say.

  variantText(key: string): string | null {
    const assignment = this.assignment(key);
    return assignment === null ? null : JSON.stringify([assignment.variant, assignment.index === 0, assignment.counted]);
  }
  /** Of these, or of all (`["*"]`), as a member of `HookExtra` with its comma. */
  extraText(keys: readonly string[]): string {
    const asked = keys[0] === "*" ? this.table.entries.map(({ data }) => data.key) : keys;
    const texts = asked.map((key) => `"${key}":${this.variantText(key)!}`);
    return `,"experiments":{${texts.join(",")}}`;
  }
  /** `life`: of this exchange, or of the one with the origin that it leads. */
  wasAsked(life: Life, rule: string, key: string, phase: Phase): void {
    (this.#askedFor ??= new Set()).add(key);
    if (phase === "onRequest") life.cacheWords.experiment(key, this.assignment(key)?.variant ?? "");
    else if (phase === "onOriginRequest" || phase === "onOriginResponse") life.cacheWords.read(rule, `experiment:${key}`);
  }
  /** A rule between cache and origin may ask for it: whoever made the entry, the page depends on it. */
  keyedBy(key: string): void {
    const assignment = this.assignment(key);
    if (assignment === null) return;
    (this.#askedFor ??= new Set()).add(key);
    this.life.cacheWords.experiment(key, assignment.variant);
  }
  /** May exposures be counted on this exchange? Whoever looks at a release before it serves is no visitor of it. */
  get isCounted(): boolean {
    const { parts } = this.seat;
    return parts.counting !== null && this.assignments !== null && this.asked.method !== "HEAD" && this.life.inputs.preview === "";
  }
  /** Does it matter whether the page holds what the variants of `matched[index]` edit? Not of a unit that was counted. */
  mayBeUnseen(index: number): boolean {
    const { counted, shared } = this.assignments![index]!;
    return counted && this.matched[index]!.touches.page && shared?.isTold !== true;
  }
  /** This worker has counted the unit. */
  isTold(index: number): boolean {
    const assignment = this.assignments![index]!;
    const isTold = this.seat.parts.counting!.knows(assignment);
    if (isTold && assignment.shared !== undefined) assignment.shared.isTold = true;
    return isTold;
  }
  isAskedFor(key: string): boolean {
    return this.#askedFor !== null && this.#askedFor.has(key);
  }
  /** As the client sent it, without what a QA link holds: whoever reads it in a log could use it. */
  get shownTarget(): string {
    const { path, query } = this.asked;
    return this.qa === null ? this.life.exchange.target : query === "" ? path : `${path}?${query}`;
  }
  exposed({ experiment, variant }: Assignment): void {
    if (this.variants.length < MAX_VARIANTS_UNITS) this.variants += `${this.variants === "" ? "" : " "}${experiment}=${variant}`;
    this.seat.parts.onExposure(experiment, variant);
  }
  track(goal: string, value: number | null): void {
    const tracked = (this.tracked ??= []);
    if (tracked.length < MAX_TRACKED) tracked.push({ goal, value });
  }

  get #client(): KnownClient {
    return (this.#known ??= this.seat.clientOf(this.life.exchange.connection, this.life.inputs, this.asked.fields.get("user-agent")));
  }
  get userAgent(): UserAgent {
    return this.#client.userAgent;
  }

  // AssignFacts.

  matches(experiment: string): boolean {
    if (this.seat.mode === "control") return this.forced(experiment) !== null;
    if (this.#elsewhere) return true;
    for (const { data } of this.matched) if (data.key === experiment) return true;
    return false;
  }
  unit(source: UnitSource, experiment: string): string | null {
    switch (source.kind) {
      case "visitor":
        return this.#visitorUnit(experiment);
      case "cookie":
        return bounded(cookieIn(this.asked.fields, source.name));
      case "header":
        return bounded(this.asked.fields.joined(source.name) ?? null);
      case "claim":
        return this.#claims.get(`${experiment}\n${source.name}`) ?? null;
      case "function":
        return this.#said.get(experiment)?.unit ?? null;
    }
  }
  inAudience(experiment: string): boolean {
    if (this.#elsewhere) return true;
    const entry = this.table.find(experiment)!;
    const { devices, audience } = entry.data;
    if (devices.length > 0 && !devices.includes(this.userAgent.device)) return false;
    return !audience || this.#said.get(experiment)?.within === true;
  }
  isBot(): boolean {
    return this.userAgent.isBot;
  }
  hasConsent(experiment: string): boolean {
    const { consent } = this.table.find(experiment)!;
    return consent === null || consent.first(this.asked) === 0;
  }
  forced(experiment: string): string | null {
    if (this.#forced === undefined) this.#forced = this.#forcedVariants();
    return this.#forced === null ? null : Object.hasOwn(this.#forced, experiment) ? this.#forced[experiment]! : null;
  }
  sticky(): readonly StickyEntry[] {
    return this.#client.entries;
  }

  /** The cookie's; else a new one, but not for goals, and not where nothing may be kept in the browser. */
  #visitorUnit(experiment: string): string | null {
    const { visitor } = this.#client;
    if (visitor !== null) return visitor;
    if (this.newVisitor !== "") return this.newVisitor;
    if (this.#elsewhere || this.table.find(experiment)!.data.consent === "stateless") return null;
    return (this.newVisitor = visitorIdOf(this.seat.newVisitor()));
  }

  #forcedVariants(): Readonly<Record<string, string>> | null {
    const token = this.qa?.token ?? this.#qaCookie;
    if (token === null || token === "") return null;
    const read = verifyQaToken(token, this.seat.keys, this.seat.parts.clock.unixMs());
    return read.outcome === "valid" ? read.forced.variants : null;
  }
}

/** Clients choose how long it is, and units are kept by the thousands. The same on every gateway. */
function bounded(unit: string | null): string | null {
  return unit === null || unit.length <= MAX_UNIT_UNITS ? unit : hash("sha256", unit, "base64url");
}
