/**
 * One HOOK record: the rules of one phase of one exchange, one after the other. A rule that returns no promise costs none:
 * the straight path is synchronous; only what is awaited waits for a later entry.
 */
import { PHASES, type Phase } from "../../compile/release.ts";
import { str, type TextReader } from "../codec.ts";
import { Effect, FromSandbox, TRACED_EXTRA, type HookExtra, type RuleFailure } from "../protocol.ts";
import { answerOf, isFetchAnswer } from "./answer.ts";
import { RuleContext } from "./context.ts";
import { setCurrent } from "./current.ts";
import { answerElements } from "./element-calls.ts";
import { errorText, failureOf, withKind } from "./failure.ts";
import { answerByFetch } from "./fetch-handler.ts";
import { ResponseHead, RequestHead } from "./heads.ts";
import type { LoadedRule } from "./loaded-rule.ts";
import type { Meter } from "./meter.ts";
import { Read, Reads } from "./reads.ts";
import { RequestFacade } from "./request.ts";
import { ResponseFacade } from "./response.ts";
import { RuleRun } from "./rule-run.ts";

/** What a context gives its hook calls. */
export interface Realm {
  readonly meter: Meter;
  readonly rules: ReadonlyMap<number, LoadedRule>;
  /** Calls that await something, by number. */
  readonly waiting: Map<number, HookCall>;
  /** Appends records for the worker. */
  emit(text: string): void;
}

interface Waiter {
  readonly run: RuleRun;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

type Unsettled = Promise<unknown>;

const MAX_OPEN_CALLS = 256;
const REMEMBERED: ReadonlySet<Phase> = new Set(["onRequest", "onOriginRequest", "onOriginResponse", "onResponse"]);

export class HookCall {
  readonly number: number;
  readonly phase: Phase;
  readonly clockMs: number;
  readonly seed: string;
  readonly cpuMs: number;
  readonly request: RequestHead;
  readonly response: ResponseHead | null;
  /** What its rules asked for; null when one of them keeps state of its own: then nothing can be remembered. */
  reads: Reads | null = new Reads();
  /** The worker does not wait for it any more. */
  forgotten = false;
  readonly #realm: Realm;
  readonly #extraJson: string;
  #extra: HookExtra | null = null;
  readonly #runs: RuleRun[] = [];
  #effects = "";
  #callNo = 0;
  #waiters: Map<number, Waiter> | null = null;
  #finished = false;
  #tailing = false;

  /** Reads the fields of a HOOK record, the kind has been read. */
  constructor(realm: Realm, reader: TextReader) {
    this.#realm = realm;
    this.number = reader.num();
    reader.num();
    reader.num();
    this.cpuMs = reader.num();
    reader.enter();
    this.phase = PHASES[reader.num()]!;
    this.clockMs = reader.num();
    this.seed = reader.str();
    const requestText = reader.str();
    const responseText = reader.str();
    this.#extraJson = reader.str();
    const count = reader.num();
    for (let i = 0; i < count; i++) {
      const rule = realm.rules.get(reader.num());
      const paramsJson = reader.str();
      const stateJson = reader.str();
      if (rule !== undefined) this.#runs.push(new RuleRun(this, rule, paramsJson, stateJson));
      if (rule?.stateless !== true) this.reads = null;
    }
    this.request = new RequestHead(requestText, this.reads);
    this.response = responseText === "" ? null : new ResponseHead(responseText, this.reads);
  }

  /** Facts that no two exchanges share, or that the worker does not compare. */
  get extra(): HookExtra {
    this.reads?.note(Read.UNIQUE);
    return this.#facts;
  }
  /** Are the lines that make changes asked for? */
  get traces(): boolean {
    return this.#extraJson.endsWith(TRACED_EXTRA);
  }
  get from(): string {
    this.reads?.note(Read.FROM);
    return this.#facts.from ?? "upstream";
  }
  /** Which variant of an experiment the visitor sees; null: there is no such experiment. */
  variant(experiment: string): readonly [variant: string, isControl: boolean, isCounted: boolean] | null {
    const { experiments } = this.#facts;
    if (typeof experiment !== "string" || experiments === undefined || !Object.hasOwn(experiments, experiment)) return null;
    this.reads?.note(Read.EXPERIMENT + experiment);
    return experiments[experiment]!;
  }
  get #facts(): HookExtra {
    return (this.#extra ??= this.#extraJson === "" ? {} : (JSON.parse(this.#extraJson) as HookExtra));
  }

  /** False: none of its rules has ever waited in this phase, and each has run. */
  get mayWait(): boolean {
    return this.#runs.some(({ rule }) => rule.waits.get(this.phase) !== false);
  }

