/**
 * What operators and guardrails decided about running experiments: stopped, shipped, or running. One text in the store, with a version;
 * every worker knows of a change within two seconds, by word of mouth or by looking, and gives it back to a store that has lost it.
 */
import type { Clock, Timer } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";
import type { Store, StoreEvent, Subscription } from "../../store/store.ts";
import { decided, joined, type LiveBoard, type LiveEntry, NOTHING_DECIDED, readBoard, writtenBoard } from "./board.ts";
import { SET_LIVE } from "./scripts.ts";

export { type LiveBoard, type LiveEntry, NOTHING_DECIDED } from "./board.ts";

export type LiveChange = { readonly outcome: "changed"; readonly board: LiveBoard } | { readonly outcome: "conflict"; readonly board: LiveBoard };

const PLACE = "experiments:live";
const TOPIC = "experiments:live";
/** A message that was lost is made up for by this, within the two seconds that a stop may take. */
const LOOK_EVERY_MS = 1000;
const MAX_ATTEMPTS = 8;

export async function readLive(store: Store): Promise<LiveBoard> {
  return readBoard((await store.get(PLACE))?.toString("utf8") ?? "");
}

/**
 * Decides about one experiment, and tells every worker. `expectedVersion`: of the board that the decision was made by; null: whatever it says.
 * An entry whose state is `running` says that it runs again, and why. `known`: what else is known here, which the store may have lost. Resolves when the
 * store has it and every worker is told: each that hears of it keeps it, and gives it back should the store lose it.
 */
export async function setLive(
  store: Store,
  key: string,
  entry: LiveEntry,
  expectedVersion: number | null,
  known: LiveBoard = NOTHING_DECIDED,
): Promise<LiveChange> {
  let board = await readLive(store);
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (expectedVersion !== null && board.version !== expectedVersion) return { outcome: "conflict", board };
    const next = decided(joined(known, board), key, entry);
    const [done, there] = await store.run(SET_LIVE, [PLACE], [board.version, writtenBoard(next)]);
    if (done === 1) {
      const told = { version: next.version, entries: new Map([[key, next.entries.get(key)!]]) };
      await store.publish(TOPIC, writtenBoard(told));
      return { outcome: "changed", board: next };
    }
    board = readBoard(String(there));
  }
  throw new GatewayError("STORE_REFUSED", `${MAX_ATTEMPTS} others were quicker to decide about experiments`);
}

export interface LiveWatchParts {
  readonly store: Store;
  readonly clock: Clock;
  /** At once with what is known first, then at each change. Must not throw. */
  readonly onChange: (board: LiveBoard) => void;
  readonly warn: (text: string) => void;
}

/** A worker's eye on it, and a supervisor's hand. What is known stays while the store is away; a store that forgot it is told again. */
export class LiveWatch {
  readonly #parts: LiveWatchParts;
  readonly #subscription: Subscription;
  readonly ready: Promise<void>;
  #board: LiveBoard = NOTHING_DECIDED;
  /** The store's text when it said what is known here; null: it may say something else. */
  #agreed: string | null = null;
  #reading: Promise<void> | null = null;
  #again = false;
  #timer: Timer | null = null;
  #failing = false;
  #closed = false;

  constructor(parts: LiveWatchParts) {
    this.#parts = parts;
    this.#subscription = parts.store.subscribe(TOPIC, (event) => this.#hear(event));
    this.#subscription.ready.catch(() => undefined);
    this.ready = this.#look();
    this.#later();
  }

  get board(): LiveBoard {
    return this.#board;
  }

  /** As `setLive`; from then on this process knows of it, whatever becomes of the store. */
  async set(key: string, entry: LiveEntry, expectedVersion: number | null): Promise<LiveChange> {
    const change = await setLive(this.#parts.store, key, entry, expectedVersion, this.#board);
    if (change.outcome === "changed") this.#learn(joined(this.#board, change.board));
    return change;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#subscription.close();
  }

  #later(): void {
    this.#timer = this.#parts.clock.after(LOOK_EVERY_MS, () => {
      if (this.#closed) return;
      void this.#look();
      this.#later();
    });
  }

  /** A message holds one decision: known from here on, also if the store loses it at once. The look that follows finds what else there is. */
  #hear(event: StoreEvent): void {
    if (event.type === "message") {
      try {
        const { version, entries } = readBoard(event.message);
        const both = joined(this.#board, { version: 0, entries });
        if (both !== this.#board) this.#learn({ version: Math.max(this.#board.version + 1, version), entries: both.entries });
      } catch (thrown) {
        this.#tell(thrown);
      }
    }
    void this.#look();
  }

  #learn(board: LiveBoard): void {
    if (board === this.#board) return;
    this.#agreed = null;
    this.#board = board;
    this.#parts.onChange(board);
  }

  /** What is told while something is read may be newer than what is read. */
  #look(): Promise<void> {
    if (this.#reading !== null) this.#again = true;
    return (this.#reading ??= this.#read().finally(() => {
      this.#reading = null;
      if (!this.#again || this.#closed) return;
      this.#again = false;
      void this.#look();
    }));
  }

  async #read(): Promise<void> {
    const { store } = this.#parts;
    try {
      const text = (await store.get(PLACE))?.toString("utf8") ?? "";
      if (text !== this.#agreed) {
        const board = readBoard(text);
        const both = joined(this.#board, board);
        this.#learn(both);
        // Flushed, or back at an older copy: a stopped experiment must not come back to life by that. Who is quicker is joined at the next look.
        if (both.version === board.version) this.#agreed = text;
        else await store.run(SET_LIVE, [PLACE], [board.version, writtenBoard(both)]);
      }
      this.#failing = false;
    } catch (thrown) {
      this.#tell(thrown);
    }
  }

  #tell(thrown: unknown): void {
    if (!this.#failing) this.#parts.warn(`what operators decided about experiments can't be read, what is known stays: ${String(thrown)}`);
    this.#failing = true;
  }
}
