/** Every hook run from asking to outcome: cut into hook calls, sent, finished, failed, and run again when its sandbox died. */
import type { Clock } from "../clock.ts";
import { GatewayError } from "../errors.ts";
import { applyEffects, tellNotes } from "./apply-effects.ts";
import { CodecError } from "./codec.ts";
import { cpuOf, finishOf, Outcome, type DoneRecord } from "./done.ts";
import { readEffects, TAIL_LEGAL } from "./effects.ts";
import { errorOf, failureFrom, type Failure } from "./failures.ts";
import type { HeldRelease } from "./held-release.ts";
import { cancelRecord } from "./hook-text.ts";
import { Losses } from "./losses.ts";
import type { Pair } from "./pair.ts";
import type { Death, ProcessEvents, SandboxProcess } from "./sandbox-process.ts";
import type { HookOutcome, HookRun, SandboxOptions } from "./sandbox.ts";
import { RememberedOutcomes } from "./remembered-outcomes.ts";
import { seedSource } from "./seeds.ts";
import { PendingRun, Segment } from "./segment.ts";
import { ServiceCalls } from "./service-calls.ts";
import { applyTraced } from "./trace.ts";
import { Trials } from "./trials.ts";

/** How long a hook may wait for a sandbox before `onFailure` answers: a cold start under load, twice. */
const SANDBOX_WAIT_MS = 5000;
/** A rule that fails closed always has this much, even when rules that fail open have used up the exchange's wall time. */
const WALL_FLOOR_MS = 1000;

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
  readonly #losses: Losses;
  readonly #remembered: RememberedOutcomes;
  readonly #newSeed: () => string;
  #nextNumber = 1;
  #outstanding = 0;
  /** Hook calls for which no sandbox is ready. */
  #waiting: Segment[] = [];
  #closed = false;

  constructor(given: RunsOptions) {
    this.#given = given;
    this.#options = given.options;
    this.#clock = given.clock;
    this.#pair = given.pair;
    this.#remembered = new RememberedOutcomes(given.options);
    this.#newSeed = given.options.newSeed ?? seedSource();
    const stem = `${this.#newSeed().slice(0, 12)}.${Math.floor(given.options.now()).toString(36)}.`;
    this.#calls = new ServiceCalls(
      given.options,
      stem,
      (segment, rule) => this.#cutOff(segment, rule, { kind: "calls", message: "it made more service calls than one hook may", stack: "" }),
      given.clock,
    );
    this.#losses = new Losses({
      events: given.options.events,
      dispatch: (segment) => this.#dispatch(segment),
      accuse: (segments) => this.#accuse(segments),
      end: (segment, rule, failure) => this.#end(segment, rule, failure),
      giveUp: (segment, reason) => this.#giveUp(segment, reason),
    });
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
      this.#next(new PendingRun(run, held, run.extra, resolve), null);
    });
  }

  recall(run: HookRun, held: HeldRelease): HookOutcome | null {
    return this.#remembered.recall(run, held);
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
      for (const segment of process.calls.list()) {
        if (nowMs - segment.sinceMs <= segment.budgetMs) continue;
        const rule = segment.rules.includes(segment.lastCaller) ? segment.lastCaller : segment.rules[0]!;
        this.#cutOff(segment, rule, {
          kind: "wall",
          message: `it took longer than the ${Math.round(segment.budgetMs)} ms that its exchange had left for rules`,
          stack: "",
        });
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
        } else if (segment !== null) this.#done(segment, process, tail, { outcome, by, failure, cpu, effects });
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
      lost: (call, guilt, failure) => {
        const segment = this.#find(process, call);
        if (segment === null) return;
        const wasTried = process.alone === segment;
        this.#losses.hookLost(process, segment, guilt, failure);
        if (wasTried) this.#endTrial(process);
      },
      isolateLost: (release, reason) => this.#losses.isolateLost(process, release, reason),
      loaded: (_, release) => {
        this.#losses.isolateStands(process, release);
        this.pump();
      },
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
    this.#losses.processDied(process, death);
    this.pump();
  }

  // One run, hook call by hook call.

  #next(pending: PendingRun, trial: SandboxProcess | null): void {
    const { run, held } = pending;
    while (pending.at < run.rules.length) {
      const rule = run.rules[pending.at]!;
      const budgetMs = this.#budgetMs(run, held, rule);
      const refusal = this.#closed
        ? unavailable("the gateway is closing")
        : held.offences.isQuarantined(rule)
          ? quarantined(held.nameOf(rule))
          : budgetMs <= 0
            ? wallUsed(held.nameOf(rule))
            : null;
      if (refusal !== null) {
        if (this.#failed(pending, rule, refusal, { kind: kindOf(refusal), message: refusal.detail, stack: "" })) return;
        pending.at++;
        continue;
      }
      const to = pending.at < pending.suspectTo ? pending.at + 1 : held.segmentEnd(run.rules, pending.at);
      let clockMs = Math.floor(this.#options.now());
      let seed = this.#newSeed();
      const { witness } = run.exchange;
      if (witness) ({ clockMs, seed } = witness.drawn(run.phase, clockMs, seed));
      const segment = new Segment(this.#nextNumber++, pending, to, clockMs, seed, budgetMs);
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
    process.calls.add(segment);
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

  #done(segment: Segment, process: SandboxProcess, tail: boolean, record: DoneRecord): void {
    const { pending } = segment;
    const { run, held } = pending;
    const { outcome, by, cpu } = record;
    const finish = finishOf(segment, record, this.#options.limits.crossingBytes);
    this.#leave(segment, process, tail);
    if (!tail) this.#remembered.learn(segment, record, finish);
    tellNotes(finish.told, run, this.#options.events);
    if (run.exchange.trace) applyTraced(run, held, finish.counted, pending, run.exchange.trace);
    else applyEffects(run, finish.counted, pending);
    for (const rule of finish.rules) {
      held.finished[rule]!++;
      const refusal = finish.refused?.get(rule);
      const cpuUs = cpuOf(cpu, rule);
      if (refusal === undefined && (rule !== by || outcome !== Outcome.FAILURE)) {
        this.#told(pending, rule, cpuUs, rule === by && outcome === Outcome.ANSWER ? "answer" : "next", null);
        continue;
      }
      const failure =
        refusal === undefined ? segment.refinedFailure(failureFrom(record.failure, held)) : { kind: "effect", message: refusal.detail, stack: "" };
      if (!this.#failed(pending, rule, refusal ?? errorOf(failure, held.nameOf(rule)), failure, cpuUs)) continue;
      this.#afterTrial(process, segment);
      return;
    }
    if (pending.answer !== null) this.#settle(pending, null, held.nameOf(by));
    else {
      pending.at = segment.from + finish.ran;
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
      segment.elements?.rests();
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
    pending.resolve({
      upstream: pending.upstream,
      pinnedTarget: pending.pinnedTarget,
      body: pending.body,
      answer: failure === null ? pending.answer : null,
      failure,
      rule,
    });
  }

  #released(held: HeldRelease): void {
    held.running--;
    if (held.leaving && held.running === 0) this.#given.ended(held);
  }

  // Failures.

  /** True when the run ends with it; false: the rule is passed over. */
  #failed(pending: PendingRun, rule: number, error: GatewayError, failure: Failure, cpuUs = 0): boolean {
    const { held, run } = pending;
    const open = held.failsOpen(rule);
    // Whoever was stopped from outside has no stack; its hook is the line to look at.
    const place = failure.stack === "" ? (held.hookPlaces(rule)[run.phase] ?? "") : "";
    const located = place === "" ? failure : { ...failure, stack: `${failure.message}\n    at ${run.phase} (${place})` };
    this.#told(pending, rule, cpuUs, open ? "failed-open" : "failed-closed", located);
    if (!open)
      this.#settle(pending, place === "" ? error : new GatewayError(error.code, `${error.detail} (at ${place})`, { cause: error.cause }), held.nameOf(rule));
    return !open;
  }

  #told(pending: PendingRun, rule: number, cpuUs: number, outcome: "next" | "answer" | "failed-closed" | "failed-open", failure: Failure | null): void {
    const { held, run } = pending;
    this.#options.events.hook({ rule: held.nameOf(rule), release: held.release.id, phase: run.phase, cpuUs, outcome, failure, exchange: run.exchange.id });
  }

  /** The hook call is not waited for any more. All its rules have one word on failure, so it need not be known how far it came. */
  #cutOff(segment: Segment, rule: number, failure: Failure): void {
    const { process, pending } = segment;
    process?.calls.delete(segment.number);
    process?.tell(cancelRecord(segment.number));
    if (!segment.tail || segment.elements?.busy === true) pending.run.exchange.ruleWallMs += this.#clock.now() - segment.sinceMs;
    this.#end(segment, rule, failure);
    if (process !== null) this.#afterTrial(process, segment);
  }

  /** Ends a hook call with a failure of `rule`; the rules after it go on when it is passed over. */
  #end(segment: Segment, rule: number, failure: Failure, error = errorOf(failure, segment.pending.held.nameOf(rule))): void {
    const { pending } = segment;
    if (segment.tail) segment.elements?.fail(rule, failure, error);
    segment.close();
    if (segment.tail && segment.elements !== null) {
      this.#released(pending.held);
      return;
    }
    if (segment.tail) {
      const { held, run } = pending;
      this.#options.events.log({
        rule: held.nameOf(rule),
        release: held.release.id,
        level: "error",
        text: `waitUntil: ${error.detail}`,
        exchange: run.exchange.id,
      });
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

  #endTrial(process: SandboxProcess): void {
    process.release();
    this.pump();
  }
  #afterTrial(process: SandboxProcess, segment: Segment): void {
    if (process.alone === segment) this.#endTrial(process);
  }
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
