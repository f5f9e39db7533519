/** What is under way: a run as the caller asked for it, and the hook calls it is cut into. */
import type { Decisions } from "./apply-effects.ts";
import type { GatewayError } from "../errors.ts";
import type { SegmentElements } from "./element-port.ts";
import { kindOfRefusal, type Failure } from "./failures.ts";
import type { HeldRelease } from "./held-release.ts";
import { hookRecord, str } from "./hook-text.ts";
import type { Journal } from "./journal.ts";
import type { SandboxProcess } from "./sandbox-process.ts";
import type { Params } from "../proxy/match/match.ts";
import type { HookOutcome, HookRun } from "./sandbox.ts";

export class PendingRun implements Decisions {
  readonly run: HookRun;
  readonly held: HeldRelease;
  readonly resolve: (outcome: HookOutcome) => void;
  readonly extra: string;
  /** Position in `run.rules` of the next rule. */
  at = 0;
  /** Positions below this are run one rule at a time and alone: their hook call was in a sandbox that died. */
  suspectTo = 0;
  upstream = "";
  pinnedTarget = "";
  body: Buffer | null = null;
  answer: HookOutcome["answer"] = null;

  constructor(run: HookRun, held: HeldRelease, extra: string, resolve: (outcome: HookOutcome) => void) {
    this.run = run;
    this.held = held;
    this.extra = extra;
    this.resolve = resolve;
  }
}

// Path groups are visible ASCII but for the rarest: three times as fast as JSON.stringify.
const NEEDS_ESCAPE = /[^ !#-[\]-~]/;

function jsonOf(params: Params): string {
  let text = "";
  for (const name in params) {
    const value = params[name]!;
    text += `${text === "" ? "{" : ","}"${name}":${NEEDS_ESCAPE.test(value) ? JSON.stringify(value) : `"${value}"`}`;
  }
  return text === "" ? "{}" : `${text}}`;
}

/** One hook call: consecutive rules of one context. Its text, clock and seed stay the same in every sandbox that it is sent to. */
export class Segment {
  readonly number: number;
  readonly pending: PendingRun;
  readonly from: number;
  readonly clockMs: number;
  readonly seed: string;
  /** Wall time it may take. */
  budgetMs: number;
  to: number;
  text = "";
  process: SandboxProcess | null = null;
  /** Kept by `SandboxProcess.send`. */
  sentAs = 0;
  /** When it was sent, or began to wait for a sandbox. */
  sinceMs = 0;
  journal: Journal | null = null;
  /** Number of the last CALL in this attempt, and its rule. */
  lastCallNo = 0;
  lastCaller = -1;
  controller: AbortController | null = null;
  /** Calls that were refused, as the rule was told: `fetch` wraps its errors, and the reason would be lost. */
  refusals: GatewayError[] | null = null;
  /** Its element callbacks, once it asks for elements. */
  elements: SegmentElements | null = null;
  /** Answered; only its `waitUntil` work, or its element callbacks, go on. */
  tail = false;
  /** Nobody waits for it any more. */
  over = false;
  /** Deaths at which it ran alone. */
  aloneDeaths = 0;
  /** Times that its isolate vanished without anyone to blame. */
  losses = 0;

  constructor(number: number, pending: PendingRun, to: number, clockMs: number, seed: string, budgetMs: number) {
    this.number = number;
    this.pending = pending;
    this.from = pending.at;
    this.to = to;
    this.clockMs = clockMs;
    this.seed = seed;
    this.budgetMs = budgetMs;
  }

  get rules(): readonly number[] {
    const { rules } = this.pending.run;
    return this.from === 0 && this.to === rules.length ? rules : rules.slice(this.from, this.to);
  }

  /** Written once, when the views are as this hook call shall see them; a re-run sends the same. */
  write(cpuMs: number): void {
    const { run, held, extra } = this.pending;
    const first = run.rules[this.from]!;
    const words = {
      call: this.number,
      release: held.number,
      context: held.contexts[first]!,
      phase: run.phase,
      clockMs: this.clockMs,
      seed: this.seed,
      cpuMs,
      request: run.request,
      response: run.response,
      extra,
    };
    let rules = `${this.to - this.from};`;
    const { state } = run.exchange;
    for (let i = this.from; i < this.to; i++) {
      const rule = run.rules[i]!;
      const params = run.params[i];
      const stateJson = state.get(rule);
      rules += `${rule};${params ? str(jsonOf(params)) : "0:"}${stateJson === undefined ? "0:" : str(stateJson)}`;
    }
    this.text = hookRecord(words, rules);
  }

  /** A throw that carries one of our refusals is that refusal. */
  refinedFailure<F extends Failure>(failure: F): F {
    const refusal = failure.kind === "threw" ? this.refusals?.find((error) => failure.message.includes(error.message)) : undefined;
    return refusal === undefined ? failure : { ...failure, kind: kindOfRefusal(refusal) };
  }

  /** Ends open service calls. */
  close(): void {
    this.over = true;
    this.controller?.abort();
    this.elements?.close();
  }
}
