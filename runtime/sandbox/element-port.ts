/**
 * Element callbacks of one hook call, on the worker's side. The hook call asks for elements by a service call that carries the answers to the last ones (`kernel/element-calls.ts`);
 * while the page has none to show, that call stays open and no time runs. What it answers is a stranger's.
 */
import type { HtmlEdit } from "../../sdk/html.ts";
import type { Clock } from "../clock.ts";
import { GatewayError } from "../errors.ts";
import { parsed } from "./apply-effects.ts";
import { CodecError } from "./codec.ts";
import { errorOf, failureFrom, type Failure } from "./failures.ts";
import { elementEditsFault } from "./html-words.ts";
import type { JournalEntry } from "./journal.ts";
import type { AskedElement, ElementPort, SandboxOptions } from "./sandbox.ts";
import type { Segment } from "./segment.ts";

/** Of one page, in one hook call. */
const MAX_ELEMENTS = 10_000;
/** Of questions and answers together, which are kept until the page is over: a re-run hears them again. */
const MAX_KEPT_UNITS = 8 * 1024 * 1024;
/** As the kernel's, for one callback and element. */
const MAX_EDITS = 256;
const NO_MORE = "{}";

export interface ElementHost {
  readonly options: SandboxOptions;
  readonly clock: Clock;
  reply(segment: Segment, entry: JournalEntry, json: string): void;
}

type Edits = readonly (readonly HtmlEdit[])[];

interface Question {
  readonly elements: readonly AskedElement[];
  resolve(answers: readonly Edits[]): void;
  reject(error: GatewayError): void;
}

export class SegmentElements implements ElementPort {
  readonly #segment: Segment;
  readonly #host: ElementHost;
  /** The call that waits for elements. */
  #waiting: JournalEntry | null = null;
  #question: Question | null = null;
  /** Rules that failed open: they are not called any more. */
  readonly #passedOver = new Set<number>();
  /** A rule failed closed, or nobody answers any more. */
  #error: GatewayError | null = null;
  #over = false;
  #elements = 0;
  #keptUnits = 0;

  constructor(segment: Segment, host: ElementHost) {
    this.#segment = segment;
    this.#host = host;
  }

  get rules(): readonly number[] {
    return this.#segment.rules;
  }

  /** The page waits for it. */
  get busy(): boolean {
    return this.#question !== null;
  }

  // The hook call.

