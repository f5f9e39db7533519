/** Hook runs that are answered from what the release's memory knows (`recall.ts`), and outcomes that go into it. */
import { applyEffects, tellNotes } from "./apply-effects.ts";
import { type DoneRecord, type Finish, MAX_FIELDS, Outcome } from "./done.ts";
import { legalIn, readEffects } from "./effects.ts";
import type { HeldRelease } from "./held-release.ts";
import type { HookOutcome, HookRun, SandboxOptions } from "./sandbox.ts";
import type { Segment } from "./segment.ts";

export class RememberedOutcomes {
  readonly #options: SandboxOptions;

  constructor(options: SandboxOptions) {
    this.#options = options;
  }

  recall(run: HookRun, held: HeldRelease): HookOutcome | null {
    // Whoever wants to know what is decided, and where, sees it decided.
    if (run.exchange.trace) return null;
    const remembered = held.memoryOf(run.phase, run.rules)?.recall(run) ?? null;
    if (remembered === null) return null;
    const { effects, answeredBy, notes } = remembered;
    // A message with so many fields is looked at by `finishOf`.
    if ((run.response ?? run.request).fields.size + effects.length > MAX_FIELDS) return null;
    const decisions = { upstream: "", pinnedTarget: "", body: null, answer: null as HookOutcome["answer"] };
    if (notes) tellNotes(effects, run, this.#options.events);
    applyEffects(run, effects, decisions);
    for (const rule of run.rules) {
      const outcome = rule === answeredBy ? "answer" : "next";
      this.#options.events.hook({
        rule: held.nameOf(rule),
        release: held.release.id,
        phase: run.phase,
        cpuUs: 0,
        outcome,
        recalled: true,
        failure: null,
        exchange: run.exchange.id,
      });
      if (rule === answeredBy) break;
    }
    return { ...decisions, failure: null, rule: answeredBy < 0 ? "" : held.nameOf(answeredBy) };
  }

  /** Before the effects are applied: what was asked is still there to be compared. */
  learn(segment: Segment, record: DoneRecord, finish: Finish): void {
    const { run, held, at, suspectTo } = segment.pending;
    if (run.exchange.trace) return;
    if (at !== 0 || suspectTo > 0 || segment.to !== run.rules.length || finish.refused !== null || record.outcome === Outcome.FAILURE) return;
    const remembered = { effects: finish.counted, answeredBy: record.outcome === Outcome.ANSWER ? record.by : -1, text: record.effects };
    const bounds = { legal: legalIn(run.phase, run.response), rules: run.rules, crossingBytes: this.#options.limits.crossingBytes };
    if (held.memoryOf(run.phase, run.rules)?.learn(run, remembered, (text) => readEffects(text, bounds).list) !== false) return;
    const rule = held.nameOf(run.rules[0]!);
    this.#options.events.log({
      rule,
      release: held.release.id,
      level: "warn",
      text: `${run.phase} decided differently on the same request: what it decides is not remembered any more`,
      exchange: run.exchange.id,
    });
  }
}
