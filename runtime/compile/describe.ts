/**
 * Evaluates rule modules to learn what they are, in a throw-away sandbox process: validating a rule must not run it here.
 * A process serves one build; the next one stands ready meanwhile, so that a save is not held up by its start (about 110 ms).
 */
import type { ResolvedConfig } from "../config/resolved.ts";
import { FrameLink } from "../sandbox/frames.ts";
import { buildKernel } from "../sandbox/kernel/build.ts";
import { MemoryBounds } from "../sandbox/memory-bounds.ts";
import { FromSandbox, type LoadError, type LoadMessage, SHARED_CONTEXT, ToSandbox } from "../sandbox/protocol.ts";
import { TextReader, TextWriter } from "../sandbox/codec.ts";
import { type Spawned, spawnSandbox } from "../sandbox/spawn.ts";
import type { ExperimentData } from "../experiments/experiment-data.ts";
import type { Bundled } from "./bundle.ts";
import { readExperiment } from "./experiment-check.ts";

/** What `defineRule` was given, as plain data. */
export interface RuleDescription {
  readonly order: number;
  readonly when: unknown;
  readonly phases: readonly string[];
  readonly secrets: readonly string[];
  readonly onFailure: string;
  /** Names that the module adds to the global object. */
  readonly globals: readonly string[];
  /** Left out: it is a rule. */
  readonly experiment?: ExperimentData;
}
export type Described = RuleDescription | { readonly problem: { readonly message: string; readonly stack: string } };

export interface Describer {
  /** `from`: vars and limits of the rules, where it is not the describer's own config. */
  describe(rules: readonly Bundled[], from?: ResolvedConfig): Promise<Map<string, Described>>;
  close(): Promise<void>;
}

/** For one load of all modules. One that loops is stopped inside, after a second or, when the machine was busy, three more; this is for what ignores that. */
const LOAD_DEADLINE_MS = 12_000;
/** A harmless module takes 0.3 ms; ten thousand on a busy machine are many. */
const DEADLINE_PER_RULE_MS = 3;
/** For a process to say its first word: 0.2 s when the machine is idle. */
const START_DEADLINE_MS = 60_000;
const LATE = `no rule is to blame: the sandbox process that evaluates it said nothing for ${START_DEADLINE_MS / 1000} s; is this machine too busy?`;
/** For what a process wrote before it ended to be read. */
const LAST_WORDS_MS = 1_000;
/** Broken modules reported at once. */
const MAX_PROBLEMS = 20;
const DIED = "ends the sandbox process that evaluates it: does it build something huge at its top level?";

/**
 * `warm`: keep the next process ready between builds. `"same"`: one process for all builds that go well, from now on; for rule tests, whose builds are
 * many, small and the tester's own. `processFile`: as in `spawnSandbox`.
 */
export function createDescriber(config: ResolvedConfig, warm: boolean | "same", processFile?: string): Describer {
  const bounds = new MemoryBounds(config.limits.ruleMemoryBytes);
  const open = (): Evaluator => new Evaluator(bounds, processFile);
  let ready: Evaluator | null = warm === "same" ? open() : null;
  const evaluate = async (rules: readonly Bundled[], from: ResolvedConfig): Promise<Outcome> => {
    const evaluator = ready ?? open();
    ready = null;
    let outcome: Outcome | null = null;
    try {
      outcome = await evaluator.load(rules, from);
      return outcome;
    } finally {
      if (warm === "same" && outcome?.kind === "loaded" && ready === null) ready = evaluator.emptied();
      else evaluator.close();
    }
  };
  return {
    async describe(rules, from = config) {
      const described = new Map<string, Described>();
      if (rules.length === 0) return described;
      let left = [...rules];
      while (left.length > 0) {
        const outcome = await evaluate(left, from);
        if (outcome.kind === "loaded") {
          left.forEach((rule, index) => described.set(rule.name, checked(outcome.rules[index])));
          break;
        }
        const culprit = outcome.kind === "failed" ? left.find(({ name }) => name === outcome.error.rule) : left.length === 1 ? left[0] : undefined;
        const problem = outcome.kind === "failed" ? outcome.error : { message: outcome.kind === "unborn" ? outcome.message : DIED, stack: "" };
        if (outcome.kind === "unborn" || (culprit === undefined && outcome.kind === "failed")) {
          // Not one rule's fault: the sandbox itself does not come up.
          for (const rule of left) described.set(rule.name, { problem });
          break;
        }
        if (culprit === undefined) {
          // It died and nobody knows by whom: one process for each tells.
          for (const rule of left) for (const [name, answer] of await this.describe([rule], from)) described.set(name, answer);
          break;
        }
        described.set(culprit.name, { problem });
        left = left.filter((rule) => rule !== culprit);
        if ([...described.values()].filter((answer) => "problem" in answer).length < MAX_PROBLEMS) continue;
        for (const rule of left) described.set(rule.name, { problem: { message: `not evaluated: ${MAX_PROBLEMS} modules before it are broken`, stack: "" } });
        break;
      }
      if (warm === true) ready ??= open();
      return described;
    },
    close() {
      ready?.close();
      ready = null;
      return Promise.resolve();
    },
  };
}

