/** Every hook run from asking to outcome: cut into hook calls, sent, finished, failed, and run again when its sandbox died. */
import type { Clock } from "../clock.ts";
import { GatewayError } from "../errors.ts";
import { applyEffects, roomFault, tellNotes } from "./apply-effects.ts";
import { CodecError } from "./codec.ts";
import { isNote, legalIn, readEffects, TAIL_LEGAL, type CheckedEffects } from "./effects.ts";
import { errorOf, failureByDeath, failureFrom, type Failure } from "./failures.ts";
import type { HeldRelease } from "./held-release.ts";
import { cancelRecord } from "./hook-text.ts";
import type { Pair } from "./pair.ts";
import { Effect } from "./protocol.ts";
import type { Death, ProcessEvents, SandboxProcess } from "./sandbox-process.ts";
import type { HookOutcome, HookRun, SandboxOptions } from "./sandbox.ts";
import { PendingRun, Segment } from "./segment.ts";
import { ServiceCalls } from "./service-calls.ts";
import { Trials } from "./trials.ts";

/** How long a hook may wait for a sandbox before `onFailure` answers: a cold start under load, twice. */
export const SANDBOX_WAIT_MS = 5000;
/** A rule that fails closed always has this much, even when rules that fail open have used up the exchange's wall time. */
const WALL_FLOOR_MS = 1000;
/** Times that a hook call is run again after its isolate vanished with nobody to blame. */
const MAX_LOSSES = 5;
/** In STRAY: no rule is known. */
const UINT32 = 0x1_0000_0000;

export interface RunsOptions {
  readonly options: SandboxOptions;
  readonly clock: Clock;
  readonly pair: Pair;
  /** Work was sent: time counts. */
  watch(): void;
  /** The last hook of a release that is given up has ended. */
  ended(held: HeldRelease): void;
}

export class Runs {
  readonly #options: SandboxOptions;
  readonly #clock: Clock;
  readonly #pair: Pair;
  readonly #given: RunsOptions;
  readonly #calls: ServiceCalls;
  readonly #trials: Trials;
  readonly #random: () => number;
  #nextNumber = 1;
  #outstanding = 0;
  /** Hook calls for which no sandbox is ready. */
  #waiting: Segment[] = [];
  /** Hook calls of lost isolates, until the isolates stand again. */
  #lost: { readonly process: SandboxProcess; readonly segment: Segment; readonly suspect: boolean }[] = [];
  /** Isolates (process and release) whose loss has been explained. */
  #explained = new Map<SandboxProcess, Set<number>>();
  #closed = false;