  /** True when all of it is over. False: it waits, and its microtasks must run before anything else does. */
  start(): boolean {
    const over = this.#continueFrom(0) && !this.#tailing;
    if (!over) this.#realm.waiting.set(this.number, this);
    for (const { rule, open } of this.#runs) {
      if (!over) rule.waits.set(this.phase, true);
      else if (!open && !rule.waits.has(this.phase)) rule.waits.set(this.phase, false);
    }
    return over;
  }

  /** REPLY. */
  reply(callNo: number, ok: boolean, json: string): void {
    const waiter = this.#waiters?.get(callNo);
    if (waiter === undefined) return;
    this.#waiters!.delete(callNo);
    this.#enter(waiter.run);
    if (ok) {
      waiter.resolve(JSON.parse(json));
      return;
    }
    const { message, kind } = JSON.parse(json) as { message: string; kind?: RuleFailure["kind"] };
    waiter.reject(withKind(new TypeError(message), kind ?? "threw"));
  }

  /** CANCEL: whatever still runs of it changes nothing. */
  forget(): void {
    this.forgotten = true;
    for (const run of this.#runs) run.open = false;
    this.#waiters = null;
    this.#realm.waiting.delete(this.number);
  }

  service(run: RuleRun, name: string, args: object): Promise<unknown> {
    this.reads?.note(Read.UNIQUE);
    if (this.forgotten || (!run.open && run.tails === 0))
      return Promise.reject(new TypeError(`${this.phase} is over: ${name} is not to be had any more; hand its promise to ctx.waitUntil`));
    const waiters = (this.#waiters ??= new Map());
    if (waiters.size >= MAX_OPEN_CALLS && name !== "elements")
      return Promise.reject(withKind(new RangeError(`at most ${MAX_OPEN_CALLS} calls may be open at once`), "calls"));
    const json = JSON.stringify(args);
    run.expectRoom(json.length, name);
    const callNo = ++this.#callNo;
    return new Promise((resolve, reject) => {
      waiters.set(callNo, { run, resolve, reject });
      this.#realm.emit(`${FromSandbox.CALL};${this.number};${callNo};${run.rule.index};${str(name)}${str(json)}`);
    });
  }

  waitUntil(run: RuleRun, work: unknown): void {
    run.expectOpen();
    run.tails++;
    const settled = (): void => {
      run.tails--;
      this.#tailEnd();
    };
    settle(
      work,
      () => settled(),
      (thrown) => {
        this.#enter(run);
        run.log("warn", `waitUntil: ${errorText(thrown).message}`);
        settled();
      },
    );
  }

  #continueFrom(first: number): boolean {
    const runs = this.#runs;
    for (let i = first; i < runs.length; i++) {
      const run = runs[i]!;
      this.#enter(run);
      try {
        const unsettled = this.#advance(run, this.#invoke(run));
        if (unsettled !== null) {
          this.#await(run, i, unsettled);
          return false;
        }
      } catch (thrown) {
        this.#fail(run, failureOf(thrown));
      }
      if (this.#finished) return true;
    }
    this.#finish(0, 0, "");
    return true;
  }

  #await(run: RuleRun, index: number, unsettled: Unsettled): void {
    const failed = (thrown: unknown): void => {
      if (this.forgotten) return;
      this.#enter(run);
      this.#fail(run, failureOf(thrown));
    };
    settle(
      unsettled,
      (value) => {
        if (this.forgotten) return;
        this.#enter(run);
        try {
          const further = this.#advance(run, value);
          if (further !== null) {
            this.#await(run, index, further);
            return;
          }
        } catch (thrown) {
          failed(thrown);
        }
        if (!this.#finished) this.#continueFrom(index + 1);
      },
      failed,
    );
  }

  #invoke(run: RuleRun): unknown {
    const hook = run.rule.hooks[this.phase] as ((...args: unknown[]) => unknown) | undefined;
    if (hook === undefined) return undefined;
    // Asked first: on frozen built-ins `splice` costs 0.4 µs.
    if (run.rule.earlyLogs.length > 0) for (const { level, text } of run.rule.earlyLogs.splice(0)) run.log(level, text);
    const req = new RequestFacade(run);
    const ctx = new RuleContext(run, req);
    switch (this.phase) {
      case "onRequest":
      case "onOriginRequest":
        return hook(req, ctx);
      case "onOriginResponse":
      case "onResponse":
        return hook(new ResponseFacade(run), req, ctx);
      case "onError":
        return hook(Object.freeze({ ...this.extra.error }), req, ctx);
      case "onComplete":
        return hook(Object.freeze({ ...this.extra.complete }), req, ctx);
    }
  }

  /** Takes what a hook returned. A promise comes back when there is more to wait for; null when the rule is over. */
  #advance(run: RuleRun, value: unknown): Unsettled | null {
    if (value !== undefined && value !== null) {
      if (isThenable(value)) return value as Unsettled;
      if (isFetchAnswer(value)) return answerByFetch(run, value.handler);
    }
    const answer = answerOf(run, value);
    // State is written last: its toJSON may still change things.
    const state = run.takeState();
    this.request.flushTarget(run);
    const effects =
      run.effects + run.takeReads() + run.takeNotes() + (state === null ? "" : `${Effect.STATE};${run.rule.index};${str(state)}`) + (answer ?? "");
    this.#realm.meter.end();
    this.#expectCpu(run);
    run.open = false;
    this.#effects += effects;
    if (answer !== null) this.#finish(1, run.rule.index, "");
    return null;
  }

