/** The door of the observe room in a worker: what happened goes in; log lines and a snapshot that adds up come out. */
import type { ResolvedConfig } from "../config/resolved.ts";
import type { GatewayError } from "../errors.ts";
import type { SandboxEvents } from "../sandbox/sandbox.ts";
import { AccessLog } from "./access-log.ts";
import type { LogSink } from "./log-sink.ts";
import { Counts } from "./counts.ts";
import type { ExchangeRecord } from "./record.ts";
import type { CounterSnapshot } from "./snapshot.ts";
import { Tails } from "./tail.ts";

export type { ExchangeRecord } from "./record.ts";
export type { CounterSnapshot, WorkerSnapshot } from "./snapshot.ts";
export type { LogSink } from "./log-sink.ts";

/** What is known about bytes that were no request. */
export interface RefusalFacts {
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly localPort: number;
}

type HookEntry = Parameters<SandboxEvents["hook"]>[0];
type RuleLogEntry = Parameters<SandboxEvents["log"]>[0];
type RuleMetricEntry = Parameters<SandboxEvents["metric"]>[0];
type SandboxEntry = Parameters<SandboxEvents["sandbox"]>[0];

export interface Observer {
  /** Once per exchange, when it is over. */
  exchange(record: ExchangeRecord): void;
  /** One hook of one rule is over. */
  rule(entry: HookEntry): void;
  ruleLog(entry: RuleLogEntry): void;
  ruleMetric(entry: RuleMetricEntry): void;
  sandbox(entry: SandboxEntry): void;
  /** An exchange with a debug header has begun. */
  traced?(id: string): void;
  /** … and a rule changed something in it. */
  step?(step: { readonly id: string; readonly rule: string; readonly phase: string; readonly text: string; readonly place: string }): void;
  /** A rate limit was charged, or refused; `reason` and `by` are closed words. */
  limit(limit: string, reason: string, by: string): void;
  /** An answer was delivered that depends on the variant of an experiment. */
  exposure?(experiment: string, variant: string): void;
  /** Bytes on the wire that were no request: answered and closed by the front, no exchange was made. */
  refused(error: GatewayError, facts: RefusalFacts): void;
  /** Something that should not happen, outside any answer: logged with its cause and counted under its code. */
  defect(error: GatewayError): void;
  /** One line of the worker's own. `facts` must hold no secret. */
  note(level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>): void;
  /** The same methods in the words of the sandbox room. */
  readonly sandboxEvents: SandboxEvents;
  snapshot(): CounterSnapshot;
}

export interface ObserverOptions {
  readonly log: ResolvedConfig["log"];
  readonly sink: LogSink;
  /** Milliseconds, monotonic: only for the rate of rules' log lines. */
  readonly now: () => number;
  /** Who watches live. Left out: nobody ever. */
  readonly tails?: Tails;
}

const NOBODY = new Tails({ worker: 0, unixMs: () => 0, send: () => undefined });

export function createObserver(options: ObserverOptions): Observer {
  const counts = new Counts();
  const log = new AccessLog(options.log, options.sink, options.now, (kind) => counts.logLineDropped(kind));
  const tails = options.tails ?? NOBODY;
  let sinkDropped = 0;
  const observer: Observer = {
    exchange(record) {
      counts.exchange(record);
      log.exchange(record);
      if (tails.active) tails.exchange(record);
    },
    rule(entry) {
      counts.hook(entry);
      if (entry.failure) log.ruleFailure(entry);
      if (tails.active) tails.hook(entry);
    },
    ruleLog(entry) {
      log.ruleLine(entry);
      if (tails.active) tails.log(entry);
    },
    ruleMetric: (entry) => counts.custom(entry),
    sandbox(entry) {
      counts.sandbox(entry);
      log.sandbox(entry);
      if (tails.active) tails.sandbox(entry);
    },
    traced: (id) => tails.traced(id),
    step: (step) => tails.step(step),
    limit: (limit, reason, by) => counts.limit(limit, reason, by),
    exposure: (experiment, variant) => counts.exposure(experiment, variant),
    refused(error, facts) {
      counts.refused(error.code);
      log.refused(error, facts);
      if (tails.active) tails.refused(error);
    },
    defect(error) {
      counts.error(error.code);
      log.defect(error);
      if (tails.active) tails.defect(error);
    },
    note: (level, event, facts) => log.note(level, event, facts),
    sandboxEvents: {
      log: (entry) => observer.ruleLog(entry),
      metric: (entry) => observer.ruleMetric(entry),
      hook: (entry) => observer.rule(entry),
      sandbox: (entry) => observer.sandbox(entry),
    },
    snapshot() {
      for (; sinkDropped < options.sink.dropped; sinkDropped++) counts.logLineDropped("buffer");
      return counts.snapshot();
    },
  };
  return observer;
}
