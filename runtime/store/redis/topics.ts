/**
 * One topic as a worker listens to it: a Redis stream, read with XREAD BLOCK on a connection of its own. Messages are numbered, so that
 * after any absence it is known whether all of them came: what was trimmed, flushed or lost in a failover shows as a gap.
 */
import type { Clock, Timer } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";
import type { StoreEvent } from "../store.ts";
import type { Client } from "./connection.ts";

export interface TopicParts {
  readonly stream: string;
  /** Connection for this topic alone. */
  readonly open: () => Client;
  /** On the store's own connection: number of the last message, and the stream's last id. */
  readonly position: () => Promise<{ readonly number: number; readonly id: string }>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly timeoutMs: number;
  readonly tell: (event: StoreEvent) => void;
}

type Entry = readonly [id: string, fields: readonly string[]];

/** How long a read waits for a message; then the counter is looked at. */
const BLOCK_MS = 1000;
const ENTRIES_AT_ONCE = 200;
const RETRY_MS = 200;

export class TopicReader {
  readonly ready: Promise<void>;
  readonly #parts: TopicParts;
  readonly #ready = Promise.withResolvers<void>();
  readonly #client: Client;
  #id = "";
  #number = 0;
  #closed = false;
  #pause: Timer | null = null;

  constructor(parts: TopicParts) {
    this.#parts = parts;
    this.#client = parts.open();
    // The store's own connection tells of trouble; this one tries again until it is closed.
    this.#client.on("error", () => undefined);
    this.ready = this.#ready.promise;
    this.ready.catch(() => undefined);
    void this.#run();
  }

  close(): void {
    this.#closed = true;
    this.#pause?.cancel();
    this.#client.disconnect();
    this.#ready.reject(new GatewayError("STORE_UNAVAILABLE", "the subscription is closed"));
  }

  async #run(): Promise<void> {
    let late = false;
    while (!this.#closed) {
      try {
        if (this.#id === "") {
          await this.#begin(late);
          this.#ready.resolve();
        }
        const entries = await this.#read(BLOCK_MS);
        if (entries.length > 0) this.#take(entries);
        else await this.#compare();
      } catch (thrown) {
        late = true;
        this.#ready.reject(thrown instanceof GatewayError ? thrown : new GatewayError("STORE_UNAVAILABLE", String(thrown), { cause: thrown }));
        await this.#wait(RETRY_MS * (0.5 + this.#parts.random()));
      }
    }
  }

  async #begin(gap: boolean): Promise<void> {
    const { number, id } = await this.#parts.position();
    this.#number = number;
    this.#id = id;
    if (gap) this.#parts.tell({ type: "gap" });
  }

  async #read(blockMs: number): Promise<readonly Entry[]> {
    const { stream, timeoutMs, clock } = this.#parts;
    // A server that is stopped, or gone without a word, lets it wait for ever.
    const deadline = clock.after(blockMs + timeoutMs, () => this.#client.disconnect(true));
    try {
      const reply =
        blockMs > 0
          ? await this.#client.xread("COUNT", ENTRIES_AT_ONCE, "BLOCK", blockMs, "STREAMS", stream, this.#id)
          : await this.#client.xread("COUNT", ENTRIES_AT_ONCE, "STREAMS", stream, this.#id);
      return (reply as [string, Entry[]][] | null)?.[0]?.[1] ?? [];
    } finally {
      deadline.cancel();
    }
  }

  #take(entries: readonly Entry[]): void {
    for (const [id, fields] of entries) {
      if (this.#closed) return;
      const number = Number(fields[fields.indexOf("n") + 1]);
      if (number !== this.#number + 1) this.#parts.tell({ type: "gap" });
      this.#id = id;
      this.#number = number;
      this.#parts.tell({ type: "message", message: fields[fields.indexOf("m") + 1]! });
    }
  }

  /** Nothing came: is nothing there? After a flush or a failover the counter is another one, and ids may have begun anew below ours. */
  async #compare(): Promise<void> {
    const { number, id } = await this.#parts.position();
    if (number === this.#number) return;
    const entries = number > this.#number ? await this.#read(0) : [];
    if (entries.length > 0) {
      this.#take(entries);
      return;
    }
    this.#number = number;
    this.#id = id;
    this.#parts.tell({ type: "gap" });
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#pause = this.#parts.clock.after(ms, resolve);
      if (this.#closed) resolve();
    });
  }
}
