/** The log lines of a worker: JSON, one line each, by pino. */
import pino from "pino";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { GatewayError } from "../errors.ts";
import type { SandboxEvents } from "../sandbox/sandbox.ts";
import { DRAWS, draw } from "./draw.ts";
import { LineRate } from "./line-rate.ts";
import type { LogSink } from "./log-sink.ts";
import type { RefusalFacts } from "./observe.ts";
import type { ExchangeRecord } from "./record.ts";
import { redactTarget } from "./redact.ts";

/** Together below PIPE_BUF, so that lines of several workers never mix in a pipe. */
const TARGET_UNITS = 2000;
const DETAIL_UNITS = 500;
const USER_AGENT_UNITS = 250;
const RULE_TEXT_UNITS = 2000;
const STACK_UNITS = 1500;

const RULE_LINES_PER_SECOND = 500;
const FAILURES_PER_SECOND = 100;
const REFUSALS_PER_SECOND = 100;

export class AccessLog {
  readonly #log: ResolvedConfig["log"];
  readonly #logger: pino.Logger;
  readonly #redactQuery: ReadonlySet<string>;
  readonly #hideUserAgent: boolean;
  readonly #shareLimit: number;
  readonly #ruleLines: LineRate;
  readonly #failures: LineRate;
  readonly #refusals: LineRate;
  readonly #onDropped: (kind: string) => void;

  constructor(log: ResolvedConfig["log"], sink: LogSink, now: () => number, onDropped: (kind: string) => void) {
    this.#log = log;
    this.#logger = pino({ base: null, timestamp: pino.stdTimeFunctions.epochTime, formatters: { level: (level) => ({ level }) } }, sink);
    this.#redactQuery = new Set(log.redactQuery.map((name) => name.toLowerCase()));
    this.#hideUserAgent = log.redactHeaders.some((name) => name.toLowerCase() === "user-agent");
    this.#shareLimit = log.accessShare * DRAWS;
    this.#ruleLines = new LineRate(RULE_LINES_PER_SECOND, now);
    this.#failures = new LineRate(FAILURES_PER_SECOND, now);
    this.#refusals = new LineRate(REFUSALS_PER_SECOND, now);
    this.#onDropped = onDropped;
  }

  exchange(record: ExchangeRecord): void {
    const { off, errorsOnly } = this.#log;
    if (off) return;
    const failed = record.status >= 500 || record.code !== "";
    if (!failed && (errorsOnly || draw(record.id) >= this.#shareLimit)) return;
    const line = {
      event: "exchange",
      id: record.id,
      startMs: record.startMs,
      client: record.clientAddress,
      scheme: record.scheme,
      http: record.httpVersion,
      method: record.method,
      host: record.host,
      path: cut(redactTarget(record.target, this.#redactQuery), TARGET_UNITS),
      status: record.status === 0 ? 499 : record.status,
      code: record.code,
      detail: cut(record.detail, DETAIL_UNITS),
      from: record.from,
      route: record.route,
      upstream: record.upstream,
      target: record.upstreamTarget,
      release: record.release,
      ...(record.beside === undefined || record.beside === "" ? {} : { beside: record.beside }),
      rule: record.rule,
      ...(record.variants === undefined || record.variants === "" ? {} : { variants: record.variants }),
      durationMs: round(record.durationMs),
      upstreamMs: round(record.upstreamMs),
      receivedBytes: record.receivedBytes,
      sentBytes: record.sentBytes,
      completed: record.completed,
      userAgent: this.#hideUserAgent ? "" : cut(record.userAgent, USER_AGENT_UNITS),
    };
    if (record.status >= 500) this.#logger.error(line);
    else if (failed) this.#logger.warn(line);
    else this.#logger.info(line);
  }

  /** What a rule wrote with `console` or `ctx.log`. */
  ruleLine(entry: Parameters<SandboxEvents["log"]>[0]): void {
    const dropped = this.#passes(this.#ruleLines, entry.rule, "rule");
    if (dropped < 0) return;
    const level = entry.level === "debug" ? "info" : entry.level;
    this.#logger[level]({
      event: "rule-log",
      rule: entry.rule,
      release: entry.release,
      id: entry.exchange,
      ruleLevel: entry.level,
      text: cut(entry.text, RULE_TEXT_UNITS),
      ...linesDropped(dropped),
    });
  }

  ruleFailure(entry: Parameters<SandboxEvents["hook"]>[0]): void {
    const failure = entry.failure;
    if (failure === null) return;
    const dropped = this.#passes(this.#failures, entry.rule, "rule-failed");
    if (dropped < 0) return;
    this.#logger.error({
      event: "rule-failed",
      rule: entry.rule,
      release: entry.release,
      phase: entry.phase,
      outcome: entry.outcome,
      id: entry.exchange,
      kind: failure.kind,
      message: cut(failure.message, DETAIL_UNITS),
      stack: cut(failure.stack, STACK_UNITS),
      ...linesDropped(dropped),
    });
  }

  sandbox(entry: Parameters<SandboxEvents["sandbox"]>[0]): void {
    const level = entry.event === "started" || entry.event === "swapped" ? "info" : "warn";
    const { event, ...facts } = entry;
    this.#logger[level]({ event: `sandbox-${event}`, ...facts, reason: cut(facts.reason, DETAIL_UNITS) });
  }

  refused(error: GatewayError, facts: RefusalFacts): void {
    const dropped = this.#log.off ? -1 : this.#passes(this.#refusals, "", "refused");
    if (dropped < 0) return;
    this.#logger.warn({
      event: "refused",
      code: error.code,
      status: error.status,
      detail: cut(error.detail, DETAIL_UNITS),
      client: facts.clientAddress,
      port: facts.clientPort,
      localPort: facts.localPort,
      ...linesDropped(dropped),
    });
  }

  defect(error: GatewayError): void {
    const dropped = this.#passes(this.#failures, "", "defect");
    if (dropped < 0) return;
    const cause = error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : error.stack;
    this.#logger.error({
      event: "defect",
      code: error.code,
      detail: cut(error.detail, DETAIL_UNITS),
      stack: cut(cause ?? "", STACK_UNITS),
      ...linesDropped(dropped),
    });
  }

  note(level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>): void {
    this.#logger[level]({ event, ...facts });
  }

  #passes(rate: LineRate, source: string, kind: string): number {
    const dropped = rate.take(source);
    if (dropped < 0) this.#onDropped(kind);
    return dropped;
  }
}

function linesDropped(dropped: number): { linesDropped?: number } {
  return dropped > 0 ? { linesDropped: dropped } : {};
}

function cut(text: string, units: number): string {
  return text.length <= units ? text : `${text.slice(0, units)}…`;
}

/** Microseconds are enough. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
