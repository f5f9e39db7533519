/** One reader's view of one worker: what it asked for, what of it waits, and when the next batch may go. */
import { createHash } from "node:crypto";
import type { SandboxEvents } from "../sandbox/sandbox.ts";
import type { ExchangeRecord } from "./record.ts";
import type { TailBatch, TailEvent, TailFilter } from "./tail-events.ts";
import { hasFailed, ReadyFilter } from "./tail-filter.ts";
import { TailQueue } from "./tail-queue.ts";

/** Exchanges that are remembered at once, for lines that come before or after their record. */
const MAX_REMEMBERED = 2_000;
/** Lines of one exchange that wait for it. */
const MAX_HELD_LINES = 100;
const TARGET_UNITS = 2_000;
const TEXT_UNITS = 4_000;
const DIGEST_DIGITS = 8;

interface Line {
  readonly isError: boolean;
  readonly event: TailEvent;
}

export class TailSession {
  readonly #filter: ReadyFilter;
  readonly #key: string;
  readonly #queue: TailQueue;
  readonly #nowMs: () => number;
  readonly #send: (batch: Omit<TailBatch, "tail">) => void;
  readonly #rest: (next: () => void) => void;
  /** Lines of exchanges that are not over, when the filter asks for what only then is known. */
  readonly #held = new Map<string, Line[]>();
  /** Whether exchanges that are over were shown. */
  readonly #decided = new Map<string, boolean>();
  /** Exchanges in which the rule that is asked for ran. */
  readonly #touched = new Set<string>();
  /** The last batch has been taken on: another may go. */
  #mayShip = true;
  #shipping = false;

  /** `key`: what query values are digested with. `rest`: between two batches. */
  constructor(
    filter: TailFilter,
    { key, nowMs, send, rest }: { key: string; nowMs: () => number; send: (batch: Omit<TailBatch, "tail">) => void; rest: (next: () => void) => void },
  ) {
    this.#queue = new TailQueue(filter.perSecond);
    this.#nowMs = nowMs;
    this.#rest = rest;
    this.#filter = new ReadyFilter(filter);
    this.#key = key;
    this.#send = send;
  }

