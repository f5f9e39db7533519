/** Drives a real sandbox process over its pipe, in the words of `protocol.ts`. */
import type { ChildProcess } from "node:child_process";
import type { Duplex } from "node:stream";
import { transformSync } from "esbuild";
import { PHASES, type Phase } from "../../runtime/compile/release.ts";
import { TextReader, TextWriter } from "../../runtime/sandbox/codec.ts";
import { buildKernel } from "../../runtime/sandbox/kernel/build.ts";
import { frame, FrameReader } from "../../runtime/sandbox/process/frames.ts";
import { spawnSandbox } from "../../runtime/sandbox/spawn.ts";
import { Effect, FromSandbox, type HookExtra, type RuleFailure, ToSandbox } from "../../runtime/sandbox/protocol.ts";

export interface EffectRecord {
  readonly kind: keyof typeof Effect;
  readonly rule: number;
  readonly fields: readonly (string | number)[];
}
export type Word =
  | { is: "LOADED"; release: number; ok: boolean; json: { rules?: RuleWord[]; error?: { rule: string; message: string; stack: string } } }
  | { is: "CALL"; call: number; callNo: number; rule: number; service: string; args: Record<string, unknown> }
  | {
      is: "DONE";
      call: number;
      tail: boolean;
      outcome: "next" | "answer" | "failure";
      by: number;
      failure: RuleFailure | null;
      cpu: Record<number, number>;
      effects: EffectRecord[];
    }
  | { is: "TAIL"; call: number; effects: EffectRecord[]; cpu: Record<number, number> }
  | { is: "STRAY"; release: number; rule: number; failure: RuleFailure }
  | { is: "ISOLATE_LOST"; release: number; reason: string }
  | { is: "LOST"; call: number; guilty: boolean; failure: RuleFailure | null }
  | { is: "PONG"; sequence: number };
export interface RuleWord {
  readonly order: number;
  readonly when: unknown;
  readonly phases: readonly string[];
  readonly secrets: readonly string[];
  readonly onFailure: string;
}
export type WordOf<K extends Word["is"]> = Extract<Word, { is: K }>;

export interface RuleSource {
  /** TypeScript that exports a rule. */
  readonly code: string;
  readonly name?: string;
  readonly context?: number;
  readonly secrets?: Readonly<Record<string, string>>;
}
export interface HookOptions {
  readonly call?: number;
  readonly release?: number;
  readonly phase?: Phase;
  readonly context?: number;
  readonly clockMs?: number;
  readonly seed?: number;
  readonly cpuMs?: number;
  readonly head?: string;
  readonly headers?: readonly string[];
  readonly response?: string;
  readonly extra?: HookExtra;
  readonly rules?: readonly { rule: number; params?: Record<string, string>; state?: unknown }[];
}

/** Above what a busy machine takes for any hook that is not about overruns: a time-out of wall time would lose it, guilty or not. */
const DEFAULT_CPU_MS = 1000;
/** No test waits this long for a word. */
const PATIENCE_MS = 30_000;
/** Above what any test needs; the bounds themselves are tested on the worker's side. */
const DATA_LIMIT_BYTES = 4 * 1024 * 1024 * 1024;

/** A rule's module as `compile` makes it: a classic script that ends in `(sluice) => exports`. */
export function ruleScript(code: string): string {
  const { code: commonJs } = transformSync(code, { loader: "ts", format: "cjs", target: "es2024" });
  return `((sluice) => { const module = { exports: {} }; const require = () => sluice; ((module, exports, require) => {${commonJs}\n})(module, module.exports, require); return module.exports; })`;
}

/** A module with one rule; `init` is what `defineRule` is given. */
export function rule(init: string): string {
  return `import { defineRule, fromFetchHandler, next, redirect, respond } from "sluice"\nexport default defineRule(${init})`;
}
/** A module whose rule has this body in `onRequest(req, ctx)`. */
export function onRequest(body: string): string {
  return rule(`{ onRequest(req, ctx) { ${body} } }`);
}

