/** `ctx`. */
import { str } from "../codec.ts";
import { Effect } from "../protocol.ts";
import { RuleAuth } from "./auth.ts";
import { CacheOfRules } from "./cache-words.ts";
import { describe } from "./failure.ts";
import { format } from "./format.ts";
import { RuleKv } from "./kv.ts";
import type { RequestFacade } from "./request.ts";
import type { LogLevel, RuleRun } from "./rule-run.ts";
import { fetchThrough, type FetchResult } from "./web/web.ts";

const METRIC_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const GOAL = /^[\w.-]{1,64}$/;
const MAX_LABELS = 8;

type Logger = ((...values: unknown[]) => void) & Record<LogLevel, (...values: unknown[]) => void>;

export class RuleContext {
  readonly #run: RuleRun;
  readonly #req: RequestFacade;
  #auth: RuleAuth | null = null;
  #kv: RuleKv | null = null;
  #cache: CacheOfRules | null = null;
  #log: Logger | null = null;
  #client: object | null = null;

  constructor(run: RuleRun, req: RequestFacade) {
    this.#run = run;
    this.#req = req;
  }

  get state(): object {
    return this.#run.state;
  }
  set state(value: unknown) {
    this.#run.state = value;
  }
  get vars(): unknown {
    return this.#run.rule.vars;
  }
  get secrets(): Readonly<Record<string, string>> {
    return this.#run.rule.secrets;
  }
  get client(): object {
    this.#run.noteRead("client");
    return (this.#client ??= Object.freeze({
      address: "",
      port: 0,
      scheme: this.#run.hookCall.request.scheme,
      httpVersion: "",
      country: "",
      ...this.#run.hookCall.extra.client,
    }));
  }
  get auth(): RuleAuth {
    if (this.#run.phase !== "onRequest" && this.#run.phase !== "onOriginRequest") throw new TypeError(`ctx.auth is not to be had in ${this.#run.phase}`);
    this.#run.noteRead("header", "authorization");
    return (this.#auth ??= new RuleAuth(this.#run, this.#req));
  }
  get kv(): RuleKv {
    return (this.#kv ??= new RuleKv(this.#run));
  }
  get cache(): CacheOfRules {
    return (this.#cache ??= new CacheOfRules(this.#run));
  }
  get log(): Logger {
    return (this.#log ??= logger(this.#run));
  }
  metric(name: string, value = 1, labels: Readonly<Record<string, string>> = {}): void {
    if (typeof name !== "string" || !METRIC_NAME.test(name))
      throw new TypeError(`ctx.metric: ${describe(name)} is no name: letters, digits and "_" are expected`);
    if (typeof value !== "number" || !Number.isFinite(value) || value < 0)
      throw new RangeError(`ctx.metric: ${name}: a number from 0 up is expected, found ${describe(value)}`);
    const pairs = Object.entries(labels).map(([label, text]) => [label, String(text)] as const);
    if (pairs.length > MAX_LABELS) throw new RangeError(`ctx.metric: ${name}: at most ${MAX_LABELS} labels`);
    for (const [label, text] of pairs) {
      if (!METRIC_NAME.test(label) || text.length > 128)
        throw new RangeError(
          `ctx.metric: ${name}: label ${describe(label)}: a name of letters, digits and "_" and a value of at most 128 characters are expected`,
        );
    }
    this.#run.metric(name, value, JSON.stringify(Object.fromEntries(pairs)));
  }
  async fetch(input: unknown, init?: unknown): Promise<unknown> {
    return fetchThrough((call) => this.#run.service("fetch", call) as Promise<FetchResult>, input, init as never);
  }
  async limit(name: unknown, options: unknown): Promise<unknown> {
    return Object.freeze(await this.#run.service("limit", limitCall(name, options)));
  }
  experiment(key: string): object {
    const told = this.#run.hookCall.variant(key);
    if (told === null) throw new TypeError(`ctx.experiment: ${describe(key)} is no experiment of this release`);
    this.#run.effect(Effect.EXPERIMENT, str(key));
    const [variant, isControl, isCounted] = told;
    return Object.freeze({ experiment: key, variant, isControl, isCounted });
  }
  track(goal: string, value?: number): void {
    if (typeof goal !== "string" || !GOAL.test(goal)) throw new TypeError(`ctx.track: the name of a goal is expected, found ${describe(goal)}`);
    if (value !== undefined && (typeof value !== "number" || !Number.isFinite(value)))
      throw new RangeError(`ctx.track: ${goal}: a finite number is expected, found ${describe(value)}`);
    this.#run.effect(Effect.TRACK, str(goal) + str(value === undefined ? "" : String(value)));
  }
  waitUntil(work: unknown): void {
    this.#run.hookCall.waitUntil(this.#run, work);
  }
  now(): number {
    return this.#run.now();
  }
  random(): number {
    return this.#run.random();
  }
}

/** What is wrong with values the worker says; here only what a rule's author most easily gets wrong. */
function limitCall(name: unknown, options: unknown): object {
  if (typeof name !== "string") throw new TypeError(`ctx.limit: a name is expected, found ${describe(name)}`);
  if (typeof options !== "object" || options === null) throw new TypeError(`ctx.limit: ${name}: options are expected, found ${describe(options)}`);
  const { key, rate, burst, algorithm, cost, mode, shadow, onStoreLoss, penalty, ...rest } = options as Record<string, unknown>;
  // Without this a forgotten key would let everybody count as one.
  if (typeof key !== "string") throw new TypeError(`ctx.limit: ${name}: key: a string is expected, found ${describe(key)}`);
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new TypeError(`ctx.limit: ${name}: ${describe(unknown)} is no option`);
  return { name, key, rate, burst, algorithm, cost, mode, shadow, onStoreLoss, penalty };
}

function logger(run: RuleRun): Logger {
  const at =
    (level: LogLevel) =>
    (...values: unknown[]) =>
      run.log(level, format(values));
  return Object.assign(at("info"), { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") });
}
