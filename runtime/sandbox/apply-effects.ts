/** Puts checked effects into the views of a run, in their order. Called once per finished hook call. */
import { Fields } from "../proxy/fields.ts";
import type { CheckedEffect, LogLevel } from "./effects.ts";
import { Effect } from "./protocol.ts";
import type { HookRun, RuleAnswer, SandboxEvents } from "./sandbox.ts";

/** What a run has decided so far. */
export interface Decisions {
  upstream: string;
  pinnedTarget: string;
  body: Buffer | null;
  answer: RuleAnswer | null;
}

export function applyEffects(run: HookRun, list: readonly CheckedEffect[], decisions: Decisions): void {
  const { request, response } = run;
  const fields = response === null ? request.fields : response.fields;
  for (const effect of list) {
    switch (effect.kind) {
      case Effect.SET_FIELD:
        fields.set(effect.name, effect.value);
        break;
      case Effect.APPEND_FIELD:
        fields.append(effect.name, effect.value);
        break;
      case Effect.DELETE_FIELD:
        fields.delete(effect.name);
        break;
      case Effect.TARGET:
        request.target = effect.name;
        break;
      case Effect.METHOD:
        request.method = effect.name;
        break;
      case Effect.UPSTREAM:
        decisions.upstream = effect.name;
        break;
      case Effect.PIN_TARGET:
        decisions.pinnedTarget = effect.name;
        break;
      case Effect.STATUS:
        if (response !== null) response.status = effect.status;
        break;
      case Effect.BODY:
        decisions.body = Buffer.from(effect.value, "latin1");
        break;
      case Effect.RESPOND:
        decisions.answer = { status: effect.status, fields: new Fields([...effect.fields]), body: Buffer.from(effect.value, "latin1") };
        break;
      case Effect.STATE:
        run.exchange.state.set(effect.rule, effect.value);
        break;
      case Effect.CACHE_KEY:
        run.exchange.cacheKeyed?.(effect.value);
        break;
      case Effect.CACHE:
        run.exchange.cacheDecided?.(effect.value);
        break;
      case Effect.HTML:
        run.exchange.htmlEdited?.(effect.value);
        break;
      case Effect.EXPERIMENT:
        run.exchange.experimentAsked?.(nameOf(run, effect.rule), effect.name, run.phase);
        break;
      case Effect.TRACK:
        run.exchange.tracked?.(effect.name, effect.value === "" ? null : Number(effect.value));
        break;
      case Effect.READS:
        run.exchange.cacheReads?.(nameOf(run, effect.rule), effect.value);
        break;
      default:
        break;
    }
  }
}

/** Logs and metrics go out at once, whatever became of the rule. */
export function tellNotes(list: readonly CheckedEffect[], run: HookRun, events: SandboxEvents): void {
  for (const { kind, rule, name, value, labels } of list) {
    if (kind === Effect.LOG)
      events.log({ rule: nameOf(run, rule), release: run.release.release.id, level: name as LogLevel, text: value, exchange: run.exchange.id });
    else if (kind === Effect.METRIC) events.metric({ rule: nameOf(run, rule), name, value: Number(value), labels: labelsOf(labels) });
  }
}

const MAX_LABELS = 8;
const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});

/** Only names and texts; whatever else a broken inside wrote there is left out. */
function labelsOf(json: string): Readonly<Record<string, string>> {
  if (json === "" || json === "{}") return NO_LABELS;
  const value = parsed(json);
  if (typeof value !== "object" || value === null) return NO_LABELS;
  const entries = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return Object.fromEntries(entries.slice(0, MAX_LABELS));
}

/** The JSON of a stranger, or null when it is none. */
export function parsed(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return null;
  }
}

function nameOf(run: HookRun, rule: number): string {
  return run.release.release.rules[rule]?.manifest.name ?? "";
}
