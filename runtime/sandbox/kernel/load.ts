/** Evaluates one rule module and tells what `defineRule` was given. */
import * as sluice from "../../../sdk/index.ts";
import type { Rule } from "../../../sdk/index.ts";
import type { Activity } from "./current.ts";
import { setCurrent } from "./current.ts";
import { bounded, describe, errorText } from "./failure.ts";
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
  readonly nowMs: number;
}

export interface RuleDescription {
  readonly order: number;
  readonly when: unknown;
  readonly phases: readonly string[];
  readonly secrets: readonly string[];
  readonly onFailure: string;
}

const MAX_EARLY_LOGS = 50;
const MAX_DESCRIPTION_UNITS = 256 * 1024;

export function loadRule(input: RuleInput, factory: unknown): { rule: LoadedRule; description: string } | { error: string } {
  const earlyLogs: LoadedRule["earlyLogs"] = [];
  setCurrent(new LoadActivity(input.nowMs, earlyLogs));
  try {
    if (typeof factory !== "function") throw new TypeError("the compiled rule is no function");
    const exported = (factory as (given: typeof sluice) => { default?: unknown } | undefined)(sluice)?.default;
    if (!isRule(exported)) throw new TypeError(`the default export is ${describe(exported)}; a rule made with defineRule or fromFetchHandler is expected`);
    const { when, order, secrets, onFailure } = exported;
    const hooks = Object.freeze({ ...exported.hooks });
    const description = JSON.stringify({ order, when, phases: Object.keys(hooks), secrets, onFailure } satisfies RuleDescription);
    if (description.length > MAX_DESCRIPTION_UNITS)
      throw new RangeError(`what defineRule was given takes ${description.length} characters of JSON; at most ${MAX_DESCRIPTION_UNITS} are expected`);
    freezeDeep(input.vars);
    const rule = {
      index: input.index,
      name: input.name,
      hooks,
      vars: input.vars,
      secrets: Object.freeze({ ...input.secrets }),
      crossingBytes: input.crossingBytes,
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