  constructor(given: RunsOptions) {
    this.#given = given;
    this.#options = given.options;
    this.#clock = given.clock;
    this.#pair = given.pair;
    this.#random = given.options.random ?? Math.random;
    const stem = `${Math.floor(this.#random() * UINT32).toString(36)}.${Math.floor(given.options.now()).toString(36)}.`;
    this.#calls = new ServiceCalls(given.options, stem, (segment, rule) => this.#cutOff(segment, rule, { kind: "calls", message: "it made more service calls than one hook may", stack: "" }));
    const pair = given.pair;
    this.#trials = new Trials({
      get active() {
        return pair.active;
      },
      get spare() {
        return pair.spare;
      },
      send: (segment, process) => this.#send(segment, process),
    });
  }

  get outstanding(): number {
    return this.#outstanding;
  }
  get waits(): boolean {
    return this.#waiting.length > 0 || this.#trials.queue.length > 0;
  }

  run(run: HookRun, held: HeldRelease): Promise<HookOutcome> {
    return new Promise((resolve) => {
      held.running++;
      this.#outstanding++;
      this.#next(new PendingRun(run, held, run.extraText ?? JSON.stringify(run.extra), resolve), null);
    });
  }

  /** Sandboxes may be there now for those who wait. */
  pump(): void {
    this.#trials.next();
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const segment of waiting) this.#dispatch(segment);
  }

  /** Ends what has waited or run too long. */
  sweep(nowMs: number): void {
    for (const process of [this.#pair.active, this.#pair.spare]) {
      if (process === null) continue;
      for (const segment of process.calls.values()) {
        if (nowMs - segment.sinceMs <= segment.budgetMs) continue;
        const rule = segment.rules.includes(segment.lastCaller) ? segment.lastCaller : segment.rules[0]!;
        this.#cutOff(segment, rule, { kind: "wall", message: `it took longer than the ${Math.round(segment.budgetMs)} ms that its exchange had left for rules`, stack: "" });
      }
    }
    const late = [...this.#waiting, ...this.#trials.queue].filter((segment) => nowMs - segment.sinceMs > SANDBOX_WAIT_MS);
    for (const segment of late) this.#giveUp(segment, `no sandbox was ready within ${SANDBOX_WAIT_MS} ms`);
  }

  close(): void {
    this.#closed = true;
    for (const segment of [...this.#waiting, ...this.#trials.queue]) this.#giveUp(segment, "the gateway is closing");
  }

  /** The receiver of one process's records about hook calls. */
  events(process: SandboxProcess): Omit<ProcessEvents, "died" | "stray"> {
    return {
      call: (call, callNo, rule, service, args) => {
        const segment = this.#find(process, call);
        if (segment !== null) this.#calls.take(process, segment, callNo, rule, service, args);
      },
      done: (call, tail, outcome, by, failure, cpu, effects) => {
        const segment = this.#find(process, call);
        if (segment?.tail === true) {
          // A re-run for the sake of its waitUntil work: what the hook did counted the first time.
          if (!tail) this.#endTail(segment, process);
        } else if (segment !== null) this.#done(segment, process, tail, outcome, by, failure, cpu, effects);
      },
      tail: (call, effects) => {
        const segment = this.#find(process, call);
        if (segment === null) return;
        const { pending } = segment;
        const checked = readEffects(effects, { legal: TAIL_LEGAL, rules: segment.rules, crossingBytes: this.#options.limits.crossingBytes });
        if (!segment.tail) throw new CodecError("TAIL of a hook that is not done");
        tellNotes(checked.list, pending.run, this.#options.events);
        this.#endTail(segment, process);
      },
      lost: (call, guilty, failure) => {
        const segment = this.#find(process, call);
        if (segment !== null) this.#isolateTook(segment, process, guilty, failure);
      },
      isolateLost: (release, reason) => {
        this.#options.events.sandbox({ event: "isolate-lost", by: "sluice", reason: reason.slice(0, 500), rule: "", pid: process.pid });
        this.#explained.get(process)?.delete(release);
      },
      loaded: (_, release) => this.#isolateStands(process, release),
      pong: () => {
        const tried = process.alone;
        if (tried === null || process.mayRun(tried)) return;
        // At rest with its hook waiting for something: it has done no harm.
        this.#endTrial(process);
      },
    };
  }

  /** The process is gone; the pair has put the spare in its place. */
  died(process: SandboxProcess, death: Death): void {
    const orphans = [...process.calls.values()];
    process.calls.clear();
    this.#explained.delete(process);
    const lost = this.#lost.filter((entry) => entry.process === process);
    this.#lost = this.#lost.filter((entry) => entry.process !== process);
    const suspects = death.by === "outside" || death.cause === "closing" ? [] : orphans.filter((segment) => process.mayRun(segment));
    const others = [...orphans.filter((segment) => !suspects.includes(segment)), ...lost.map((entry) => entry.segment)];
    const tried = process.alone;
    process.alone = null;
    for (const segment of others) segment.process = null;
    if (tried !== null && others.includes(tried)) this.#accuse([tried]);
    this.#judge(suspects, failureByDeath(death));
    for (const segment of others) if (segment !== tried) this.#dispatch(segment);
    this.pump();
  }

  // One run, hook call by hook call.

  #next(pending: PendingRun, trial: SandboxProcess | null): void {
    const { run, held } = pending;
    while (pending.at < run.rules.length) {
      const rule = run.rules[pending.at]!;
      const budgetMs = this.#budgetMs(run, held, rule);
      const refusal = this.#closed ? unavailable("the gateway is closing") : held.offences.isQuarantined(rule) ? quarantined(held.nameOf(rule)) : budgetMs <= 0 ? wallUsed(held.nameOf(rule)) : null;
      if (refusal !== null) {
        if (this.#failed(pending, rule, refusal, { kind: kindOf(refusal), message: refusal.detail, stack: "" })) return;
        pending.at++;
        continue;
      }
      const to = pending.at < pending.suspectTo ? pending.at + 1 : held.segmentEnd(run.rules, pending.at);
      const segment = new Segment(this.#nextNumber++, pending, to, Math.floor(this.#options.now()), Math.floor(this.#random() * UINT32) >>> 0, budgetMs);
      segment.write(this.#options.limits.ruleCpuMs);
      if (trial !== null && pending.at < pending.suspectTo) {
        trial.alone = segment;
        this.#send(segment, trial);
      } else this.#dispatch(segment);
      return;
    }
    this.#settle(pending, null, "");
  }

  #budgetMs(run: HookRun, held: HeldRelease, rule: number): number {
    const { ruleWallMs } = this.#options.limits;
    const left = ruleWallMs - run.exchange.ruleWallMs;
    return held.failsOpen(rule) && run.phase !== "onComplete" ? left : Math.max(left, Math.min(WALL_FLOOR_MS, ruleWallMs));
  }

  #dispatch(segment: Segment): void {
    const process = this.#pair.active;
    if (this.#closed) this.#giveUp(segment, "the gateway is closing");
    else if (process !== null && process.alone === null && process.stands(segment.pending.held.number)) this.#send(segment, process);
    else {
      segment.sinceMs = this.#clock.now();
      this.#waiting.push(segment);
      this.#given.watch();
    }
  }

  #send(segment: Segment, process: SandboxProcess): void {
    segment.process = process;
    segment.sinceMs = this.#clock.now();
    segment.lastCallNo = 0;
    segment.journal?.restart();
    if (!process.busy) process.rest();
    process.calls.set(segment.number, segment);
    process.send(segment, segment.text);
    this.#given.watch();
  }

  #find(process: SandboxProcess, call: number): Segment | null {
    const segment = process.calls.get(call);
    if (segment !== undefined) return segment;
    // One that was cut off may still answer; one that was never sent cannot.
    if (call >= this.#nextNumber) throw new CodecError(`hook call ${call} was never made`);
    return null;
  }

  #done(segment: Segment, process: SandboxProcess, tail: boolean, outcome: number, by: number, failureJson: string, cpu: readonly number[], effects: string): void {
    const { pending } = segment;
    const { run, held } = pending;
    const { rules } = segment;
    const checked = readEffects(effects, { legal: legalIn(run.phase, run.response), rules, crossingBytes: this.#options.limits.crossingBytes });
    expectWholeDone(rules, outcome, by, checked);
    // Nothing above has changed anything; nothing below can find the process at fault.
    this.#leave(segment, process, tail);
    tellNotes(checked.list, run, this.#options.events);
    const ran = outcome === 0 ? rules.length : rules.indexOf(by) + 1;
    const room = roomFault(run, checked.list);
    let refused = checked.refused;
    if (room !== null) refused = new Map([[checked.list.findLast((effect) => !isNote(effect.kind))!.rule, room]]);
    const firstRefused = refused === null ? -1 : rules.findIndex((rule) => refused.has(rule));
    const closedAt = firstRefused >= 0 && !held.failsOpen(rules[firstRefused]!) ? firstRefused : -1;
    const counted = refused === null ? checked.list : checked.list.filter((effect) => !refused.has(effect.rule) && (closedAt < 0 || rules.indexOf(effect.rule) < closedAt));
    applyEffects(run, counted, pending);
    for (let i = 0; i < (closedAt < 0 ? ran : closedAt + 1); i++) {
      const rule = rules[i]!;
      held.finished[rule]!++;
      const refusal = refused?.get(rule);
      const failure = refusal !== undefined ? { kind: "effect", message: refusal.detail, stack: "" } : outcome === 2 && rule === by ? failureFrom(failureJson, held) : null;
      if (failure === null) this.#told(pending, rule, cpuOf(cpu, rule), outcome === 1 && rule === by ? "answer" : "next", null);
      else if (this.#failed(pending, rule, refusal ?? errorOf(failure, held.nameOf(rule)), failure, cpuOf(cpu, rule))) return this.#afterTrial(process, segment);
    }
    if (pending.answer !== null) this.#settle(pending, null, held.nameOf(by));
    else {
      pending.at = segment.from + ran;
      this.#next(pending, process.alone === segment ? process : null);
    }
    this.#afterTrial(process, segment);
  }

  /** Its answer has come: it is off the process's books, but for its `waitUntil` work. */
  #leave(segment: Segment, process: SandboxProcess, tail: boolean): void {
    const now = this.#clock.now();
    segment.pending.run.exchange.ruleWallMs += now - segment.sinceMs;
    if (tail) {
      segment.tail = true;
      segment.sinceMs = now;
      segment.budgetMs = this.#options.limits.ruleWallMs;
      segment.sentAs = 0;
      segment.pending.held.running++;
      return;
    }
    process.calls.delete(segment.number);
    segment.close();
  }

  #endTail(segment: Segment, process: SandboxProcess): void {
    process.calls.delete(segment.number);
    segment.close();
    this.#released(segment.pending.held);
    this.#afterTrial(process, segment);
  }

  #settle(pending: PendingRun, failure: GatewayError | null, rule: string): void {
    this.#outstanding--;
    this.#released(pending.held);
    pending.resolve({ upstream: pending.upstream, pinnedTarget: pending.pinnedTarget, body: pending.body, answer: failure === null ? pending.answer : null, failure, rule });
  }

  #released(held: HeldRelease): void {
    held.running--;
    if (held.leaving && held.running === 0) this.#given.ended(held);
  }

  // Failures.

  /** True when the run ends with it; false: the rule is passed over. */
  #failed(pending: PendingRun, rule: number, error: GatewayError, failure: Failure, cpuUs = 0): boolean {
    const open = pending.held.failsOpen(rule);
    this.#told(pending, rule, cpuUs, open ? "failed-open" : "failed-closed", failure);
    if (!open) this.#settle(pending, error, pending.held.nameOf(rule));
    return !open;
  }

  #told(pending: PendingRun, rule: number, cpuUs: number, outcome: "next" | "answer" | "failed-closed" | "failed-open", failure: Failure | null): void {
    this.#options.events.hook({ rule: pending.held.nameOf(rule), phase: pending.run.phase, cpuUs, outcome, failure, exchange: pending.run.exchange.id });
  }

  /** The hook call is not waited for any more. All its rules have one word on failure, so it need not be known how far it came. */
  #cutOff(segment: Segment, rule: number, failure: Failure): void {
    const { process, pending } = segment;
    process?.calls.delete(segment.number);
    process?.tell(cancelRecord(segment.number));
    if (!segment.tail) pending.run.exchange.ruleWallMs += this.#clock.now() - segment.sinceMs;
    this.#end(segment, rule, failure);
    if (process !== null) this.#afterTrial(process, segment);
  }

  /** Ends a hook call with a failure of `rule`; the rules after it go on when it is passed over. */
  #end(segment: Segment, rule: number, failure: Failure, error = errorOf(failure, segment.pending.held.nameOf(rule))): void {
    const { pending } = segment;
    segment.close();
    if (segment.tail) {
      this.#options.events.log({ rule: pending.held.nameOf(rule), level: "error", text: `waitUntil: ${error.detail}`, exchange: pending.run.exchange.id });
      this.#released(pending.held);
      return;
    }
    if (this.#failed(pending, rule, error, failure)) return;
    pending.at = segment.to;
    this.#next(pending, null);
  }

  #giveUp(segment: Segment, reason: string): void {
    this.#waiting = this.#waiting.filter((other) => other !== segment);
    this.#trials.withdraw(segment);
    this.#end(segment, segment.rules[0]!, { kind: "lost", message: reason, stack: "" }, unavailable(reason));
  }

  // Lost sandboxes and isolates.

  #isolateTook(segment: Segment, process: SandboxProcess, guilty: boolean, failureJson: string): void {
    const { held } = segment.pending;
    const suspect = process.mayRun(segment);
    process.calls.delete(segment.number);
    segment.process = null;
    const wasTried = process.alone === segment;
    if (guilty) {
      let explained = this.#explained.get(process);
      if (explained === undefined) this.#explained.set(process, (explained = new Set()));
      explained.add(held.number);
      const failure = failureFrom(failureJson, held);
      this.#convict(segment, segment.rules.includes(failure.rule) ? failure.rule : segment.rules[0]!, failure);
    } else if (++segment.losses > MAX_LOSSES) this.#end(segment, segment.rules[0]!, { kind: "lost", message: "its isolate was lost too often", stack: "" }, unavailable("its isolate was lost too often"));
    else this.#lost.push({ process, segment, suspect });
    if (wasTried) this.#endTrial(process);
  }

  #isolateStands(process: SandboxProcess, release: number): void {
    const back = this.#lost.filter((entry) => entry.process === process && entry.segment.pending.held.number === release);
    if (back.length > 0) {
      this.#lost = this.#lost.filter((entry) => !back.includes(entry));
      const explained = this.#explained.get(process)?.delete(release) === true;
      const suspects = explained ? [] : back.filter((entry) => entry.suspect).map((entry) => entry.segment);
      for (const { segment } of back) if (!suspects.includes(segment)) this.#dispatch(segment);
      this.#judge(suspects, { kind: "memory", message: "it was alone in an isolate that was lost twice", stack: "" });
    }
    this.pump();
  }

  /** These may have done it. One who was alone twice has. */
  #judge(suspects: readonly Segment[], failure: Failure): void {
    const [only] = suspects;
    if (only === undefined) return;
    for (const segment of suspects) segment.process = null;
    if (suspects.length === 1 && (only.to - only.from === 1 || only.tail)) only.aloneDeaths++;
    if (only.aloneDeaths >= 2) this.#convict(only, only.rules[0]!, failure);
    else this.#accuse(suspects);
  }

  /** From here on they run alone and rule by rule, so that the next death names one. */
  #accuse(suspects: readonly Segment[]): void {
    for (const segment of suspects) {
      segment.sinceMs = this.#clock.now();
      if (segment.tail || segment.to - segment.from === 1) continue;
      segment.pending.suspectTo = Math.max(segment.pending.suspectTo, segment.to);
      segment.to = segment.from + 1;
      segment.write(this.#options.limits.ruleCpuMs);
    }
    this.#trials.accuse(suspects);
    this.#given.watch();
  }

  #convict(segment: Segment, rule: number, failure: Failure): void {
    const { held } = segment.pending;
    if (held.offences.offend(rule)) this.#options.events.sandbox({ event: "quarantined", by: "sluice", reason: failure.message, rule: held.nameOf(rule), pid: 0 });
    this.#end(segment, rule, failure);
  }

  #endTrial(process: SandboxProcess): void {
    process.release();
    this.pump();
  }
  #afterTrial(process: SandboxProcess, segment: Segment): void {
    if (process.alone === segment) this.#endTrial(process);
  }
}

