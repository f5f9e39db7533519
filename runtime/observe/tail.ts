/** The readers of one worker's live lines. Without one, whatever happens costs the observer one comparison. */
import type { GatewayError } from "../errors.ts";
import type { SandboxEvents } from "../sandbox/sandbox.ts";
import type { ExchangeRecord } from "./record.ts";
import type { TailBatch, TailEvent, TailFilter } from "./tail-events.ts";
import { TailMemory } from "./tail-memory.ts";
import { exchangeEvent, exceptionEvent, logEvent, TailSession } from "./tail-session.ts";

export type { TailBatch, TailEvent, TailFilter } from "./tail-events.ts";

export interface TailsOptions {
  readonly worker: number;
  readonly unixMs: () => number;
  /** One batch for each tail; the next after `more`. */
  readonly send: (batch: TailBatch) => void;
  /** Runs it when the next batch may go. Left out: at once. Thousands of small messages a second cost visitors more than what is in them. */
  readonly rest?: (next: () => void) => void;
}

export class Tails {
  readonly #sessions = new Map<number, TailSession>();
  readonly #options: TailsOptions;
  #readers: readonly TailSession[] = [];
  readonly #memory = new TailMemory();

  constructor(options: TailsOptions) {
    this.#options = options;
  }

  /** Is anybody there, or an exchange that is to be remembered? */
  get active(): boolean {
    return this.#readers.length > 0 || this.#memory.isOpen;
  }

  open(tail: number, filter: TailFilter, key: string): void {
    const { send, unixMs, rest = (next) => next() } = this.#options;
    const session = new TailSession(filter, { key, nowMs: unixMs, send: (batch) => send({ tail, ...batch }), rest });
    this.#sessions.set(tail, session);
    if (filter.trace !== "") for (const event of this.#memory.of(filter.trace)) session.recall(event);
    this.#readers = [...this.#sessions.values()];
  }
  more(tail: number): void {
    this.#sessions.get(tail)?.more();
  }
  close(tail: number): void {
    this.#sessions.delete(tail);
    this.#readers = [...this.#sessions.values()];
  }

  traced(id: string): void {
    this.#memory.begin(id);
  }
  step(step: { readonly id: string; readonly rule: string; readonly phase: string; readonly text: string; readonly place: string }): void {
    const event = { type: "step", ...this.#stamp(), ...step } as const;
    this.#memory.add(step.id, event);
    for (const reader of this.#readers) reader.step(event);
  }

  exchange(record: ExchangeRecord): void {
    if (this.#memory.has(record.id)) {
      this.#memory.add(record.id, exchangeEvent(record, this.#options.worker, record.id));
      this.#memory.over(record.id);
    }
    for (const reader of this.#readers) reader.exchange(record, this.#options.worker);
  }
  hook(entry: Parameters<SandboxEvents["hook"]>[0]): void {
    const { unixMs, worker } = this.#options;
    if (entry.failure !== null && this.#memory.has(entry.exchange)) this.#memory.add(entry.exchange, exceptionEvent(entry, entry.failure, unixMs(), worker));
    for (const reader of this.#readers) reader.hook(entry, unixMs(), worker);
  }
  log(entry: Parameters<SandboxEvents["log"]>[0]): void {
    const { unixMs, worker } = this.#options;
    if (this.#memory.has(entry.exchange)) this.#memory.add(entry.exchange, logEvent(entry, unixMs(), worker));
    for (const reader of this.#readers) reader.log(entry, unixMs(), worker);
  }
  sandbox({ event, by, reason, rule }: Parameters<SandboxEvents["sandbox"]>[0]): void {
    const isError = event !== "started" && event !== "swapped";
    this.#other(isError, rule, { type: "sandbox", ...this.#stamp(), event, by, reason, rule });
  }
  refused({ code, detail }: GatewayError): void {
    this.#other(false, "", { type: "refused", ...this.#stamp(), code, detail });
  }
  defect({ code, detail }: GatewayError): void {
    this.#other(true, "", { type: "defect", ...this.#stamp(), code, detail });
  }

  #other(isError: boolean, rule: string, event: TailEvent): void {
    for (const reader of this.#readers) reader.other(isError, rule, event);
  }
  #stamp(): { atMs: number; worker: number } {
    return { atMs: this.#options.unixMs(), worker: this.#options.worker };
  }
}
