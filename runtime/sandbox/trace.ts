/** Checked effects put into the views of a run one by one, each told with the values before and after and the line of TypeScript that made it. */
import type { Phase } from "../compile/release.ts";
import type { Assignment } from "../experiments/assign/plan.ts";
import type { Fields } from "../proxy/fields.ts";
import { applyEffects, type Decisions } from "./apply-effects.ts";
import type { CheckedEffect } from "./effects.ts";
import type { HeldRelease } from "./held-release.ts";
import { Effect } from "./protocol.ts";
import type { HookRun } from "./sandbox.ts";

export interface TracedEffect {
  readonly rule: string;
  readonly phase: Phase;
  readonly what: string;
  readonly before: string | null;
  readonly after: string | null;
  readonly place: string;
}

/** Of one exchange that somebody wants explained. */
export interface Trace {
  effect(effect: TracedEffect): void;
  /** Experiments that act on the request, and what the visitor sees of each. */
  variants?(assignments: readonly Assignment[]): void;
  /** The answer is about to leave. */
  answer?(fields: Fields): void;
}

const SHOWN_UNITS = 1_000;

export function applyTraced(run: HookRun, held: HeldRelease, list: readonly CheckedEffect[], decisions: Decisions, trace: Trace): void {
  let place = "";
  for (const effect of list) {
    if (effect.kind === Effect.PLACE) {
      place = placeOf(held.stacks.map(effect.value));
      continue;
    }
    const what = nameOf(effect);
    const before = what === "" ? null : valueOf(run, effect, decisions);
    applyEffects(run, [effect], decisions);
    if (what !== "")
      trace.effect({ rule: held.nameOf(effect.rule), phase: run.phase, what, before: cut(before), after: cut(valueOf(run, effect, decisions)), place });
    place = "";
  }
}

/** The first place in a mapped stack. */
export function placeOf(stack: string): string {
  return /^\s*at (?:.*\()?([^()\s]+:\d+:\d+)\)?$/m.exec(stack)?.[1] ?? "";
}

/** "" for what changes nothing that anybody sees. */
function nameOf({ kind, name }: CheckedEffect): string {
  switch (kind) {
    case Effect.SET_FIELD:
    case Effect.APPEND_FIELD:
    case Effect.DELETE_FIELD:
      return `header ${name}`;
    case Effect.TARGET:
      return "target";
    case Effect.METHOD:
      return "method";
    case Effect.UPSTREAM:
      return "upstream";
    case Effect.PIN_TARGET:
      return "pinned target";
    case Effect.STATUS:
      return "status";
    case Effect.BODY:
      return "body";
    case Effect.RESPOND:
      return "answer";
    case Effect.STATE:
      return "ctx.state";
    case Effect.CACHE_KEY:
      return "cache key";
    case Effect.CACHE:
      return "cache";
    case Effect.HTML:
      return "HTML edit";
    default:
      return "";
  }
}

/** As it stands now. */
function valueOf(run: HookRun, { kind, name, rule, value }: CheckedEffect, decisions: Decisions): string | null {
  switch (kind) {
    case Effect.SET_FIELD:
    case Effect.APPEND_FIELD:
    case Effect.DELETE_FIELD:
      return (run.response ?? run.request).fields.joined(name) ?? null;
    case Effect.TARGET:
      return run.request.target;
    case Effect.METHOD:
      return run.request.method;
    case Effect.UPSTREAM:
      return decisions.upstream || null;
    case Effect.PIN_TARGET:
      return decisions.pinnedTarget || null;
    case Effect.STATUS:
      return run.response === null ? null : String(run.response.status);
    case Effect.BODY:
      return decisions.body === null ? null : `${decisions.body.length} bytes`;
    case Effect.RESPOND:
      return decisions.answer === null ? null : `${decisions.answer.status}, ${decisions.answer.body.length} bytes`;
    case Effect.STATE:
      return run.exchange.state.get(rule) ?? null;
    default:
      return value;
  }
}

function cut(text: string | null): string | null {
  return text === null || text.length <= SHOWN_UNITS ? text : `${text.slice(0, SHOWN_UNITS)}…`;
}
