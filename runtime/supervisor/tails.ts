/** Readers of live lines, and the workers that have some for them. Holds at most one batch of each worker for each reader. */
import { randomBytes } from "node:crypto";
import type { OpenTail, TailReader, TailSource } from "../control/tail.ts";
import type { TailBatch, TailFilter } from "../observe/tail.ts";

export type TailOrder =
  /** `key`: what query values are digested with, the same on all workers. */
  | { readonly order: "open"; readonly tail: number; readonly filter: TailFilter; readonly key: string }
  /** The last batch was taken. */
  | { readonly order: "more"; readonly tail: number }
  | { readonly order: "close"; readonly tail: number };

export interface TailedWorker {
  readonly number: number;
  tail(order: TailOrder): void;
}

/** Each costs every worker a look at every exchange. */
const MAX_READERS = 16;

interface Open {
  readonly reader: TailReader;
  readonly filter: TailFilter;
  readonly key: string;
}

export class Tails implements TailSource {
  readonly #open = new Map<number, Open>();
  readonly #workers = new Map<number, TailedWorker>();
  #next = 1;

  get isFull(): boolean {
    return this.#open.size >= MAX_READERS;
  }

  open(filter: TailFilter, reader: TailReader): OpenTail {
    const tail = this.#next++;
    const key = randomBytes(12).toString("hex");
    this.#open.set(tail, { reader, filter, key });
    for (const worker of this.#workers.values()) worker.tail({ order: "open", tail, filter, key });
    return {
      workers: this.#workers.size,
      close: () => {
        if (!this.#open.delete(tail)) return;
        for (const worker of this.#workers.values()) worker.tail({ order: "close", tail });
      },
    };
  }

  joined(worker: TailedWorker): void {
    this.#workers.set(worker.number, worker);
    for (const [tail, { filter, key, reader }] of this.#open) {
      worker.tail({ order: "open", tail, filter, key });
      reader.worker(worker.number, "joined");
    }
  }

  /** What it had not sent is lost with it, and readers are told so. */
  left(worker: TailedWorker, wasAsked: boolean): void {
    if (!this.#workers.delete(worker.number)) return;
    for (const { reader } of this.#open.values()) reader.worker(worker.number, wasAsked ? "ended" : "lost");
  }

  took(worker: TailedWorker, batch: TailBatch): void {
    this.#open.get(batch.tail)?.reader.batch(worker.number, batch, () => worker.tail({ order: "more", tail: batch.tail }));
  }
}