  /** It has answered, and waits for more. */
  asked(args: string, write: () => JournalEntry): void {
    const question = this.#question;
    const answers = this.#read(args, question?.elements ?? []);
    this.#segment.sentAs = 0;
    this.#keptUnits += args.length;
    this.#waiting = write();
    this.#question = null;
    if (question !== null) {
      const { exchange } = this.#segment.pending.run;
      exchange.ruleWallMs += this.#host.clock.now() - this.#segment.sinceMs;
    }
    this.rests();
    if (this.#error !== null) question?.reject(this.#error);
    else question?.resolve(answers);
    if (this.#over) this.#reply(NO_MORE);
  }

  /** It waits for the page. Before its hook is done its time runs all the same. */
  rests(): void {
    if (this.#segment.tail && this.#question === null) this.#segment.sinceMs = Infinity;
  }

  /** It goes on no more, by the fault of a rule: with all its rules. */
  fail(rule: number, failure: Failure, error: GatewayError): void {
    this.#failed(rule, failure, error);
    for (const other of this.rules) this.#passedOver.add(other);
    this.#finish();
  }

  /** It is over. */
  close(): void {
    if (this.#question !== null) this.#error ??= new GatewayError("SANDBOX_UNAVAILABLE", "the sandbox ended a rule's element callbacks before the page did");
    this.#finish();
  }

  // The page.

  ask(elements: readonly AskedElement[]): Promise<readonly Edits[]> {
    const { ruleWallMs, crossingBytes } = this.#host.options.limits;
    const json = JSON.stringify({ elements });
    const leftMs = ruleWallMs - this.#segment.pending.run.exchange.ruleWallMs;
    this.#elements += elements.length;
    this.#keptUnits += json.length;
    if (!this.#over) {
      if (this.#keptUnits > MAX_KEPT_UNITS) this.#stop("calls", `the elements of a page and what was made of them take more than ${MAX_KEPT_UNITS} characters`);
      else if (this.#elements > MAX_ELEMENTS) this.#stop("calls", `more than ${MAX_ELEMENTS} elements of one page have callbacks`);
      else if (json.length > crossingBytes)
        this.#stop("calls", `the elements of one piece of a page take ${json.length} characters, at most ${crossingBytes} may enter a rule`);
      else if (leftMs <= 0) this.#stop("wall", "the exchange's wall time for rules was used up before the page was");
    }
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#over || this.#waiting === null) return Promise.resolve(unanswered(elements));
    return new Promise((resolve, reject) => {
      this.#question = { elements, resolve, reject };
      this.#segment.sinceMs = this.#host.clock.now();
      this.#segment.budgetMs = leftMs;
      this.#reply(json);
    });
  }

  end(): void {
    this.#over = true;
    if (this.#waiting !== null) this.#reply(NO_MORE);
  }

  #reply(json: string): void {
    const entry = this.#waiting!;
    this.#waiting = null;
    this.#host.reply(this.#segment, entry, json);
  }

  #finish(): void {
    const question = this.#question;
    this.#question = null;
    this.#over = true;
    if (question === null) return;
    if (this.#error !== null) question.reject(this.#error);
    else question.resolve(unanswered(question.elements));
  }

  /** At a bound: it blames the first rule, and as every failure it is answered by `onFailure`. */
  #stop(kind: "calls" | "wall", message: string): void {
    const rule = this.rules[0]!;
    const failure = { kind, message, stack: "" };
    this.fail(rule, failure, errorOf(failure, this.#segment.pending.held.nameOf(rule)));
    if (this.#waiting !== null) this.#reply(NO_MORE);
  }

  #failed(rule: number, failure: Failure, error: GatewayError): void {
    const { held, run } = this.#segment.pending;
    const open = held.failsOpen(rule);
    const outcome = open ? "failed-open" : "failed-closed";
    this.#host.options.events.hook({
      rule: held.nameOf(rule),
      release: held.release.id,
      phase: run.phase,
      cpuUs: 0,
      outcome,
      failure,
      exchange: run.exchange.id,
    });
    if (open) this.#passedOver.add(rule);
    else this.#error ??= error;
  }

  #read(args: string, elements: readonly AskedElement[]): readonly Edits[] {
    const { crossingBytes } = this.#host.options.limits;
    if (args.length > crossingBytes) throw new CodecError(`answers of ${args.length} characters, at most ${crossingBytes} are allowed`);
    const answer = parsed(args) as { readonly edits?: unknown; readonly failures?: unknown } | null;
    const calls = elements.reduce((sum, element) => sum + element.calls.length, 0);
    if (!Array.isArray(answer?.edits) || answer.edits.length !== calls || !Array.isArray(answer.failures) || answer.failures.length > this.rules.length)
      throw new CodecError(`answers to other elements than the ${calls} that were asked for`);
    for (const told of answer.failures as unknown[]) this.#told(JSON.stringify(told));
    let at = 0;
    return elements.map(({ calls: asked }) => asked.map(([rule]) => this.#checked(rule, (answer.edits as unknown[])[at++])));
  }

  #told(json: string): void {
    const { held } = this.#segment.pending;
    const failure = this.#segment.refinedFailure(failureFrom(json, held));
    if (!this.rules.includes(failure.rule)) throw new CodecError(`a failure of rule ${failure.rule}, which does not run`);
    this.#failed(failure.rule, failure, errorOf(failure, held.nameOf(failure.rule)));
  }

  #checked(rule: number, edits: unknown): readonly HtmlEdit[] {
    if (this.#passedOver.has(rule) && (edits as unknown[] | undefined)?.length === 0) return [];
    const fault = Array.isArray(edits) && edits.length <= MAX_EDITS ? elementEditsFault(edits) : `more than ${MAX_EDITS} edits of one element`;
    if (fault === "") return edits as HtmlEdit[];
    const failure = { kind: "effect", message: fault, stack: "" };
    this.#failed(rule, failure, errorOf(failure, this.#segment.pending.held.nameOf(rule)));
    return [];
  }
}

function unanswered(elements: readonly AskedElement[]): readonly Edits[] {
  return elements.map(({ calls }) => calls.map(() => []));
}
