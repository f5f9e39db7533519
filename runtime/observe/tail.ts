/** The readers of one worker's live lines. Without one, whatever happens costs the observer one comparison. */
import type { GatewayError } from "../errors.ts";
import type { SandboxEvents } from "../sandbox/sandbox.ts";
import type { ExchangeRecord } from "./record.ts";
import type { TailBatch, TailEvent, TailFilter } from "./tail-events.ts";
import { TailSession } from "./tail-session.ts";

export type { TailBatch, TailEvent, TailFilter } from "./tail-events.ts";

export interface TailsOptions {
  readonly worker: number;
  readonly unixMs: () => number;
  /** One batch for each tail; the next after `more`. */
  readonly send: (batch: TailBatch) => void;
}

export class Tails {
  readonly #sessions = new Map<number, TailSession>();
  readonly #options: TailsOptions;
  #readers: readonly TailSession[] = [];

  constructor(options: TailsOptions) {
    this.#options = options;
  }

  /** Is anybody there? */
  get active(): boolean {
    return this.#readers.length > 0;
  }

  open(tail: number, filter: TailFilter, key: string): void {
    const { send } = this.#options;
    this.#sessions.set(tail, new TailSession(filter, key, (batch) => send({ tail, ...batch })));
    this.#readers = [...this.#sessions.values()];
  }
  more(tail: number): void {
    this.#sessions.get(tail)?.more();
  }
  close(tail: number): void {
    this.#sessions.delete(tail);
    this.#readers = [...this.#sessions.values()];
  }

  exchange(record: ExchangeRecord): void {
    for (const reader of this.#readers) reader.exchange(record, this.#options.worker);
  }
  hook(entry: Parameters<SandboxEvents["hook"]>[0]): void {
    const { unixMs, worker } = this.#options;
    for (const reader of this.#readers) reader.hook(entry, unixMs(), worker);
  }
  log(entry: Parameters<SandboxEvents["log"]>[0]): void {
    const { unixMs, worker } = this.#options;
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
