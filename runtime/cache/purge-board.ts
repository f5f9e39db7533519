/**
 * Purges over all gateways. A purge is numbered and logged in the store, then published; every worker notes it and says so, and the
 * purge is over when all have. A worker that was away reads the log when it is back, before it looks at what lies in the store.
 */
import { randomBytes } from "node:crypto";
import { z } from "zod";
import { asGatewayError } from "../errors.ts";
import type { StoreEvent, Subscription } from "../store/store.ts";
import type { CacheParts, PurgeReport } from "./cache.ts";
import type { CacheCounts } from "./counters.ts";
import type { Lookup } from "./lookup.ts";
import type { PurgeOrder } from "./purges.ts";
import { ACKNOWLEDGE, PURGE, PURGE_LOG } from "./scripts/scripts.ts";

const KEYS = ["cache:{purge}:last", "cache:{purge}:log", "cache:{purge}:dropped"];
const TOPIC = "cache:purge";
const CHANGED_TOPIC = "cache:changed";
const LOG_ENTRIES = 5_000;
const ACKNOWLEDGED_FOR_MS = 60_000;
/** A purge is to be everywhere within a second. */
const DEADLINE_MS = 950;
const FIRST_LOOK_MS = 3;
const LONGEST_LOOK_MS = 40;
const READ_AGAIN_MS = 500;
const MAX_KEY_UNITS = 64 * 1024;

const Order = z.strictObject({ kind: z.enum(["url", "prefix", "tag", "all"]), value: z.string().max(MAX_KEY_UNITS), soft: z.boolean() });
const Message = z.strictObject({ number: z.number(), before: z.number(), order: Order });

export class PurgeBoard {
  readonly #parts: CacheParts;
  readonly #lookup: Lookup;
  readonly #counts: CacheCounts;
  readonly #onTrust: (trusted: boolean) => void;
  readonly #name = randomBytes(9).toString("base64url");
  readonly #subscriptions: Subscription[] = [];
  readonly #endHealth: () => void;
  /** Every purge up to this number has been noted; -1: none is known. */
  #known = -1;
  #reading: Promise<void> | null = null;
  /** Somebody has read why the store is not looked into. */
  #told = false;
  #closed = false;

