/** Evaluates one rule module and tells what `defineRule` was given. */
import * as sluice from "../../../sdk/index.ts";
import type { Rule } from "../../../sdk/index.ts";
import { assigning, describedExperiment, isExperiment } from "./experiment.ts";
import type { Activity } from "./current.ts";
import { setCurrent } from "./current.ts";
import { bounded, describe, errorText } from "./failure.ts";
import type { GlobalNames } from "./global-names.ts";
import { freezeDeep } from "./harden.ts";
import type { LoadedRule } from "./loaded-rule.ts";
import { Random } from "./random.ts";

/** What the process hands over for each rule. */
export interface RuleInput {
  readonly index: number;
  readonly name: string;
  readonly secrets: Readonly<Record<string, string>>;
  readonly vars: unknown;
  readonly crossingBytes: number;
  readonly tellsReads: boolean;
  readonly stateless: boolean;
  readonly nowMs: number;
  /** What becomes of globals that the module adds. They stay in a context of its own; in a shared one they are removed and told, or the rule is refused. */
  readonly globals: "stay" | "told" | "refused";
}

export interface RuleDescription {
  readonly order: number;
  readonly when: unknown;
  readonly phases: readonly string[];
  readonly secrets: readonly string[];
  readonly onFailure: string;
  /** Names that the module added to the global object. */
  readonly globals: readonly string[];
  /** An experiment, without its functions. Left out: it is a rule. */
  readonly experiment?: unknown;
}

const MAX_EARLY_LOGS = 50;
const MAX_DESCRIPTION_UNITS = 256 * 1024;

export function loadRule(input: RuleInput, factory: unknown, globals: GlobalNames): { rule: LoadedRule; description: string } | { error: string } {
  const earlyLogs: LoadedRule["earlyLogs"] = [];
  setCurrent(new LoadActivity(input.nowMs, earlyLogs));
  try {
    // What the last module's microtasks added.
    if (input.globals !== "stay") globals.takeBack();
    if (typeof factory !== "function") throw new TypeError("the compiled rule is no function");
    const exported = (factory as (given: typeof sluice) => { default?: unknown } | undefined)(sluice)?.default;
    const experiment = isExperiment(exported) ? exported : null;
    if (experiment === null && !isRule(exported))
      throw new TypeError(`the default export is ${describe(exported)}; a rule made with defineRule or fromFetchHandler, or an experiment, is expected`);
    const { when, order, secrets, onFailure } = experiment === null ? (exported as Rule) : { ...ASSIGNS, when: experiment.when };
    const hooks = Object.freeze(experiment === null ? { ...(exported as Rule).hooks } : assigning(experiment));
    const phases = experiment === null ? Object.keys(hooks) : [];
    const described = { order, when, phases, secrets, onFailure, globals: settleGlobals(input, globals) } satisfies RuleDescription;
    const description = JSON.stringify(experiment === null ? described : { ...described, experiment: describedExperiment(experiment) });
    if (description.length > MAX_DESCRIPTION_UNITS)
      throw new RangeError(`what the module defines takes ${description.length} characters of JSON; at most ${MAX_DESCRIPTION_UNITS} are expected`);
    freezeDeep(input.vars);
    const rule = {
      index: input.index,
      name: input.name,
      hooks,
      vars: input.vars,
      secrets: Object.freeze({ ...input.secrets }),
      crossingBytes: input.crossingBytes,
      tellsReads: input.tellsReads,
      stateless: input.stateless,
      looksOnly: experiment !== null,
      waits: new Map(),
      earlyLogs,
    };
    return { rule, description };
  } catch (thrown) {
    const { message, stack } = errorText(thrown);
    return { error: JSON.stringify({ rule: input.name, message, stack }) };
  } finally {
    setCurrent(null);
  }
}

/** Its functions run before assignment, and when they fail the unit is not in the experiment. */
const ASSIGNS: Pick<Rule, "order" | "secrets" | "onFailure"> = { order: 0, secrets: [], onFailure: "open" };

function settleGlobals(input: RuleInput, globals: GlobalNames): readonly string[] {
  const added = globals.added();
  if (added.length === 0 || input.globals === "stay") return added;
  globals.takeBack();
  if (input.globals === "refused")
    throw new TypeError(`it adds ${added.join(", ")} to the global object that it shares with other rules, and did not when it was compiled`);
  return added;
}

/** `checkRule` made it and froze it, unless a module forged it: then it is only its own rule that is odd. */
function isRule(value: unknown): value is Rule {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const { kind, hooks, when } = value as Partial<Rule>;
  return kind === "rule" && typeof hooks === "object" && hooks !== null && Array.isArray(when);
}

/** While a module is evaluated: a clock, randomness that is the same in every sandbox, lines that leave later. */
class LoadActivity implements Activity {
  readonly #nowMs: number;
  readonly #logs: LoadedRule["earlyLogs"];
  readonly #random = new Random(1);

  constructor(nowMs: number, logs: LoadedRule["earlyLogs"]) {
    this.#nowMs = nowMs;
    this.#logs = logs;
  }
  now(): number {
    return this.#nowMs;
  }
  random(): number {
    return this.#random.next();
  }
  log(level: LoadedRule["earlyLogs"][number]["level"], text: string): void {
    if (this.#logs.length < MAX_EARLY_LOGS) this.#logs.push({ level, text: bounded(text, 8 * 1024) });
  }
  randomByte(): number {
    return outside("crypto's randomness");
  }
  service(name: string): Promise<unknown> {
    return outside(name === "timer" ? "setTimeout" : name);
  }
}

function outside(what: string): never {
  throw new TypeError(`${what} is only to be had within a hook, not while a module is evaluated`);
}
