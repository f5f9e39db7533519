/** DONE, judged before anything of it counts: a record that no honest process sends throws `CodecError` and changes nothing. */
import { GatewayError } from "../errors.ts";
import { CodecError } from "./codec.ts";
import { isNote, legalIn, readEffects, type CheckedEffect } from "./effects.ts";
import { Effect } from "./protocol.ts";
import type { Segment } from "./segment.ts";

/** Fields that a message may have once rules have added to it. */
export const MAX_FIELDS = 500;

/** As in `protocol.ts`. */
export const Outcome = { NEXT: 0, ANSWER: 1, FAILURE: 2 } as const;

export interface DoneRecord {
  readonly outcome: number;
  readonly by: number;
  readonly failure: string;
  /** Rule, microseconds, rule, microseconds, … */
  readonly cpu: readonly number[];
  readonly effects: string;
}

export interface Finish {
  /** Rules of the hook call that have an outcome now. */
  readonly rules: readonly number[];
  /** How many rules of the hook call ran. */
  readonly ran: number;
  /** Everything that was read, for logs and metrics. */
  readonly told: readonly CheckedEffect[];
  /** What is to be applied. */
  readonly counted: readonly CheckedEffect[];
  /** Rules with an effect that can't be had. */
  readonly refused: ReadonlyMap<number, GatewayError> | null;
}

export function finishOf(segment: Segment, record: DoneRecord, crossingBytes: number): Finish {
  const { run, held } = segment.pending;
  const { rules } = segment;
  const { outcome, by } = record;
  if (outcome > Outcome.FAILURE) throw new CodecError(`outcome ${outcome}`);
  const last = outcome === Outcome.NEXT ? rules.length - 1 : rules.indexOf(by);
  if (last < 0) throw new CodecError(`an outcome by rule ${by}, which did not run`);
  const checked = readEffects(record.effects, { legal: legalIn(run.phase, run.response), rules, crossingBytes });
  expectOrder(checked.list, rules, outcome, last, checked.refused?.has(by) === true);
  const refused = crowding(checked.list, (run.response ?? run.request).fields.size, checked.refused);
  const ran = last + 1;
  if (refused === null) return { rules: ran === rules.length ? rules : rules.slice(0, ran), ran, told: checked.list, counted: checked.list, refused };
  // All rules of a hook call have one word on failure (`HeldRelease.segmentEnd`).
  const closed = !held.failsOpen(rules[0]!);
  const firstRefused = rules.findIndex((rule) => refused.has(rule));
  const end = closed ? firstRefused : ran;
  const counted = checked.list.filter((effect) => !refused.has(effect.rule) && rules.indexOf(effect.rule) < end);
  return { rules: rules.slice(0, closed ? firstRefused + 1 : ran), ran, told: checked.list, counted, refused };
}

function expectOrder(list: readonly CheckedEffect[], rules: readonly number[], outcome: number, last: number, answerRefused: boolean): void {
  let answers = 0;
  for (const { kind, rule } of list) {
    const at = rules.indexOf(rule);
    if (at > last || (outcome === Outcome.FAILURE && at === last && !isNote(kind))) throw new CodecError(`an effect of rule ${rule}, which did not finish`);
    if (kind !== Effect.RESPOND) continue;
    answers++;
    if (outcome !== Outcome.ANSWER || at !== last) throw new CodecError(`an answer of rule ${rule}, and an outcome that does not go with it`);
  }
  if (outcome === Outcome.ANSWER && answers !== 1 && !answerRefused) throw new CodecError(`${answers} answers where one is expected`);
}

/** Adds the rules that would make a message too long. */
function crowding(list: readonly CheckedEffect[], fields: number, refused: ReadonlyMap<number, GatewayError> | null): ReadonlyMap<number, GatewayError> | null {
  if (fields + list.length <= MAX_FIELDS) return refused;
  const all = new Map(refused);
  let count = fields;
  for (const { kind, rule } of list) {
    if (kind !== Effect.SET_FIELD && kind !== Effect.APPEND_FIELD) continue;
    if (++count > MAX_FIELDS && !all.has(rule)) all.set(rule, new GatewayError("RULE_EFFECT", `APPEND_FIELD: more than ${MAX_FIELDS} headers`));
  }
  return all.size === 0 ? null : all;
}

export function cpuOf(cpu: readonly number[], rule: number): number {
  for (let i = 0; i < cpu.length; i += 2) if (cpu[i] === rule) return cpu[i + 1]!;
  return 0;
}
