/**
 * Callbacks of `res.html.on`: they outlive their hook and run for the elements that the worker finds, one batch after the other. The worker is asked for the next batch
 * with the answers to the last one, as a service call: so a re-run in another sandbox gets the same batches again, and runs the same callbacks.
 */
import type { HtmlElement } from "../../../sdk/html-element.ts";
import type { HtmlEdit } from "../../../sdk/html.ts";
import type { RuleFailure } from "../protocol.ts";
import { ElementFacade } from "./element.ts";
import { failureOf, withKind } from "./failure.ts";
import type { RuleRun } from "./rule-run.ts";

export type ElementCallback = (element: HtmlElement) => unknown;

/** What the worker says: elements, or that there are no more. */
interface Batch {
  readonly elements?: readonly {
    readonly tag: string;
    readonly attributes: readonly (readonly [string, string])[];
    /** Rule and callback. */
    readonly calls: readonly (readonly [number, number])[];
  }[];
}
/** What it is told: for each call of the batch the edits, and which rules have failed. */
interface Answer {
  readonly edits: readonly (readonly HtmlEdit[])[];
  readonly failures: readonly RuleFailure[];
}

export interface ElementHost {
  /** Tells the answers to the last batch, gives the next one. */
  next(answer: Answer): Promise<unknown>;
  /** From now on code runs for this rule. */
  enter(run: RuleRun): void;
  /** Nobody's code runs. */
  leave(): void;
}

/** Of what may cross, kept for what stands around the edits. */
const AROUND_UNITS = 64 * 1024;

export async function answerElements(runs: readonly RuleRun[], host: ElementHost): Promise<void> {
  const alive = new Map(runs.map((run) => [run.rule.index, run]));
  for (let answer: Answer = { edits: [], failures: [] }; ;) {
    const { elements } = (await host.next(answer)) as Batch;
    if (elements === undefined) return;
    answer = await answersTo(elements, alive, host);
  }
}

async function answersTo(elements: NonNullable<Batch["elements"]>, alive: Map<number, RuleRun>, host: ElementHost): Promise<Answer> {
  const edits: (readonly HtmlEdit[])[] = [];
  const failures: RuleFailure[] = [];
  let units = 0;
  const failed = (run: RuleRun, thrown: unknown): void => {
    alive.delete(run.rule.index);
    failures.push({ ...failureOf(thrown), rule: run.rule.index });
  };
  for (const { tag, attributes, calls } of elements) {
    /** By rule: a rule's callbacks see what those before did, other rules' do not. */
    const facades = new Map<number, ElementFacade>();
    for (const [rule, handler] of calls) {
      const run = alive.get(rule);
      const callback = run?.elementCallbacks?.[handler];
      if (run === undefined || callback === undefined) {
        edits.push([]);
        continue;
      }
      let facade = facades.get(rule);
      if (facade === undefined) facades.set(rule, (facade = new ElementFacade(tag, attributes)));
      host.enter(run);
      try {
        const returned = ElementFacade.enter(facade, callback);
        if (isThenable(returned)) {
          await returned;
          host.enter(run);
        }
        const made = ElementFacade.take(facade);
        if (made.length > 0) units += JSON.stringify(made).length;
        if (units > run.rule.crossingBytes - AROUND_UNITS)
          throw withKind(new RangeError(`the edits for one piece of a page take ${units} characters; at most ${run.rule.crossingBytes} may leave`), "effect");
        edits.push(made);
      } catch (thrown) {
        host.enter(run);
        ElementFacade.take(facade);
        edits.push([]);
        failed(run, thrown);
      }
    }
  }
  host.leave();
  for (const run of [...alive.values()]) {
    // The clock counts whole milliseconds.
    if (run.heldMs > run.cpuMs + 1)
      failed(run, withKind(new RangeError(`onResponse and its callbacks used ${Math.round(run.heldMs)} ms of CPU, ${run.cpuMs} ms are allowed`), "cpu"));
  }
  return { edits, failures };
}

function isThenable(value: unknown): boolean {
  return ((typeof value === "object" && value !== null) || typeof value === "function") && typeof (value as { then?: unknown }).then === "function";
}
