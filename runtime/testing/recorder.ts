/** An observer that keeps what each request of a test made happen. Requests may run at the same time: each has an id, and what is known of it. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { CallRecord, EffectRecord, HookRecord, LogLine, MetricRecord, UpstreamRequest } from "../../sdk/testing.ts";
import type { ExchangeRecord, Observer } from "../observe/observe.ts";
import type { Service } from "../sandbox/sandbox.ts";
import type { Trace } from "../sandbox/trace.ts";

/** What is known of one request. Lists grow until its last hook is over. */
export interface Kept {
  readonly traced: boolean;
  readonly upstreamRequests: UpstreamRequest[];
  readonly fetches: UpstreamRequest[];
  readonly logs: LogLine[];
  readonly metrics: MetricRecord[];
  readonly hooks: HookRecord[];
  readonly calls: CallRecord[];
  readonly effects: EffectRecord[];
  /** Experiment → variant, of those that acted on it. */
  variants: () => Readonly<Record<string, string>>;
  /** Resolves with the exchange when it is over; null: it was none, but bytes that the front refused. */
  readonly over: Promise<ExchangeRecord | null>;
}

type Open = Kept & { readonly end: (record: ExchangeRecord | null) => void };

export class Recorder {
  readonly observer: Observer;
  /** In the order in which they began. */
  readonly #open = new Map<string, Open>();
  /** On whose behalf a service works. */
  readonly #serving = new AsyncLocalStorage<string>();

  constructor(loggedLine: (rule: string, text: string) => boolean) {
    this.observer = {
      exchange: (record) => this.#of(record.id)?.end(record),
      rule: ({ rule, phase, outcome, failure, cpuUs, recalled = false, exchange }) =>
        void this.#of(exchange)?.hooks.push({
          rule,
          phase,
          outcome,
          failure: failure === null ? null : `${failure.message}\n${failure.stack}`,
          cpuMs: cpuUs / 1000,
          recalled,
        }),
      ruleLog: ({ rule, level, text, exchange }) => {
        if (!loggedLine(rule, text)) this.#of(exchange)?.logs.push({ rule, level, text });
      },
      ruleMetric: ({ rule, name, value, labels }) => void this.#latest()?.metrics.push({ rule, name, value, labels }),
      sandbox: () => undefined,
      limit: () => undefined,
      // Which request it was cannot be known: it has no id yet.
      refused: () => this.#latest()?.end(null),
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

  begin(id: string, traced: boolean): Kept {
    const { promise, resolve } = Promise.withResolvers<ExchangeRecord | null>();
    const lists = { upstreamRequests: [], fetches: [], logs: [], metrics: [], hooks: [], calls: [], effects: [], variants: () => ({}) };
    const kept: Open = { ...lists, traced, over: promise, end: resolve };
    this.#open.set(id, kept);
    return kept;
  }
  end(id: string): void {
    this.#open.delete(id);
  }

  upstreamAsked(request: UpstreamRequest): void {
    this.#of(request.headers.get("x-request-id") ?? "")?.upstreamRequests.push(request);
  }
  fetchAsked(request: UpstreamRequest): void {
    this.#of(this.#serving.getStore() ?? "")?.fetches.push(request);
  }

  /** The same services, and what each was asked and answered. */
  listenIn(services: Readonly<Record<string, Service>>): Record<string, Service> {
    return Object.fromEntries(Object.entries(services).map(([name, service]) => [name, this.#heard(name, service)]));
  }

  /** For requests that want their changes told. `variants`: what experiments show, asked when the request is over. */
  trace(id: string, variants: Kept["variants"]): Trace | null {
    const kept = this.#open.get(id);
    if (kept !== undefined) kept.variants = variants;
    return kept?.traced === true ? { effect: (effect) => void kept.effects.push(effect) } : null;
  }

  #heard(name: string, service: Service): Service {
    return async (call) => {
      const kept = this.#of(call.exchange.id);
      try {
        const answered = await this.#serving.run(call.exchange.id, () => service(call));
        kept?.calls.push({ service: name, asked: call.args, answered });
        return answered;
      } catch (thrown) {
        kept?.calls.push({ service: name, asked: call.args, answered: thrown instanceof Error ? thrown.message : String(thrown) });
        throw thrown;
      }
    };
  }

  #of(id: string): Open | undefined {
    return this.#open.get(id) ?? this.#latest();
  }
  #latest(): Open | undefined {
    let last: Open | undefined;
    for (const kept of this.#open.values()) last = kept;
    return last;
  }
}
