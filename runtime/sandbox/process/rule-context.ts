/** One context of an isolate: the kernel in it, and its rules. */
import { createRequire } from "node:module";
import type * as IsolatedVm from "isolated-vm";
import type { Kernel } from "../kernel/boot.ts";
import { MARK_BYTES } from "../kernel/mark.ts";
import type { CpuClock } from "../kernel/meter.ts";
import { type LoadError, type LoadMessage, type LoadRule, SHARED_CONTEXT } from "../protocol.ts";
import { webHostOp } from "./web-host.ts";
import { thrownText } from "./words.ts";

// isolated-vm is CommonJS with a native part.
export const ivm = createRequire(import.meta.url)("isolated-vm") as typeof IsolatedVm;

/** Evaluating one module: longer means a loop, if it had the processor. */
export const LOAD_MS = 1000;
const RECOVER_MS = 1000;

/** A rule cannot be loaded. */
export class LoadFailed extends Error {
  readonly error: LoadError;
  /** It was cut off without having had half of its time: other processes had the core. */
  readonly starved: boolean;
  constructor(error: LoadError, starved = false) {
    super(error.message);
    this.error = error;
    this.starved = starved;
  }
}

/**
 * isolated-vm hands strings of 1,024 characters and more over as external ones, on both sides: V8 keeps those in the old space and counts
 * them lightly, so that the results alone made a process under load grow by 1.5 MB a second until its memory bound ended it. Shorter ones
 * are copied and die young. So what goes in is cut into pieces, and what comes out lies in shared memory.
 */
const PIECE_UNITS = 1000;
/** A longer input, which carries a body, goes in whole. */
const MAX_PIECES = 128;
const OUTPUT_BYTES = 64 * 1024;

function piecesOf(records: string): string[] {
  if (records === "") return [];
  if (records.length > PIECE_UNITS * MAX_PIECES) return [records];
  const pieces: string[] = [];
  for (let at = 0; at < records.length; at += PIECE_UNITS) pieces.push(records.slice(at, at + PIECE_UNITS));
  return pieces;
}

export class RuleContext {
  readonly mark: Float64Array;
  readonly #output: Buffer;
  readonly #isolate: IsolatedVm.Isolate;
  readonly #context: IsolatedVm.Context;
  readonly #enter: IsolatedVm.Reference<Kernel["enter"]>;
  readonly #recover: IsolatedVm.Reference<Kernel["recover"]>;
  readonly #load: IsolatedVm.Reference<Kernel["load"]>;
  readonly #seal: IsolatedVm.Reference<Kernel["seal"]>;

  constructor(isolate: IsolatedVm.Isolate, kernel: IsolatedVm.Script, cpu: CpuClock) {
    this.#isolate = isolate;
    this.#context = isolate.createContextSync();
    const shared = new SharedArrayBuffer(MARK_BYTES + OUTPUT_BYTES);
    this.mark = new Float64Array(shared, 0, MARK_BYTES / Float64Array.BYTES_PER_ELEMENT);
    this.#output = Buffer.from(shared, MARK_BYTES);
    const boot = kernel.runSync(this.#context, { reference: true });
    const lent = [
      new ivm.ExternalCopy(shared).copyInto(),
      new ivm.Callback(webHostOp),
      new ivm.Callback(() => cpu.takeUs()),
      new ivm.Callback(() => cpu.entryUs()),
    ];
    const inside = boot.applySync(undefined, lent, { result: { reference: true } }) as IsolatedVm.Reference<Kernel>;
    const member = <Name extends keyof Kernel>(name: Name): IsolatedVm.Reference<Kernel[Name]> => inside.getSync(name, { reference: true });
    this.#enter = member("enter");
    this.#recover = member("recover");
    this.#load = member("load");
    this.#seal = member("seal");
  }

  enter(records: string, timeoutMs: number): string {
    const result = this.#enter.applySync(undefined, piecesOf(records), { timeout: timeoutMs });
    return typeof result === "string" ? result : this.#output.latin1Slice(0, result);
  }
  recover(): string {
    return this.#recover.applySync(undefined, [], { timeout: RECOVER_MS });
  }
  /** No further globals from here on. */
  seal(shared: boolean): void {
    this.#seal.applySync(undefined, [shared]);
  }

  /** Evaluates a rule; gives what `defineRule` was given. */
  load(rule: LoadRule, index: number, message: LoadMessage, loadMs: number): unknown {
    const globals = rule.context !== SHARED_CONTEXT ? "stay" : message.describes === true ? "told" : "refused";
    const input = {
      index,
      name: rule.name,
      secrets: rule.secrets,
      vars: message.vars,
      crossingBytes: message.crossingBytes,
      tellsReads: message.tellsReads ?? false,
      stateless: rule.stateless ?? false,
      nowMs: message.nowMs,
      globals,
    };
    const since = performance.now();
    const sinceCpu = process.threadCpuUsage();
    let result: string;
    try {
      const script = this.#isolate.compileScriptSync(rule.code, { filename: rule.name });
      const factory = script.runSync(this.#context, { timeout: loadMs, reference: true });
      script.release();
      result = this.#load.applySync(undefined, [JSON.stringify(input), factory.derefInto({ release: true })], { timeout: loadMs });
    } catch (thrown) {
      if (this.#isolate.isDisposed)
        throw new LoadFailed({ rule: rule.name, message: `needs more than ${message.memoryBytes} bytes of memory to load`, stack: "" });
      if (performance.now() - since >= loadMs - 1) {
        const { user, system } = process.threadCpuUsage(sinceCpu);
        const message = `did not finish loading within ${loadMs} ms: is there a loop at its top level?`;
        throw new LoadFailed({ rule: rule.name, message, stack: "" }, (user + system) / 1000 < loadMs / 2);
      }
      throw new LoadFailed({ rule: rule.name, ...thrownText(thrown) });
    }
    if (result.startsWith("!")) throw new LoadFailed(JSON.parse(result.slice(1)) as LoadError);
    return JSON.parse(result.slice(1));
  }
}