  exchange(record: ExchangeRecord, worker: number): void {
    const filter = this.#filter;
    const shown = filter.exchange(record) && (filter.rule === "" || filter.isRule(record.rule) || this.#touched.has(record.id));
    if (filter.rule !== "") this.#touched.delete(record.id);
    if (filter.asksExchange) this.#decide(record.id, shown);
    if (!shown) return;
    const isError = hasFailed(record);
    if (this.#takes(isError)) this.#add({ isError, event: exchangeEvent(record, worker, this.#key) });
    else this.#ship();
  }

  hook(entry: Parameters<SandboxEvents["hook"]>[0], atMs: number, worker: number): void {
    const { rule, failure, exchange } = entry;
    if (this.#filter.rule !== "" && this.#filter.isRule(rule)) remember(this.#touched, exchange);
    if (failure === null) return;
    this.#ofRule(rule, exchange, true, () => exceptionEvent(entry, failure, atMs, worker));
  }

  log(entry: Parameters<SandboxEvents["log"]>[0], atMs: number, worker: number): void {
    this.#ofRule(entry.rule, entry.exchange, entry.level === "error", () => logEvent(entry, atMs, worker));
  }

  /** What is of no exchange. */
  other(isError: boolean, rule: string, event: TailEvent): void {
    const filter = this.#filter;
    if (filter.asksExchange || filter.trace !== "" || (filter.errors && !isError) || !filter.isRule(rule)) return;
    if (this.#takes(isError)) this.#add({ isError, event });
    else this.#ship();
  }

  /** A line of an exchange that was over before this reader came. */
  recall(event: TailEvent): void {
    if (this.#takes(true)) this.#add({ isError: true, event });
  }

  /** What a rule changed in an exchange with a debug header: for whoever asks for that exchange alone. */
  step(event: TailEvent & { readonly id: string }): void {
    if (this.#filter.trace === event.id && this.#takes(true)) this.#add({ isError: true, event });
  }

  /** The reader has taken the last batch. */
  more(): void {
    this.#rest(() => {
      this.#mayShip = true;
      if (!this.#queue.isEmpty) this.#ship();
    });
  }

  #takes(isError: boolean): boolean {
    return this.#queue.takes(isError, this.#nowMs());
  }

  #ofRule(rule: string, exchange: string, isError: boolean, make: () => TailEvent): void {
    const filter = this.#filter;
    if (!filter.isRule(rule) || (filter.errors && !isError) || (filter.trace !== "" && filter.trace !== exchange)) return;
    if (!filter.asksExchange) {
      if (this.#takes(isError)) this.#add({ isError, event: make() });
      else this.#ship();
      return;
    }
    const decided = this.#decided.get(exchange);
    if (decided === false) return;
    if (decided === true) {
      if (this.#takes(isError)) this.#add({ isError, event: make() });
      return;
    }
    this.#hold(exchange, { isError, event: make() });
  }

  #hold(exchange: string, line: Line): void {
    const lines = this.#held.get(exchange);
    if (lines === undefined) {
      this.#held.set(exchange, [line]);
      if (this.#held.size > MAX_REMEMBERED) this.#letGo(this.#held.keys().next().value!);
    } else if (lines.length < MAX_HELD_LINES || line.isError) lines.push(line);
    else this.#queue.dropped(false, 1);
  }

  /** Nobody knows yet whether they are asked for, and there is no more room to wait: errors are shown all the same. */
  #letGo(exchange: string): void {
    for (const line of this.#held.get(exchange)!) {
      if (line.isError && this.#takes(true)) this.#add(line);
      else if (!line.isError) this.#queue.dropped(false, 1);
    }
    this.#held.delete(exchange);
  }

  #decide(exchange: string, shown: boolean): void {
    this.#decided.set(exchange, shown);
    if (this.#decided.size > MAX_REMEMBERED) this.#decided.delete(this.#decided.keys().next().value!);
    const held = this.#held.get(exchange);
    if (held === undefined) return;
    this.#held.delete(exchange);
    if (shown) for (const line of held) if (this.#takes(line.isError)) this.#add(line);
  }

  #add({ isError, event }: Line): void {
    this.#queue.add(isError, JSON.stringify(event));
    this.#ship();
  }

  /** All of one turn together, and nothing more until that was taken: a slow reader costs lines, never time. */
  #ship(): void {
    if (!this.#mayShip || this.#shipping) return;
    this.#shipping = true;
    setImmediate(() => {
      this.#shipping = false;
      if (this.#queue.isEmpty) return;
      this.#mayShip = false;
      this.#send(this.#queue.batch());
    });
  }
}

type HookEntry = Parameters<SandboxEvents["hook"]>[0];

export function exceptionEvent(
  { rule, release, phase, outcome, exchange }: HookEntry,
  failure: NonNullable<HookEntry["failure"]>,
  atMs: number,
  worker: number,
): TailEvent {
  const { kind, message, stack } = failure;
  return {
    type: "exception",
    atMs,
    worker,
    id: exchange,
    rule,
    release,
    phase,
    outcome,
    kind,
    message: cut(message, TEXT_UNITS),
    stack: cut(stack, TEXT_UNITS),
  };
}

export function logEvent({ rule, release, level, text, exchange }: Parameters<SandboxEvents["log"]>[0], atMs: number, worker: number): TailEvent {
  return { type: "log", atMs, worker, id: exchange, rule, release, level, text: cut(text, TEXT_UNITS) };
}

/** `key`: what query values are digested with. */
export function exchangeEvent(record: ExchangeRecord, worker: number, key: string): TailEvent {
  return {
    type: "exchange",
    atMs: record.startMs,
    worker,
    id: record.id,
    failed: hasFailed(record),
    client: record.clientAddress,
    method: record.method,
    host: record.host,
    path: cut(digested(record.target, key), TARGET_UNITS),
    status: record.status,
    code: record.code,
    detail: cut(record.detail, TEXT_UNITS),
    from: record.from,
    route: record.route,
    upstream: record.upstream,
    target: record.upstreamTarget,
    release: record.release,
    beside: record.beside ?? "",
    rule: record.rule,
    variants: record.variants ?? "",
    durationMs: Math.round(record.durationMs * 1000) / 1000,
    upstreamMs: Math.round(record.upstreamMs * 1000) / 1000,
    sentBytes: record.sentBytes,
  };
}

/** Query values hold who somebody is and what they look for: each becomes a digest, equal for equal values of one reader. */
function digested(target: string, key: string): string {
  const mark = target.indexOf("?");
  if (mark < 0) return target;
  const pairs = target
    .slice(mark + 1, mark + 1 + TARGET_UNITS)
    .split("&")
    .map((pair) => {
      const equals = pair.indexOf("=");
      const [name, value] = equals < 0 ? ["", pair] : [pair.slice(0, equals + 1), pair.slice(equals + 1)];
      return value === "" ? name : `${name}~${createHash("sha256").update(key).update(value).digest("hex").slice(0, DIGEST_DIGITS)}`;
    });
  return `${target.slice(0, mark)}?${pairs.join("&")}`;
}

function remember(set: Set<string>, id: string): void {
  set.add(id);
  if (set.size > MAX_REMEMBERED) set.delete(set.values().next().value!);
}

function cut(text: string, units: number): string {
  return text.length <= units ? text : `${text.slice(0, units)}…`;
}
