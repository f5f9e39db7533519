/**
 * What hooks decided, remembered by what they asked. A rule whose module keeps nothing between hooks (`compile/stateless.ts`), and that asked
 * neither for clock nor chance, decides the same when it is given the same; then its outcome is known without entering the sandbox. Asking is
 * a path: what a hook asks next depends on the answers so far. So the memory is a tree of questions, and its leaves are outcomes.
 */
import type { Fields } from "../proxy/fields.ts";
import type { Params } from "../proxy/match/match.ts";
import type { CheckedEffect } from "./effects.ts";
import { Read } from "./kernel/reads.ts";
import { owned } from "./owned.ts";
import { Effect } from "./protocol.ts";
import type { HookRun } from "./sandbox.ts";

/** An outcome, as DONE told it. */
export interface Remembered {
  readonly effects: readonly CheckedEffect[];
  /** The rule that answered, or -1. */
  readonly answeredBy: number;
  /** The effects as they were told: to see that the same was decided again. */
  readonly text: string;
  /** A log line or a metric is among them. */
  readonly notes: boolean;
}

/** As it was told, before it is kept. */
type Told = Omit<Remembered, "notes">;

/** What is compared: the views before anything was changed. */
export type Given = Pick<HookRun, "request" | "response" | "rules" | "params" | "exchange">;

interface Question {
  readonly read: string;
  /** What it is taken apart into, once: the letter of `Read`, and the name behind it as V8 has it for comparing by address. */
  readonly kind: string;
  readonly name: string;
  readonly answers: Map<string, Question | Remembered>;
}

/** Stands for a field that is not there: no value can hold it. */
const ABSENT = "\r";
/** After so many recalls a hook runs all the same, and must decide what is remembered of it; then after twice as many, up to the last. */
const FIRST_CHECK_AFTER = 256;
const LAST_CHECK_AFTER = 16 * 1024;
/** A memory that is right less often than one time in four is not worth its questions: it rests for as many runs. */
const JUDGED_AFTER = 1024;
const RESTS_FOR = 16 * JUDGED_AFTER;
const MAX_EFFECTS_UNITS = 8 * 1024;
const MAX_ANSWER_UNITS = 2 * 1024;
/** What an outcome takes beside its texts, about. */
const OUTCOME_BYTES = 600;

/** Shared by all memories of a release. */
export class RecallBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;
  readonly #memories = new Set<HookMemory>();

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** When all is used up, everything is forgotten and learnt anew: what matters comes back first. */
  take(memory: HookMemory, bytes: number): void {
    if (this.#usedBytes + bytes > this.#limitBytes) {
      for (const other of this.#memories) other.forget();
      this.#memories.clear();
      this.#usedBytes = 0;
    }
    this.#usedBytes += bytes;
    this.#memories.add(memory);
  }
}

/** Of one phase of one set of rules. */
export class HookMemory {
  readonly #budget: RecallBudget;
  #root: Question | Remembered | null = null;
  #asked = 0;
  #known = 0;
  #restsFor = 0;
  #checkAfter = FIRST_CHECK_AFTER;
  #untilCheck = FIRST_CHECK_AFTER;
  /** It has decided differently on the same answers: whatever the reason, it is not remembered again. */
  #fickle = false;

  constructor(budget: RecallBudget) {
    this.#budget = budget;
  }