/** A module may forge what `defineRule` makes, so what comes out of the sandbox is looked at before anything is built on it. */
function checked(answer: unknown): Described {
  const { order, when, phases, secrets, onFailure, globals, experiment } = (answer ?? {}) as Partial<Record<keyof RuleDescription, unknown>>;
  const names = (value: unknown): value is string[] => Array.isArray(value) && value.every((name) => typeof name === "string");
  if (
    typeof order === "number" &&
    Array.isArray(when) &&
    names(phases) &&
    names(secrets) &&
    names(globals) &&
    (onFailure === "closed" || onFailure === "open")
  ) {
    const common = { order, when, phases, secrets, onFailure, globals };
    if (experiment === undefined) return common;
    const read = readExperiment(experiment);
    return read === null
      ? { problem: { message: "the default export looks like an experiment but defineExperiment did not make it", stack: "" } }
      : { ...common, experiment: read };
  }
  return { problem: { message: "the default export looks like a rule but defineRule did not make it", stack: "" } };
}

type Outcome =
  | { readonly kind: "loaded"; readonly rules: readonly unknown[] }
  | { readonly kind: "failed"; readonly error: LoadError }
  | { readonly kind: "died" }
  /** It ended before it could read anything: no rule has run. */
  | { readonly kind: "unborn"; readonly message: string };

/** Of Node's account of an error that ended it: the error, and the file that could not be read. */
function essence(stderr: string): string {
  const error = /^.*(?:Error|error)\b.*$/m.exec(stderr.replaceAll(/^[ \t]+.*$/gm, ""))?.[0] ?? stderr.trim().slice(-500);
  const resource = /^\s+resource: '(.*)'/m.exec(stderr)?.[1];
  return resource === undefined ? error : `${error} (${resource})`;
}

/** One sandbox process, for one load at a time. */
class Evaluator {
  readonly #spawned: Spawned;
  readonly #link: FrameLink;
  #outcome = Promise.withResolvers<Outcome>();
  readonly #ended: Promise<unknown>;
  /** Its first word has come. */
  readonly #born = Promise.withResolvers<void>();
  #spoke = false;

  constructor(bounds: MemoryBounds, file: string | undefined) {
    this.#spawned = spawnSandbox({
      dataLimitBytes: bounds.dataLimitBytes(bounds.seats(1, false)),
      warn: (text) => process.emitWarning(text),
      ...(file === undefined ? {} : { file }),
    });
    this.#spawned.child.unref();
    this.#ended = new Promise((resolve) => this.#spawned.child.once("close", resolve));
    this.#link = new FrameLink(this.#spawned.pipe, {
      frame: (text) => this.#read(text),
      broken: () => this.#outcome.resolve({ kind: "died" }),
      closed: () => void this.#closed(),
    });
    this.#link.send(new TextWriter().num(ToSandbox.PING).num(0).take());
  }

  async load(rules: readonly Bundled[], { limits, vars }: ResolvedConfig): Promise<Outcome> {
    const message: LoadMessage = {
      release: "describe",
      kernel: await buildKernel(),
      memoryBytes: limits.ruleMemoryBytes,
      crossingBytes: limits.crossingBytes,
      vars,
      nowMs: Date.now(),
      describes: true,
      rules: rules.map(({ name, code }) => ({ name, code, context: SHARED_CONTEXT, secrets: {}, services: [] })),
    };
    const unborn = setTimeout(() => this.#outcome.resolve({ kind: "unborn", message: LATE }), START_DEADLINE_MS);
    await Promise.race([this.#born.promise, this.#outcome.promise]);
    clearTimeout(unborn);
    // From here on: how long the machine took to start a process is no rule's doing.
    const timer = setTimeout(() => this.#outcome.resolve({ kind: "died" }), LOAD_DEADLINE_MS + rules.length * DEADLINE_PER_RULE_MS);
    this.#link.send(new TextWriter().num(ToSandbox.LOAD).num(1).str(JSON.stringify(message)).take());
    const outcome = await this.#outcome.promise;
    clearTimeout(timer);
    return outcome;
  }

  /** Without what it loaded, for the next load. */
  emptied(): this {
    this.#link.send(new TextWriter().num(ToSandbox.UNLOAD).num(1).take());
    this.#outcome = Promise.withResolvers();
    return this;
  }

  close(): void {
    this.#link.close();
    this.#spawned.child.kill("SIGKILL");
  }

  async #closed(): Promise<void> {
    if (this.#spoke) {
      this.#outcome.resolve({ kind: "died" });
      return;
    }
    await Promise.race([this.#ended, new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS).unref())]);
    const said = essence(this.#spawned.stderr());
    this.#outcome.resolve({
      kind: "unborn",
      message: `no rule is to blame: the sandbox process that evaluates it does not start: ${said || "it said nothing"}`,
    });
  }

  #read(text: string): void {
    const reader = new TextReader(text);
    while (!reader.done) {
      const kind = reader.num();
      if (kind === FromSandbox.PONG) {
        reader.num();
        this.#spoke = true;
        this.#born.resolve();
        continue;
      }
      if (kind !== FromSandbox.LOADED || reader.num() !== 1) {
        this.#outcome.resolve({ kind: "died" });
        return;
      }
      const ok = reader.num() === 1;
      const answer = JSON.parse(reader.str()) as { rules?: unknown; error?: LoadError };
      if (ok && Array.isArray(answer.rules)) this.#outcome.resolve({ kind: "loaded", rules: answer.rules });
      else this.#outcome.resolve({ kind: "failed", error: answer.error ?? { rule: "", message: "no reason given", stack: "" } });
    }
  }
}
