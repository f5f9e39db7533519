/**
 * What operators and guardrails decided about running experiments: stopped, shipped, or running. One text in the store, with a version;
 * every worker knows of a change within two seconds, by word of mouth or by looking.
 */
import { z } from "zod";
import type { Clock, Timer } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";
import { defineScript, type Store, type StoreScript, type Subscription } from "../../store/store.ts";
import type { LiveState } from "../assign/plan.ts";

export interface LiveEntry {
  readonly state: LiveState;
  /** For people: who reads the report a month later must know why. */
  readonly reason: string;
  /** Name of a token, or "guardrail". */
  readonly by: string;
  readonly atUnixMs: number;
}

/** Experiments that it does not name run. */
export interface LiveBoard {
  /** Grows with each change; 0: nobody ever decided anything. */
  readonly version: number;
  readonly entries: ReadonlyMap<string, LiveEntry>;
}

export type LiveChange = { readonly outcome: "changed"; readonly board: LiveBoard } | { readonly outcome: "conflict"; readonly board: LiveBoard };

const PLACE = "experiments:live";
const TOPIC = "experiments:live";
/** A message that was lost is made up for by this, within the two seconds that a stop may take. */
const LOOK_EVERY_MS = 1000;
const MAX_ENTRIES = 1000;
const MAX_ATTEMPTS = 8;
export const NOTHING_DECIDED: LiveBoard = Object.freeze({ version: 0, entries: new Map<string, LiveEntry>() });

export const SET_LIVE: StoreScript = defineScript({
  name: "experiments:set-live",
  lua: new URL("./set-live.lua", import.meta.url),
  durable: true,
  embedded(db, [place], [version, text]) {
    const there = (db.get(place!) as string | undefined) ?? "";
    if ((there === "" ? "0" : String(Number.parseInt(there, 10))) !== String(version)) return [0, there];
    db.set(place!, String(text), null);
    return [1, String(text)];
  },
});

const Entry = z.strictObject({
  state: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("running") }),
    z.strictObject({ kind: z.literal("stopped") }),
    z.strictObject({ kind: z.literal("shipped"), variant: z.string() }),
  ]),
  reason: z.string(),
  by: z.string(),
  atUnixMs: z.number(),
});
const Entries = z.record(z.string(), Entry);

function readBoard(text: string): LiveBoard {
  if (text === "") return NOTHING_DECIDED;
  const space = text.indexOf(" ");
  const version = Number(text.slice(0, space));
  const entries = Entries.safeParse(jsonOf(text.slice(space + 1)));
  if (space < 0 || !Number.isSafeInteger(version) || !entries.success)
    throw new GatewayError("STORE_REFUSED", "what the store holds of stopped and shipped experiments is not of this version of Sluice");
  return { version, entries: new Map(Object.entries(entries.data)) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function writtenBoard({ version, entries }: LiveBoard): string {
  return `${version} ${JSON.stringify(Object.fromEntries(entries))}`;
}

export async function readLive(store: Store): Promise<LiveBoard> {
  return readBoard((await store.get(PLACE))?.toString("utf8") ?? "");
}

/**
 * Decides about one experiment, and tells every worker. `expectedVersion`: of the board that the decision was made by; null: whatever it says.
 * An entry whose state is `running` says that it runs again, and why.
 */
export async function setLive(store: Store, key: string, entry: LiveEntry, expectedVersion: number | null): Promise<LiveChange> {
  let board = await readLive(store);
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (expectedVersion !== null && board.version !== expectedVersion) return { outcome: "conflict", board };
    const entries = new Map(board.entries);
    entries.delete(key);
    entries.set(key, entry);
    // The longest untouched go: those of experiments that ended long ago.
    while (entries.size > MAX_ENTRIES) entries.delete(entries.keys().next().value!);
    const next: LiveBoard = { version: board.version + 1, entries };
    const [done, there] = await store.run(SET_LIVE, [PLACE], [board.version, writtenBoard(next)]);
    if (done === 1) {
      await store.publish(TOPIC, String(next.version));
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

/** A worker's eye on it. What is known stays while the store is away; a store that forgot everything is told again. */
export class LiveWatch {
  readonly #parts: LiveWatchParts;
  readonly #subscription: Subscription;
  readonly ready: Promise<void>;
  #board: LiveBoard = NOTHING_DECIDED;
  #reading: Promise<void> | null = null;
  #again = false;
  #timer: Timer | null = null;
  #failing = false;
  #closed = false;

  constructor(parts: LiveWatchParts) {
    this.#parts = parts;
    this.#subscription = parts.store.subscribe(TOPIC, () => void this.#look());
    this.#subscription.ready.catch(() => undefined);
    this.ready = this.#look();
    this.#later();
  }

  get board(): LiveBoard {
    return this.#board;
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
    const { store, onChange, warn } = this.#parts;
    try {
      const board = await readLive(store);
      if (board.version > this.#board.version) {
        this.#board = board;
        onChange(board);
      } else if (board.version < this.#board.version) {
        // Flushed: a stopped experiment must not come back to life by that.
        await store.run(SET_LIVE, [PLACE], [board.version, writtenBoard(this.#board)]);
      }
      this.#failing = false;
    } catch (thrown) {
      if (!this.#failing) warn(`what operators decided about experiments can't be read, what is known stays: ${String(thrown)}`);
      this.#failing = true;
    }
  }
}
