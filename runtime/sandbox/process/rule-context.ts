/** One context of an isolate: the kernel in it, and its rules. */
import { createRequire } from "node:module";
import type * as IsolatedVm from "isolated-vm";
import type { Kernel } from "../kernel/boot.ts";
import { MARK_BYTES } from "../kernel/mark.ts";
import type { CpuClock } from "../kernel/meter.ts";
import type { LoadError, LoadMessage, LoadRule } from "../protocol.ts";
import { webHostOp } from "./web-host.ts";
import { thrownText } from "./words.ts";

// isolated-vm is CommonJS with a native part.
export const ivm = createRequire(import.meta.url)("isolated-vm") as typeof IsolatedVm;

/** Evaluating one module: longer means a loop. */
const LOAD_MS = 1000;

/** A rule cannot be loaded. */
export class LoadFailed extends Error {
  readonly error: LoadError;
  constructor(error: LoadError) {
    super(error.message);
    this.error = error;
  }
}

export class RuleContext {
  readonly mark: Float64Array;
  readonly #isolate: IsolatedVm.Isolate;
  readonly #context: IsolatedVm.Context;
  readonly #enter: IsolatedVm.Reference<Kernel["enter"]>;
  readonly #recover: IsolatedVm.Reference<Kernel["recover"]>;
  readonly #load: IsolatedVm.Reference<Kernel["load"]>;
  readonly #seal: IsolatedVm.Reference<Kernel["seal"]>;

  constructor(isolate: IsolatedVm.Isolate, kernel: IsolatedVm.Script, cpu: CpuClock) {
    this.#isolate = isolate;
    this.#context = isolate.createContextSync();
    const shared = new SharedArrayBuffer(MARK_BYTES);
    this.mark = new Float64Array(shared);
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
    return this.#enter.applySync(undefined, [records], { timeout: timeoutMs });
  }
  recover(): string {
    return this.#recover.applySync(undefined, [], { timeout: LOAD_MS });
  }
  /** No further globals from here on. */
  seal(): void {
    this.#seal.applySync(undefined, []);
  }

  /** Evaluates a rule; gives what `defineRule` was given. */
  load(rule: LoadRule, index: number, message: LoadMessage): unknown {
    const input = { index, name: rule.name, secrets: rule.secrets, vars: message.vars, crossingBytes: message.crossingBytes, nowMs: Date.now() };
    const since = performance.now();
    let result: string;
    try {
      const script = this.#isolate.compileScriptSync(rule.code, { filename: rule.name });
      const factory = script.runSync(this.#context, { timeout: LOAD_MS, reference: true });
      script.release();
      result = this.#load.applySync(undefined, [JSON.stringify(input), factory.derefInto({ release: true })], { timeout: LOAD_MS });
    } catch (thrown) {
      if (this.#isolate.isDisposed)
        throw new LoadFailed({ rule: rule.name, message: `needs more than ${message.memoryBytes} bytes of memory to load`, stack: "" });
      if (performance.now() - since >= LOAD_MS - 1)
        throw new LoadFailed({ rule: rule.name, message: `did not finish loading within ${LOAD_MS} ms: is there a loop at its top level?`, stack: "" });
      throw new LoadFailed({ rule: rule.name, ...thrownText(thrown) });
    }
    if (result.startsWith("!")) throw new LoadFailed(JSON.parse(result.slice(1)) as LoadError);
    return JSON.parse(result.slice(1));
  }
}
