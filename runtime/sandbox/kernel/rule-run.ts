/** One rule's turn in one hook call: what it did so far, and whether it may still do something. */
import type { Phase } from "../../compile/release.ts";
import { str } from "../codec.ts";
import { Effect, MAX_BODY_UNITS } from "../protocol.ts";
import type { ElementCallback } from "./element-calls.ts";
import { bounded, describe, withKind } from "./failure.ts";
import type { HookCall } from "./hook-call.ts";
import type { LoadedRule } from "./loaded-rule.ts";
import type { Charged } from "./meter.ts";
import { GivenNumbers, Random } from "./random.ts";
import { Read } from "./reads.ts";
import { ask } from "./web/host.ts";

const MAX_LOGS = 200;
const MAX_LOG_UNITS = 8 * 1024;
const MAX_LOGS_UNITS = 128 * 1024;
const MAX_METRICS = 200;
/** Together with logs and metrics below what the worker takes from one rule (`effects.ts`): more would end the sandbox. */
const MAX_CHANGES = 1000;
/** Of one hook: setting a body again is no fault, as long as it ends. */
/** Places told in one hook: with the changes themselves below what the worker takes from one rule. */
const MAX_PLACES = 200;
const MAX_STACK_UNITS = 2048;
/** 128 bits in hex (`seeds.ts`). */
const SEED_UNITS = 32;
const MAX_BODIES_UNITS = 2 * MAX_BODY_UNITS;

/** What is read more counts as "anything". */
const MAX_READS = 32;
const MAX_READ_UNITS = 128;
/** What is read behind the cache stays with the client. */
const BEFORE_CACHE: ReadonlySet<Phase> = new Set<Phase>(["onRequest", "onOriginRequest", "onOriginResponse"]);

export type LogLevel = "debug" | "info" | "warn" | "error";

function stackHere(): string {
  const { stack } = new Error("here");
  // A rule may have put a formatter of its own in place.
  return typeof stack === "string" ? stack.slice(0, MAX_STACK_UNITS) : "";
}

export class RuleRun implements Charged {
  readonly hookCall: HookCall;
  readonly rule: LoadedRule;
  readonly #paramsJson: string;
  readonly #stateJson: string;
  #state: unknown = undefined;
  cpuUs = 0;
  heldMs = 0;
  /** Of `cpuUs`, what the worker has been told. */
  toldUs = 0;
  /** Effects that count when the rule finishes well. */
  effects = "";
  /** Logs and metrics: they count also when it fails. */
  notes = "";
  /** False once its hook is over: then only logs and metrics of `waitUntil` work are taken. */
  open = true;
  /** `waitUntil` promises that have not settled. */
  tails = 0;
  /** Of `res.html.on`, by number; null: none. */
  elementCallbacks: ElementCallback[] | null = null;
  /** Personal input that was read before the cache; null: none. */
  #reads: Set<string> | null = null;
  #logs = 0;
  #logUnits = 0;
  #metrics = 0;
  #changes = 0;
  #dropped = 0;
  #changedUnits = 0;
  #places = 0;
  #keptPlace = "";
  #bodyUnits = 0;
  #random: { next(): number } | null = null;
  #secret = "";
  #secretAt = 0;
  #secretBlocks = 0;

  constructor(hookCall: HookCall, rule: LoadedRule, paramsJson: string, stateJson: string) {
    this.hookCall = hookCall;
    this.rule = rule;
    this.#paramsJson = paramsJson;
    this.#stateJson = stateJson;
  }

