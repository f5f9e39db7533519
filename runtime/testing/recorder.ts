/** An observer that keeps what one request of a test made happen. */
import type { HookRecord, LogLine } from "../../sdk/testing.ts";
import type { Observer } from "../observe/observe.ts";

export class Recorder {
  #logs: LogLine[] = [];
  #hooks: HookRecord[] = [];
  #done = Promise.withResolvers<void>();
  readonly observer: Observer;

  constructor() {
    this.observer = {
      exchange: () => this.#done.resolve(),
      rule: ({ rule, phase, outcome, failure, cpuUs }) =>
        void this.#hooks.push({ rule, phase, outcome, failure: failure === null ? null : `${failure.message}\n${failure.stack}`, cpuMs: cpuUs / 1000 }),
      ruleLog: ({ rule, level, text }) => void this.#logs.push({ rule, level, text }),
      ruleMetric: () => undefined,
      sandbox: () => undefined,
      limit: () => undefined,
      refused: () => this.#done.resolve(),
      defect: (error) => void process.stderr.write(`${error.stack}\n`),
      note: (level, event, facts) => void process.stderr.write(`${level} ${event} ${JSON.stringify(facts)}\n`),
      sandboxEvents: {
        log: (entry) => this.observer.ruleLog(entry),
        metric: (entry) => this.observer.ruleMetric(entry),
        hook: (entry) => this.observer.rule(entry),
        sandbox: (entry) => this.observer.sandbox(entry),
      },
      snapshot: () => ({ counters: {}, histograms: {}, custom: [] }),
    };
  }

  /** The exchange is over: nothing of it comes after this but `onComplete` and `waitUntil`. */
  get completed(): Promise<void> {
    return this.#done.promise;
  }
  reset(): void {
    this.#logs = [];
    this.#hooks = [];
    this.#done = Promise.withResolvers();
  }
  take(): { logs: LogLine[]; hooks: HookRecord[]; cpuMs: number } {
    return { logs: this.#logs, hooks: this.#hooks, cpuMs: this.#hooks.reduce((sum, hook) => sum + hook.cpuMs, 0) };
  }
}