  /** A hook that got by with a longer bound (`isolates.ts`) has still used more than its own. */
  #expectCpu(run: RuleRun): void {
    // The clock counts whole milliseconds.
    if (run.heldMs > this.cpuMs + 1)
      throw withKind(new RangeError(`${this.phase} used ${Math.round(run.heldMs)} ms of CPU, ${this.cpuMs} ms are allowed`), "cpu");
  }

  #fail(run: RuleRun, failure: RuleFailure): void {
    run.open = false;
    this.#effects += run.takeNotes();
    this.#finish(2, run.rule.index, JSON.stringify(failure));
  }

  #finish(outcome: number, by: number, failure: string): void {
    this.#finished = true;
    const asks = this.#answersElements(outcome === 2 ? by : -1);
    const tailing = this.#runs.some((run) => run.tails > 0);
    this.#realm.meter.end();
    this.#realm.emit(
      `${FromSandbox.DONE};${this.number};${asks ? 2 : tailing ? 1 : 0};${outcome};${by};${str(failure)}${this.#cpu()}${str(this.#effects + this.#asked(outcome, tailing))}`,
    );
    this.#effects = "";
    this.#tailing = tailing;
    if (!tailing) this.#realm.waiting.delete(this.number);
  }

  /** True: callbacks for elements of the page go on. They are asked for before the hook is told to be done, so that the worker knows. `failed`: its callbacks go with its other changes. */
  #answersElements(failed: number): boolean {
    const runs = this.#runs.filter((run) => run.elementCallbacks !== null && run.rule.index !== failed);
    const [first] = runs;
    if (first === undefined) return false;
    first.tails++;
    const ended = (): void => {
      first.tails--;
      this.#tailEnd();
    };
    const host = {
      next: (answer: object) => this.service(first, "elements", answer),
      enter: (run: RuleRun) => this.#enter(run),
      leave: () => this.#realm.meter.end(),
    };
    settle(answerElements(runs, host), ended, (thrown) => {
      this.#enter(first);
      first.log("error", `element callbacks: ${errorText(thrown).message}`);
      ended();
    });
    return true;
  }

  /** A failure is not remembered, nor is what goes on. */
  #asked(outcome: number, tailing: boolean): string {
    if (this.reads === null || outcome === 2 || tailing || !REMEMBERED.has(this.phase)) return "";
    return `${Effect.ASKED};${this.#runs[0]!.rule.index};${str(this.reads.take())}`;
  }

  #tailEnd(): void {
    if (!this.#tailing || this.forgotten || this.#runs.some((other) => other.tails > 0)) return;
    this.#realm.meter.end();
    this.#tailing = false;
    this.#realm.waiting.delete(this.number);
    this.#realm.emit(`${FromSandbox.TAIL};${this.number};${str(this.#runs.map((other) => other.takeNotes()).join(""))}${this.#cpu()}`);
  }

  /** What each rule used since it was last told. */
  #cpu(): string {
    let text = "";
    let count = 0;
    for (const run of this.#runs) {
      if (run.cpuUs === run.toldUs) continue;
      text += `${run.rule.index};${run.cpuUs - run.toldUs};`;
      run.toldUs = run.cpuUs;
      count++;
    }
    return `${count};${text}`;
  }

  #enter(run: RuleRun): void {
    setCurrent(run);
    this.#realm.meter.begin(run);
  }
}

/** Thenables are adopted by a promise of ours: whatever their `then` does happens in a microtask, on the rule's account. */
function settle(value: unknown, onValue: (value: unknown) => void, onError: (thrown: unknown) => void): void {
  void new Promise((resolve) => resolve(value)).then(onValue, onError);
}

function isThenable(value: unknown): boolean {
  return (typeof value === "object" || typeof value === "function") && typeof (value as { then?: unknown }).then === "function";
}