  /** For the cache's privacy rule; `cache/privacy.ts` has the words. */
  noteRead(kind: string, name = ""): void {
    if (!this.rule.tellsReads || !BEFORE_CACHE.has(this.phase)) return;
    const reads = (this.#reads ??= new Set());
    reads.add(reads.size >= MAX_READS || name.length > MAX_READ_UNITS ? "*" : name === "" ? kind : `${kind}:${name}`);
  }
  /** As an effect, or "". */
  takeReads(): string {
    return this.#reads === null ? "" : `${Effect.READS};${this.rule.index};${str([...this.#reads].join("\n"))}`;
  }

  get call(): number {
    return this.hookCall.number;
  }
  get cpuMs(): number {
    return this.hookCall.cpuMs;
  }
  get phase(): Phase {
    return this.hookCall.phase;
  }
  /** May the request be changed here? */
  get changesRequest(): boolean {
    return (this.phase === "onRequest" || this.phase === "onOriginRequest") && !this.rule.looksOnly;
  }

  /** `req.params`. */
  get params(): Record<string, string> {
    this.hookCall.reads?.note(Read.PARAMS + this.rule.index);
    return this.#paramsJson === "" ? {} : (JSON.parse(this.#paramsJson) as Record<string, string>);
  }
  /** `ctx.state`; made when first asked for. */
  get state(): object {
    this.hookCall.reads?.note(Read.STATE + this.rule.index);
    return (this.#state ??= this.#stateJson === "" ? {} : JSON.parse(this.#stateJson)) as object;
  }
  set state(value: unknown) {
    // Only a change leaves.
    this.hookCall.reads?.note(Read.STATE + this.rule.index);
    this.expectOpen();
    if (typeof value !== "object" || value === null) throw new TypeError(`ctx.state: an object is expected, found ${describe(value)}`);
    this.#state = value;
  }
  /** Its JSON when it may have changed, else null. Runs the rule's `toJSON`, if it has one. */
  takeState(): string | null {
    if (this.#state === undefined || this.phase === "onComplete") return null;
    const json = JSON.stringify(this.#state);
    if (json === undefined) throw withKind(new TypeError("ctx.state: has no JSON"), "effect");
    if (json === (this.#stateJson === "" ? "{}" : this.#stateJson)) return null;
    this.expectRoom(json.length, "ctx.state");
    return json;
  }

  /** For a change that is told only at the end of the hook. */
  keepPlace(): void {
    if (this.hookCall.traces) this.#keptPlace = stackHere();
  }
  #tellPlace(stack: string): void {
    if (this.#places++ < MAX_PLACES) this.effects += `${Effect.PLACE};${this.rule.index};${str(stack)}`;
  }

  /** `fields`: the effect's, already as text. */
  effect(kind: number, fields: string): void {
    this.#expectChange();
    const text = `${kind};${this.rule.index};${fields}`;
    this.#changedUnits += text.length;
    this.expectRoom(this.#changedUnits, "the changes of one hook");
    if (this.hookCall.traces) this.#tellPlace(kind === Effect.TARGET ? this.#keptPlace : stackHere());
    this.effects += text;
  }
  /** Replaces a body. Setting it again is no fault, as long as it ends. */
  body(bytes: string): void {
    this.#expectChange();
    this.expectRoom(bytes.length, "a body", MAX_BODY_UNITS);
    this.#bodyUnits += bytes.length;
    this.expectRoom(this.#bodyUnits, "the bodies set in one hook", MAX_BODIES_UNITS);
    if (this.hookCall.traces) this.#tellPlace(stackHere());
    this.effects += `${Effect.BODY};${this.rule.index};${str(bytes)}`;
  }
  expectOpen(): void {
    if (!this.open) throw new TypeError(`${this.phase} is over: nothing can be changed any more`);
  }
  #expectChange(): void {
    this.expectOpen();
    if (++this.#changes > MAX_CHANGES) throw withKind(new RangeError(`at most ${MAX_CHANGES} changes may be made in one hook`), "effect");
  }
  expectRoom(units: number, what: string, limit = this.rule.crossingBytes): void {
    if (units > limit) throw withKind(new RangeError(`${what}: at most ${limit} bytes may leave a rule, found ${units}`), "effect");
  }

  log(level: LogLevel, text: string): void {
    if (this.hookCall.forgotten) return;
    const line = bounded(text, MAX_LOG_UNITS);
    if (this.#logs >= MAX_LOGS || this.#logUnits + line.length > MAX_LOGS_UNITS) {
      this.#dropped++;
      return;
    }
    this.#logs++;
    this.#logUnits += line.length;
    this.notes += `${Effect.LOG};${this.rule.index};${str(level)}${str(line)}`;
  }
  metric(name: string, value: number, labelsJson: string): void {
    if (this.hookCall.forgotten) return;
    if (++this.#metrics > MAX_METRICS) throw withKind(new RangeError(`metric: at most ${MAX_METRICS} in one hook`), "effect");
    this.notes += `${Effect.METRIC};${this.rule.index};${str(name)}${str(String(value))}${str(labelsJson)}`;
  }
  /** Logs and metrics since the last time. */
  takeNotes(): string {
    if (this.#dropped > 0) {
      this.notes += `${Effect.LOG};${this.rule.index};${str("warn")}${str(`${this.#dropped} more lines were dropped: at most ${MAX_LOGS} lines and ${MAX_LOGS_UNITS} characters in one hook`)}`;
      this.#dropped = 0;
    }
    const notes = this.notes;
    this.notes = "";
    return notes;
  }

  now(): number {
    this.hookCall.reads?.note(Read.UNIQUE);
    return this.hookCall.clockMs;
  }
  /** The same in a re-run, whatever other rules drew. */
  random(): number {
    this.hookCall.reads?.note(Read.UNIQUE);
    this.noteRead("random");
    this.#random ??= this.#chance();
    return this.#random.next();
  }
  #chance(): { next(): number } {
    const { seed } = this.hookCall;
    // Beyond the seed proper stand the numbers of a rule test.
    if (seed.length > SEED_UNITS) return new GivenNumbers(seed.slice(SEED_UNITS));
    return new Random(Number.parseInt(seed.slice(0, 8), 16) ^ Math.imul(this.rule.index + 1, 0x9e3779b1));
  }
  /**
   * For `crypto`: SHA-256 over the whole seed, the rule and a counter. `random` gives away the seed's first 32 bits at most; the other
   * 96 stay unknown.
   */
  randomByte(): number {
    this.hookCall.reads?.note(Read.UNIQUE);
    this.noteRead("random");
    if (this.#secretAt === this.#secret.length) {
      this.#secret = ask("digest", "SHA-256", `${this.hookCall.seed}.${this.rule.index}.${this.#secretBlocks++}`);
      this.#secretAt = 0;
    }
    return this.#secret.charCodeAt(this.#secretAt++);
  }
  service(name: string, args: object): Promise<unknown> {
    return this.hookCall.service(this, name, args);
  }
}