/** What an honest process never says: then it is broken, and nothing of the record counts. */
function expectWholeDone(rules: readonly number[], outcome: number, by: number, checked: CheckedEffects): void {
  if (outcome > 2) throw new CodecError(`outcome ${outcome}`);
  if (outcome !== 0 && !rules.includes(by)) throw new CodecError(`an outcome by rule ${by}, which did not run`);
  const answers = checked.list.filter((effect) => effect.kind === Effect.RESPOND);
  const answered = answers.length === 1 && answers[0]!.rule === by;
  if (outcome === 1 ? !answered && checked.refused?.has(by) !== true : answers.length > 0) throw new CodecError("an answer and an outcome that do not go together");
  const last = outcome === 0 ? rules.length - 1 : rules.indexOf(by);
  for (const { rule, kind } of checked.list) {
    const at = rules.indexOf(rule);
    if (at > last || (outcome === 2 && at === last && !isNote(kind))) throw new CodecError(`an effect of rule ${rule}, which did not finish`);
  }
}

function cpuOf(cpu: readonly number[], rule: number): number {
  for (let i = 0; i < cpu.length; i += 2) if (cpu[i] === rule) return cpu[i + 1]!;
  return 0;
}

function unavailable(reason: string): GatewayError {
  return new GatewayError("SANDBOX_UNAVAILABLE", reason);
}
function quarantined(rule: string): GatewayError {
  return new GatewayError("RULE_QUARANTINED", `${rule} has ended its sandbox repeatedly`);
}
function wallUsed(rule: string): GatewayError {
  return new GatewayError("RULE_WALL", `${rule}: the exchange's wall time for rules was used up before its turn`);
}
function kindOf(error: GatewayError): string {
  return error.code === "RULE_QUARANTINED" ? "quarantined" : error.code === "RULE_WALL" ? "wall" : "lost";
}
