/** Topics that a worker listens to: each goes on at the number it saw last, whatever happened to pipe and process meanwhile. */
import type { Clock } from "../../clock.ts";
import type { StoreEvent, Subscription } from "../store.ts";

export type Handler = (event: StoreEvent) => void;

/** Asks the store to send what comes after `after` in `epoch` ("": from now on). */
export type Subscribe = (topic: string, epoch: string, after: number) => Promise<{ readonly epoch: string; readonly after: number; readonly gap: boolean }>;

interface Listened {
  readonly topic: string;
  readonly handlers: Set<Handler>;
  readonly ready: PromiseWithResolvers<void>;
  epoch: string;
  last: number;
  state: "away" | "asking" | "live";
  /** Arrived before the answer that says from where they count. */
  early: { readonly number: number; readonly message: string }[];
  /** The first attempt failed: what was missed since then nobody knows. */
  late: boolean;
}

const RETRY_MS = 1000;

export class TopicSubscriptions {
  readonly #subscribe: Subscribe;
  readonly #unsubscribe: (topic: string) => void;
  readonly #clock: Clock;
  readonly #topics = new Map<string, Listened>();
  #closed = false;

  constructor(parts: { readonly subscribe: Subscribe; readonly unsubscribe: (topic: string) => void; readonly clock: Clock }) {
    this.#subscribe = parts.subscribe;
    this.#unsubscribe = parts.unsubscribe;
    this.#clock = parts.clock;
  }

  add(topic: string, handler: Handler): Subscription {
    let listened = this.#topics.get(topic);
    if (listened === undefined) {
      listened = { topic, handlers: new Set(), ready: Promise.withResolvers(), epoch: "", last: 0, state: "away", early: [], late: false };
      // Whoever waits for it is told all the same.
      listened.ready.promise.catch(() => undefined);
      this.#topics.set(topic, listened);
      void this.#ask(listened);
    }
    const { handlers, ready } = listened;
    handlers.add(handler);
    return { ready: ready.promise, close: () => this.#remove(topic, handler) };
  }

  /** The pipe is gone: nothing arrives until `resume`. */
  suspend(): void {
    for (const listened of this.#topics.values()) if (listened.state === "live") listened.state = "away";
  }

  /** There is a pipe again. */
  resume(): void {
    for (const listened of this.#topics.values()) if (listened.state === "away") void this.#ask(listened);
  }

  message(topic: string, number: number, message: string): void {
    const listened = this.#topics.get(topic);
    if (listened === undefined) return;
    if (listened.state === "live") this.#deliver(listened, number, message);
    else listened.early.push({ number, message });
  }

  close(): void {
    this.#closed = true;
    this.#topics.clear();
  }

  async #ask(listened: Listened): Promise<void> {
    listened.state = "asking";
    listened.early = [];
    try {
      const { epoch, after, gap } = await this.#subscribe(listened.topic, listened.epoch, listened.last);
      listened.epoch = epoch;
      listened.last = after;
      listened.state = "live";
      if (gap || listened.late) tell(listened, { type: "gap" });
      listened.late = false;
      listened.ready.resolve();
      for (const { number, message } of listened.early) this.#deliver(listened, number, message);
      listened.early = [];
    } catch (thrown) {
      listened.state = "away";
      listened.late ||= listened.epoch === "";
      listened.ready.reject(thrown);
      this.#clock.after(RETRY_MS, () => {
        if (listened.state === "away" && this.#topics.get(listened.topic) === listened && !this.#closed) void this.#ask(listened);
      });
    }
  }

  #deliver(listened: Listened, number: number, message: string): void {
    if (number <= listened.last) return;
    if (number !== listened.last + 1) tell(listened, { type: "gap" });
    listened.last = number;
    tell(listened, { type: "message", message });
  }

  #remove(topic: string, handler: Handler): void {
    const listened = this.#topics.get(topic);
    if (listened === undefined || !listened.handlers.delete(handler) || listened.handlers.size > 0) return;
    this.#topics.delete(topic);
    this.#unsubscribe(topic);
  }
}

function tell({ handlers }: Listened, event: StoreEvent): void {
  for (const handler of handlers) handler(event);
}