  /** Null: it must run. */
  recall(given: Given): Remembered | null {
    if (this.#fickle) return null;
    if (this.#restsFor > 0) {
      this.#restsFor--;
      return null;
    }
    if (++this.#asked === JUDGED_AFTER) this.#judge();
    let at = this.#root;
    while (at !== null && "read" in at) at = at.answers.get(answerTo(at.kind, at.name, given)) ?? null;
    if (at === null) return null;
    this.#known++;
    if (--this.#untilCheck > 0) return at;
    this.#checkAfter = Math.min(2 * this.#checkAfter, LAST_CHECK_AFTER);
    this.#untilCheck = this.#checkAfter;
    return null;
  }

  /** False: what is remembered says otherwise, and the rule is not remembered again. `reread`: the effects of a text, checked once more. */
  learn(given: Given, remembered: Told, reread: (text: string) => readonly CheckedEffect[]): boolean {
    if (this.#fickle || this.#restsFor > 0) return true;
    const asked = remembered.effects.at(-1);
    if (asked?.kind !== Effect.ASKED || !isWorthKeeping(remembered)) return true;
    const reads = asked.name === "" ? [] : asked.name.split("\n");
    if (reads.includes(Read.UNIQUE)) return true;
    const answers = reads.map((read) => answerTo(read.charAt(0), read.slice(1), given));
    if (answers.some((answer) => answer.length > MAX_ANSWER_UNITS)) return true;
    const taken = this.#put(reads, answers, remembered, reread);
    if (taken) return true;
    this.#fickle = true;
    this.forget();
    return false;
  }

  forget(): void {
    this.#root = null;
  }

  #put(reads: readonly string[], answers: readonly string[], remembered: Told, reread: (text: string) => readonly CheckedEffect[]): boolean {
    this.#budget.take(this, OUTCOME_BYTES + remembered.text.length + answers.reduce((sum, answer) => sum + answer.length + 64, 0));
    let at = this.#root;
    let hang = (node: Question | Remembered): void => void (this.#root = node);
    for (const [i, read] of reads.entries()) {
      if (at === null) hang((at = { read: owned(read), kind: read.charAt(0), name: interned(read.slice(1)), answers: new Map() }));
      if (!("read" in at) || at.read !== read) return false;
      const { answers: known } = at;
      const answer = answers[i]!;
      hang = (node) => void known.set(owned(answer), node);
      at = known.get(answer) ?? null;
    }
    if (at === null) {
      const text = owned(remembered.text);
      const effects = reread(text);
      const notes = effects.some(({ kind }) => kind === Effect.LOG || kind === Effect.METRIC);
      hang({ effects, answeredBy: remembered.answeredBy, text, notes });
      return true;
    }
    return !("read" in at) && at.text === remembered.text && at.answeredBy === remembered.answeredBy;
  }

  #judge(): void {
    if (this.#known * 4 < this.#asked) {
      this.#restsFor = RESTS_FOR;
      this.forget();
    }
    this.#asked = this.#known = 0;
  }
}

/** Bodies are left to the sandbox, and so is whatever would fill the memory with few outcomes. */
function isWorthKeeping({ effects, text }: Told): boolean {
  return text.length <= MAX_EFFECTS_UNITS && !effects.some(({ kind }) => kind === Effect.BODY);
}

/** Property keys are: the same text is the same string then, and equal to another such by its address. */
function interned(name: string): string {
  return Object.keys({ [owned(name)]: null })[0]!;
}

function answerTo(kind: string, name: string, { request, response, rules, params, exchange }: Given): string {
  switch (kind) {
    case Read.METHOD:
      return request.method;
    case Read.SCHEME:
      return request.scheme;
    case Read.AUTHORITY:
      return request.authority;
    case Read.PATH: {
      const mark = request.target.indexOf("?");
      return mark < 0 ? request.target : request.target.slice(0, mark);
    }
    case Read.QUERY: {
      const mark = request.target.indexOf("?");
      return mark < 0 ? "" : request.target.slice(mark);
    }
    case Read.FIELD:
      return valuesOf(request.fields, name);
    case Read.FIELDS:
      return request.fields.list.join("\n");
    case Read.STATUS:
      return String(response?.status ?? 0);
    case Read.RESPONSE_FIELD:
      return response === null ? ABSENT : valuesOf(response.fields, name);
    case Read.RESPONSE_FIELDS:
      return response === null ? ABSENT : response.fields.list.join("\n");
    case Read.EXPERIMENT:
      return exchange.variantText?.(name) ?? ABSENT;
    case Read.FROM:
      return response?.from ?? "";
    case Read.STATE:
      return exchange.state.get(Number(name)) ?? "";
    case Read.PARAMS:
      return paramsText(params[rules.indexOf(Number(name))] ?? null);
    default:
      throw new RangeError(`${kind}${name} was asked, which no worker can answer`);
  }
}

function valuesOf(fields: Fields, name: string): string {
  const { list } = fields;
  let values = ABSENT;
  for (let i = 0; i < list.length; i += 2) if (list[i] === name) values = values === ABSENT ? list[i + 1]! : `${values}\n${list[i + 1]}`;
  return values;
}

function paramsText(params: Params | null): string {
  return params === null ? "" : Object.entries(params).flat().join("\n");
}