  constructor(parts: CacheParts, lookup: Lookup, counts: CacheCounts, onTrust: (trusted: boolean) => void) {
    this.#parts = parts;
    this.#lookup = lookup;
    this.#counts = counts;
    this.#onTrust = onTrust;
    const { store } = parts;
    const purges = store.subscribe(TOPIC, (event) => this.#heard(event));
    const changes = store.subscribe(CHANGED_TOPIC, (event) => this.#changed(event));
    this.#subscriptions.push(purges, changes);
    // A store that is not there yet begins with a gap, which reads the log.
    purges.ready.then(
      () => this.#readLog(),
      () => undefined,
    );
    changes.ready.catch(() => undefined);
    this.#endHealth = store.onHealth(({ state }) => {
      if (state === "ready" && this.#known < 0) void this.#readLog();
    });
  }

  /** For answers that are asked for from now on. */
  get known(): number {
    return this.#known;
  }

  async purge(order: PurgeOrder): Promise<PurgeReport> {
    const { store, clock } = this.#parts;
    this.#lookup.purges.note(order, -1);
    let number: number;
    try {
      const [made, before] = (await store.run(PURGE, KEYS, [JSON.stringify(order), LOG_ENTRIES])) as [number, number];
      number = made;
      await store.publish(TOPIC, JSON.stringify({ number, before, order } satisfies z.infer<typeof Message>));
    } catch (thrown) {
      return { done: 0, members: store.liveMembers(), reason: `the store could not be told: ${asGatewayError(thrown).detail}` };
    }
    const untilMs = clock.now() + DEADLINE_MS;
    let pauseMs = FIRST_LOOK_MS;
    for (;;) {
      const done = await this.#acknowledged(number, 0);
      const members = store.liveMembers();
      if (done >= members) return { done, members, reason: "" };
      if (clock.now() >= untilMs) {
        return {
          done,
          members,
          reason: `${members - done} of ${members} workers have not said within ${DEADLINE_MS} ms that they purged; they will when they are back`,
        };
      }
      await new Promise<void>((resolve) => void clock.after(pauseMs, resolve));
      pauseMs = Math.min(pauseMs * 1.6, LONGEST_LOOK_MS);
    }
  }

  /** Told to the other workers; one that is cut off hears it later. */
  changed(primaryKey: string): void {
    if (primaryKey.length > MAX_KEY_UNITS) return;
    this.#parts.store.publish(CHANGED_TOPIC, `${this.#name}\n${primaryKey}`).catch(() => void this.#counts.sharedFailures++);
  }

  #changed(event: StoreEvent): void {
    if (event.type === "message") {
      const [by, key] = splitOnce(event.message, "\n");
      // This worker has done it already, and may have stored anew since.
      if (by !== this.#name) this.#lookup.invalidate(key);
    }
    // What was missed is not in the log of purges: whatever is stored may be out of date.
    else this.#lookup.purges.noteGap();
  }

  #heard(event: StoreEvent): void {
    if (event.type === "gap") {
      this.#distrust();
      void this.#readLog();
      return;
    }
    const message = messageOf(event.message);
    if (message === null) {
      this.#parts.warn("cache-purge-unreadable", { length: event.message.length });
      return;
    }
    const { number, before, order } = message;
    this.#note(order, number);
    if (before <= this.#known) this.#known = Math.max(this.#known, number);
    // One that came before it has not arrived: the log has it.
    else if (this.#known >= 0) void this.#readLog();
    void this.#acknowledged(number, 1);
  }

  #note(order: PurgeOrder, number: number): void {
    this.#counts.purges++;
    this.#lookup.purges.note(order, number);
  }

  async #acknowledged(number: number, more: 0 | 1): Promise<number> {
    try {
      const [count] = await this.#parts.store.run(ACKNOWLEDGE, [`cache:purged:${number}`], [more, ACKNOWLEDGED_FOR_MS]);
      return Number(count);
    } catch {
      // Whoever waits for it gives up at its deadline.
      this.#counts.sharedFailures++;
      return 0;
    }
  }

  #distrust(): void {
    this.#known = -1;
    this.#onTrust(false);
  }

  #readLog(): Promise<void> {
    return (this.#reading ??= this.#read().finally(() => (this.#reading = null)));
  }

  async #read(): Promise<void> {
    if (this.#closed) return;
    const { purges } = this.#lookup;
    try {
      const [last, dropped, ...log] = await this.#parts.store.run(PURGE_LOG, KEYS, []);
      for (const text of log) {
        const [number, json] = splitOnce(String(text), " ");
        const order = orderOf(json);
        if (order !== null && Number(number) > this.#known) this.#note(order, Number(number));
      }
      // What the log has dropped may have been about anything older.
      if (Number(dropped) > 0) purges.noteDropped(Number(dropped));
      this.#known = Math.max(this.#known, Number(last));
      this.#told = false;
      this.#onTrust(true);
    } catch (thrown) {
      this.#counts.sharedFailures++;
      // Without the log nobody knows what was purged meanwhile.
      purges.noteGap();
      this.#distrust();
      if (!this.#told) this.#parts.warn("cache-purges-unknown", { reason: asGatewayError(thrown).detail });
      this.#told = true;
      // Also when the store is said to be ready by then: what is told of its health may come before it takes calls.
      this.#parts.clock.after(READ_AGAIN_MS, () => {
        if (this.#known < 0) void this.#readLog();
      });
    }
  }

  close(): void {
    this.#closed = true;
    this.#endHealth();
    for (const subscription of this.#subscriptions) subscription.close();
  }
}

function messageOf(text: string): z.infer<typeof Message> | null {
  return parsed(Message, text);
}
function orderOf(text: string): PurgeOrder | null {
  return parsed(Order, text);
}
function parsed<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    // Of another version, or damaged.
    return null;
  }
}
function splitOnce(text: string, at: string): [string, string] {
  const end = text.indexOf(at);
  return [text.slice(0, end), text.slice(end + 1)];
}
