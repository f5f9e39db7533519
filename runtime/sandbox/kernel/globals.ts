/** Globals that depend on who runs: randomness, the log, timers. */
import { type Activity, current } from "./current.ts";
import { describe } from "./failure.ts";
import { format } from "./format.ts";
import type { LogLevel } from "./rule-run.ts";

export function installRandom(global: typeof globalThis): void {
  const { random } = { random: (): number => (current() ?? outside("Math.random")).random() };
  Object.defineProperty(global.Math, "random", { value: random, writable: true, enumerable: false, configurable: true });
}

export function installConsole(global: typeof globalThis): void {
  const at =
    (level: LogLevel) =>
    (...values: unknown[]) =>
      current()?.log(level, format(values));
  const silent = (): void => {};
  const console: Record<string, (...values: unknown[]) => void> = {
    log: at("info"),
    info: at("info"),
    debug: at("debug"),
    warn: at("warn"),
    error: at("error"),
    trace: at("debug"),
    dir: at("info"),
    table: at("info"),
    assert: (condition, ...values) => void (condition || at("error")("Assertion failed", ...values)),
    // Grouping, counting and timing have no place in a log of single lines with a standing clock.
    ...Object.fromEntries(["group", "groupCollapsed", "groupEnd", "count", "countReset", "time", "timeLog", "timeEnd", "clear"].map((name) => [name, silent])),
  };
  Object.defineProperty(global, "console", { value: console, writable: true, enumerable: false, configurable: true });
}

const MAX_DELAY_MS = 2 ** 31 - 1;

/** Calls `run` after `ms`, by the worker's clock. What it throws becomes a stray failure, as for a rejection nobody awaits. */
export function startTimer(ms: number, run: () => void): () => void {
  let wanted = true;
  const delay = Math.min(Math.max(Math.trunc(Number(ms)) || 0, 0), MAX_DELAY_MS);
  (current() ?? outside("setTimeout")).service("timer", { ms: delay }).then(
    () => {
      if (wanted) run();
    },
    // The hook is over, or its time: a timer that never fires is what a timer then is.
    () => {},
  );
  return () => void (wanted = false);
}

interface Timers {
  last: number;
  readonly cancels: Map<number, () => void>;
}

export function installTimers(global: typeof globalThis): void {
  // Each run has its own: rules share this context, and numbers can be guessed. They go with the run, whether they rang or not.
  const all = new WeakMap<Activity, Timers>();
  const functions = {
    setTimeout(run: unknown, ms?: number, ...args: unknown[]): number {
      if (typeof run !== "function") throw new TypeError(`setTimeout: a function is expected, found ${describe(run)}`);
      const owner = current() ?? outside("setTimeout");
      let timers = all.get(owner);
      if (timers === undefined) all.set(owner, (timers = { last: 0, cancels: new Map() }));
      const { cancels } = timers;
      const id = ++timers.last;
      const cancel = startTimer(ms ?? 0, () => {
        cancels.delete(id);
        Reflect.apply(run, undefined, args);
      });
      cancels.set(id, cancel);
      return id;
    },
    clearTimeout(id?: number): void {
      const owner = current();
      const cancels = owner === null ? undefined : all.get(owner)?.cancels;
      cancels?.get(id as number)?.();
      cancels?.delete(id as number);
    },
  };
  for (const [name, value] of Object.entries(functions)) Object.defineProperty(global, name, { value, writable: true, enumerable: false, configurable: true });
}

function outside(what: string): never {
  throw new TypeError(`${what} is only to be had within a hook`);
}