export class SandboxProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly exit: Promise<{ code: number | null; signal: string | null }>;
  readonly stderr: () => string;
  warnings = "";
  readonly #pipe: Duplex;
  readonly #words: Word[] = [];
  readonly #waiting: (() => void)[] = [];
  #calls = 0;
  #raw: ((payload: string) => void) | null = null;
  #frames = 0;
  #ended = false;
  #late = false;

  private constructor(file: string | undefined) {
    const { child, pipe, stderr } = spawnSandbox({ file, dataLimitBytes: DATA_LIMIT_BYTES, warn: (text) => void (this.warnings += text) });
    this.child = child;
    this.stderr = stderr;
    this.#pipe = pipe;
    const reader = new FrameReader((payload) => {
      this.#frames++;
      if (this.#raw !== null) this.#raw(payload);
      else this.#words.push(...readWords(payload));
      for (const wake of this.#waiting.splice(0)) wake();
    });
    this.#pipe.on("data", (bytes: Buffer) => reader.push(bytes));
    this.#pipe.on("error", () => undefined);
    this.exit = new Promise((resolve) => {
      this.child.once("exit", (code, signal) => {
        this.#ended = true;
        for (const wake of this.#waiting.splice(0)) wake();
        resolve({ code, signal });
      });
    });
  }

  /** `file`: another program than the real one, under the same guards. */
  static start(file?: string): SandboxProcess {
    return new SandboxProcess(file);
  }
  /** With one release, number 1, loaded. Throws what LOADED says against it. */
  static async with(...rules: (string | RuleSource)[]): Promise<SandboxProcess> {
    const sandbox = SandboxProcess.start();
    const loaded = await sandbox.load(rules);
    if (loaded.ok) return sandbox;
    await sandbox[Symbol.asyncDispose]();
    throw new Error(`${loaded.json.error?.rule}: ${loaded.json.error?.message}`);
  }

  get frames(): number {
    return this.#frames;
  }

  async load(
    rules: readonly (string | RuleSource)[],
    options: { release?: number; memoryBytes?: number; vars?: Record<string, unknown>; crossingBytes?: number } = {},
  ): Promise<WordOf<"LOADED">> {
    const { release = 1, memoryBytes = 64 * 1024 * 1024, vars = {}, crossingBytes = 1024 * 1024 } = options;
    const sources = rules.map((rule) => (typeof rule === "string" ? { code: rule } : rule));
    const message = {
      release: "0123456789ab",
      kernel: await buildKernel(),
      memoryBytes,
      crossingBytes,
      vars,
      nowMs: 1_750_000_000_000,
      rules: sources.map(({ code, name, context = 0, secrets = {} }, index) => ({
        name: name ?? `rule${index}.ts`,
        code: code.startsWith("((sluice)") ? code : ruleScript(code),
        context,
        secrets,
        services: [],
      })),
    };
    this.send(new TextWriter().num(ToSandbox.LOAD).num(release).str(JSON.stringify(message)).take());
    return this.next("LOADED");
  }

  /** A HOOK record; `send` puts several into one frame. */
  hookRecord(options: HookOptions = {}): { call: number; record: string } {
    const call = options.call ?? ++this.#calls;
    const {
      release = 1,
      phase = "onRequest",
      context = 0,
      clockMs = 1_750_000_000_000,
      seed = 7,
      cpuMs = DEFAULT_CPU_MS,
      headers = [],
      response = "",
      extra = {},
      rules = [{ rule: 0 }],
    } = options;
    const head = `${options.head ?? "GET http shop.example.com /old/x?a=1"}\n${headers.map((line) => `${line}\n`).join("")}`;
    const text = new TextWriter().num(ToSandbox.HOOK).num(call).num(release).num(context).num(cpuMs);
    const rest = new TextWriter().num(PHASES.indexOf(phase)).num(clockMs).str(seed.toString(16).padStart(8, "0").padEnd(32, "5"));
    rest.str(head).str(response).str(JSON.stringify(extra)).num(rules.length);
    for (const { rule, params, state } of rules)
      rest
        .num(rule)
        .str(params === undefined ? "" : JSON.stringify(params))
        .str(state === undefined ? "" : JSON.stringify(state));
    text.str(rest.take());
    return { call, record: text.take() };
  }
  async hook(options: HookOptions = {}): Promise<WordOf<"DONE">> {
    const { call, record } = this.hookRecord(options);
    this.send(record);
    return this.next("DONE", (word) => word.call === call);
  }
  reply(word: WordOf<"CALL">, value: unknown): void {
    this.send(new TextWriter().num(ToSandbox.REPLY).num(word.call).num(word.callNo).num(1).str(JSON.stringify(value)).take());
  }
  refuse(word: WordOf<"CALL">, message: string, kind?: RuleFailure["kind"]): void {
    this.send(new TextWriter().num(ToSandbox.REPLY).num(word.call).num(word.callNo).num(0).str(JSON.stringify({ message, kind })).take());
  }
  cancel(call: number): void {
    this.send(new TextWriter().num(ToSandbox.CANCEL).num(call).take());
  }

  send(...records: string[]): void {
    const { data, encoding } = frame(records.join(""));
    if (typeof data === "string") this.#pipe.write(data, encoding!);
    else this.#pipe.write(data);
  }

  /** Takes the first word of that kind. */
  async next<K extends Word["is"]>(is: K, fits: (word: WordOf<K>) => boolean = () => true): Promise<WordOf<K>> {
    const late = setTimeout(() => {
      this.#late = true;
      for (const wake of this.#waiting.splice(0)) wake();
    }, PATIENCE_MS);
    using _timer = { [Symbol.dispose]: () => clearTimeout(late) };
    for (;;) {
      const at = this.#words.findIndex((word) => word.is === is && fits(word as WordOf<K>));
      if (at >= 0) return this.#words.splice(at, 1)[0] as WordOf<K>;
      if (this.#ended || this.#late)
        throw new Error(
          `${this.#ended ? "the sandbox process ended" : "nothing came"} while ${is} was expected; words left: ${JSON.stringify(this.#words)}; stderr: ${this.stderr()}`,
        );
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
  /** The next frame as it is, from a program that is not the real one. */
  payload(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#raw = resolve;
      void this.exit.then(({ code, signal }) => reject(new Error(`ended with ${String(code ?? signal)}: ${this.stderr()}`)));
    });
  }
  /** All words that have come and were not taken. */
  left(): readonly Word[] {
    return this.#words;
  }

  hangUp(): void {
    this.#pipe.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pipe.destroy();
    this.child.kill("SIGKILL");
    await this.exit;
  }
}

function readWords(payload: string): Word[] {
  const reader = new TextReader(payload);
  const words: Word[] = [];
  const json = (): never => {
    const text = reader.str();
    return (text === "" ? null : JSON.parse(text)) as never;
  };
  while (!reader.done) {
    switch (reader.num()) {
      case FromSandbox.LOADED:
        words.push({ is: "LOADED", release: reader.num(), ok: reader.num() === 1, json: json() });
        break;
      case FromSandbox.CALL:
        words.push({ is: "CALL", call: reader.num(), callNo: reader.num(), rule: reader.num(), service: reader.str(), args: json() });
        break;
      case FromSandbox.DONE:
        words.push({
          is: "DONE",
          call: reader.num(),
          tail: reader.num() === 1,
          outcome: (["next", "answer", "failure"] as const)[reader.num()]!,
          by: reader.num(),
          failure: json(),
          cpu: readCpu(reader),
          effects: readEffects(reader.str()),
        });
        break;
      case FromSandbox.TAIL:
        words.push({ is: "TAIL", call: reader.num(), effects: readEffects(reader.str()), cpu: readCpu(reader) });
        break;
      case FromSandbox.STRAY:
        words.push({ is: "STRAY", release: reader.num(), rule: reader.num(), failure: json() });
        break;
      case FromSandbox.ISOLATE_LOST:
        words.push({ is: "ISOLATE_LOST", release: reader.num(), reason: reader.str() });
        break;
      case FromSandbox.LOST:
        words.push({ is: "LOST", call: reader.num(), guilty: reader.num() === 1, failure: json() });
        break;
      case FromSandbox.PONG:
        words.push({ is: "PONG", sequence: reader.num() });
        break;
      default:
        throw new Error("a record of unknown kind");
    }
  }
  return words;
}

function readCpu(reader: TextReader): Record<number, number> {
  const cpu: Record<number, number> = {};
  for (let left = reader.num(); left > 0; left--) cpu[reader.num()] = reader.num();
  return cpu;
}

function readEffects(text: string): EffectRecord[] {
  const reader = new TextReader(text);
  const effects: EffectRecord[] = [];
  const names = Object.keys(Effect) as (keyof typeof Effect)[];
  while (!reader.done) {
    const number = reader.num();
    const kind = names.find((name) => Effect[name] === number)!;
    effects.push({ kind, rule: reader.num(), fields: effectFields(kind, reader) });
  }
  return effects;
}

function effectFields(kind: keyof typeof Effect, reader: TextReader): (string | number)[] {
  switch (kind) {
    case "STATUS":
      return [reader.num()];
    case "SET_FIELD":
    case "APPEND_FIELD":
    case "LOG":
      return [reader.str(), reader.str()];
    case "METRIC":
      return [reader.str(), reader.str(), reader.str()];
    case "RESPOND": {
      const fields: (string | number)[] = [reader.num()];
      for (let left = reader.num(); left > 0; left--) fields.push(reader.str(), reader.str());
      fields.push(reader.str());
      return fields;
    }
    default:
      return [reader.str()];
  }
}
