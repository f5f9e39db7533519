/** The kernel's entry: evaluated once in each context, before any rule. What `boot` returns stays with the process; user code never sees it. */
import { TextReader } from "../codec.ts";
import { ToSandbox } from "../protocol.ts";
import { installClock, wallClock } from "./clock.ts";
import { RuleContext } from "./context.ts";
import { RuleAuth } from "./auth.ts";
import { BodyReader } from "./body-reader.ts";
import { current, setCurrent } from "./current.ts";
import { ElementFacade } from "./element.ts";
import { installConsole, installRandom, installTimers, startTimer } from "./globals.ts";
import { forbidCodeFromStrings, freezeBuiltIns, freezeDeep, neutralizeStackHooks, removeGlobals, removeLastMatch, resetStackTraceLimit } from "./harden.ts";
import { GlobalNames } from "./global-names.ts";
import { HeaderFields } from "./header-fields.ts";
import { HookCall, type Realm } from "./hook-call.ts";
import type { LoadedRule } from "./loaded-rule.ts";
import { loadRule, type RuleInput } from "./load.ts";
import { Mark, MARK_BYTES } from "./mark.ts";
import { Meter } from "./meter.ts";
import { Query } from "./query.ts";
import { RequestFacade } from "./request.ts";
import { ResponseFacade } from "./response.ts";
import * as sluice from "../../../sdk/index.ts";
import { installWeb } from "./web/web.ts";

/** Callbacks of the process: primitives in and out, never throwing. */
export interface Lent {
  readonly webSync: (op: string, a: string, b: string, c: string) => string;
  /** `CpuClock` of `meter.ts`. */
  readonly takeCpuUs: () => number;
  readonly entryCpuUs: () => number;
}

export interface Kernel {
  /** Evaluates a rule. Gives "=" and the JSON of its description, or "!" and that of a `LoadError`. */
  load(inputJson: string, factory: unknown): string;
  /** After the last `load`: no further globals. `shared`: nor any that a module's microtasks added. */
  seal(shared: boolean): void;
  /**
   * Records of `ToSandbox` in, in pieces; none goes on with what is left. Records of `FromSandbox` out: as many bytes in the output region of
   * the shared memory, or as a string where they do not fit there.
   */
  enter(...pieces: readonly string[]): number | string;
  /** What the last `enter` returned, for when a stray rejection took its place, and what came since. */
  recover(): string;
}

/** After this much output the process comes back for the rest, so that no single string grows without bound. */
const OUTPUT_UNITS = 4 * 1024 * 1024;

export function boot(markBuffer: ArrayBufferLike, webSync: Lent["webSync"], takeCpuUs: Lent["takeCpuUs"], entryCpuUs: Lent["entryCpuUs"]): Kernel {
  const mark = new Float64Array(markBuffer, 0, MARK_BYTES / Float64Array.BYTES_PER_ELEMENT);
  const outputBytes = new Uint8Array(markBuffer, MARK_BYTES);
  const meter = new Meter(mark, { takeUs: () => takeCpuUs(), entryUs: () => entryCpuUs() }, wallClock());
  install(webSync);
  const globals = new GlobalNames();
  let output = "";
  let returned = "";
  const rules = new Map<number, LoadedRule>();
  const waiting = new Map<number, HookCall>();
  const realm: Realm = { meter, rules, waiting, emit: (text) => void (output += text) };
  let reader = new TextReader("");
  /** Read, not begun. */
  let next: HookCall | null = null;

  /** Takes records until one leaves microtasks behind: those must run before anything else does, so that they are its own. */
  const work = (): void => {
    while (next !== null || !reader.done) {
      const kind = next === null ? reader.num() : ToSandbox.HOOK;
      if (kind === ToSandbox.HOOK) {
        const call: HookCall = next ?? new HookCall(realm, reader);
        next = null;
        // What hooks before it left behind would run while it waits, in its name: so that runs first.
        if (mark[Mark.BEGUN]! > 0 && call.mayWait) {
          next = call;
          return again();
        }
        mark[Mark.BEGUN]!++;
        resetStackTraceLimit();
        // With half of a bound spent the rest gets an entry of its own: the process bounds each entry's time.
        const over = call.start();
        if (!over || mark[Mark.CAREFUL] === 1 || output.length > OUTPUT_UNITS || meter.entryMs * 2 > mark[Mark.CPU_MS]!) return again();
      } else if (kind === ToSandbox.REPLY) {
        mark[Mark.BEGUN]!++;
        resetStackTraceLimit();
        const call = reader.num();
        const callNo = reader.num();
        const ok = reader.num() === 1;
        waiting.get(call)?.reply(callNo, ok, reader.str());
        return again();
      } else waiting.get(reader.num())?.forget();
    }
  };
  const again = (): void => {
    mark[Mark.AGAIN] = 1;
  };

  return {
    load(inputJson, factory) {
      const loaded = loadRule(JSON.parse(inputJson) as RuleInput, factory, globals);
      if ("error" in loaded) return `!${loaded.error}`;
      rules.set(loaded.rule.index, loaded.rule);
      return `=${loaded.description}`;
    },
    seal(shared) {
      if (shared) globals.takeBack();
      Object.preventExtensions(globalThis);
    },
    enter(...pieces) {
      mark[Mark.RETURNED] = 0;
      mark[Mark.AGAIN] = 0;
      mark[Mark.BEGUN] = 0;
      meter.enter();
      if (pieces.length > 0) reader = new TextReader(pieces.length === 1 ? pieces[0]! : joined(pieces));
      work();
      returned = output;
      output = "";
      mark[Mark.PENDING] = waiting.size;
      mark[Mark.RETURNED] = 1;
      return put(returned, outputBytes) ? returned.length : returned;
    },
    recover() {
      const text = returned + output;
      returned = output = "";
      return text;
    },
  };
}

function joined(pieces: readonly string[]): string {
  let text = "";
  for (let i = 0; i < pieces.length; i++) text += pieces[i];
  return text;
}

/** False: `text` has more or other characters than fit. */
function put(text: string, bytes: Uint8Array): boolean {
  const { length } = text;
  if (length > bytes.length) return false;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0xff) return false;
    bytes[i] = unit;
  }
  return true;
}

function install(webSync: Lent["webSync"]): void {
  removeGlobals(globalThis);
  removeLastMatch();
  const now = (): number => current()?.now() ?? 0;
  installClock(globalThis, now);
  installRandom(globalThis);
  installConsole(globalThis);
  installTimers(globalThis);
  forbidCodeFromStrings(globalThis);
  neutralizeStackHooks();
  // Freezing a class freezes what it stands on: from here on the built-ins are as rules will find them.
  const randomByte = (): number => (current() ?? unlent()).randomByte();
  installWeb(globalThis, { sync: webSync, now, randomByte, timer: startTimer }, freezeDeep);
  freezeBuiltIns(globalThis);
  for (const Facade of [BodyReader, RequestFacade, ResponseFacade, ElementFacade, HeaderFields, Query, RuleContext, RuleAuth]) {
    // Rules get instances; with the constructor they could make ones around objects of their own.
    Reflect.deleteProperty(Facade.prototype, "constructor");
    freezeDeep(Facade.prototype);
  }
  freezeDeep(sluice);
  setCurrent(null);
}

function unlent(): never {
  throw new TypeError("randomness is only to be had within a hook");
}
