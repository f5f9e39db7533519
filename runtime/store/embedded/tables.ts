/** Keys, lifetimes and topics of the embedded store: plain data of one process, bounded in bytes. Nothing here waits. */
import { GatewayError } from "../../errors.ts";
import type { EmbeddedDb, EmbeddedValue, StoreScript } from "../script.ts";
import { checkReply } from "../script.ts";
import type { StoreArgument, StoreReply } from "../store.ts";

export interface Entry {
  readonly value: EmbeddedValue;
  /** Unix ms; Infinity: until deleted. */
  readonly expiresAtMs: number;
  readonly durable: boolean;
  readonly bytes: number;
}

/** A lasting key that changed; null: it is gone. */
export interface DurableChange {
  readonly key: string;
  readonly entry: Entry | null;
}

export interface TablesOptions {
  /** All keys and values together, with what the tables themselves need for them. */
  readonly limitBytes: number;
  readonly unixMs: () => number;
}

/** Of the map, the entry and the key's string, beside key and value. */
const ENTRY_OVERHEAD_BYTES = 120;
const VALUE_OVERHEAD_BYTES = 16;
/** Entries looked at in one turn for those past their lifetime: bounds what a sweep may cost. */
const SWEEP_ENTRIES = 200;
/** Lasting values may fill this part; the rest stays for what can be evicted. */
const DURABLE_SHARE = 0.75;

export class Tables {
  readonly #options: TablesOptions;
  /** In order of use: the first is the first to be evicted. */
  readonly #volatile = new Map<string, Entry>();
  readonly #durable = new Map<string, Entry>();
  #volatileBytes = 0;
  #durableBytes = 0;
  #evicted = 0;
  #changes: DurableChange[] = [];
  #sweepAt: Iterator<[string, Entry]> | null = null;

  constructor(options: TablesOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return this.#volatileBytes + this.#durableBytes;
  }
  get keys(): number {
    return this.#volatile.size + this.#durable.size;
  }
  get evicted(): number {
    return this.#evicted;
  }

  /** What must be written before the calls so far are answered. */
  takeChanges(): readonly DurableChange[] {
    if (this.#changes.length === 0) return NONE;
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  durableEntries(): ReadonlyMap<string, Entry> {
    return this.#durable;
  }

  /** An entry of an earlier life; one past its lifetime is left out. */
  restore(key: string, value: EmbeddedValue, expiresAtMs: number): void {
    this.#remove(key);
    if (expiresAtMs > this.#options.unixMs()) this.#put(key, value, expiresAtMs, true);
    this.#changes = [];
  }

  forget(key: string): void {
    this.#remove(key);
    this.#changes = [];
  }

  run(script: StoreScript, keys: readonly string[], args: readonly StoreArgument[]): StoreReply {
    const nowMs = this.#options.unixMs();
    const db: EmbeddedDb = {
      get: (key) => this.#find(key, nowMs)?.value,
      set: (key, value, ttlMs) => this.#set(key, value, ttlMs === null ? Infinity : nowMs + ttlMs, script.durable),
      delete: (key) => this.#find(key, nowMs) !== undefined && this.#remove(key),
      expiresAtMs: (key) => this.#find(key, nowMs)?.expiresAtMs ?? 0,
    };
    return checkReply(script, script.embedded(db, keys, args, nowMs));
  }

  get(key: string): Buffer | null {
    const value = this.#find(key, this.#options.unixMs())?.value;
    if (value === undefined) return null;
    if (Buffer.isBuffer(value)) return value;
    if (typeof value === "string" || typeof value === "number") return Buffer.from(String(value));
    throw new GatewayError("STORE_REFUSED", `${key} holds a script's table, which get cannot read`);
  }

  set(key: string, value: Buffer, ttlMs: number | null, durable: boolean): void {
    this.#set(key, value, ttlMs === null ? Infinity : this.#options.unixMs() + ttlMs, durable);
  }

  delete(keys: readonly string[]): number {
    const nowMs = this.#options.unixMs();
    let count = 0;
    for (const key of keys) if (this.#find(key, nowMs) !== undefined && this.#remove(key)) count++;
    return count;
  }

  /** Looks at some entries, goes on there the next time. True when many were past their lifetime: more are to be expected. */
  sweep(): boolean {
    const nowMs = this.#options.unixMs();
    this.#sweepAt ??= this.#all();
    let ended = 0;
    for (let i = 0; i < SWEEP_ENTRIES; i++) {
      const next = this.#sweepAt.next();
      if (next.done) {
        this.#sweepAt = null;
        break;
      }
      if (next.value[1].expiresAtMs > nowMs) continue;
      this.#remove(next.value[0], true);
      ended++;
    }
    return ended > SWEEP_ENTRIES / 4;
  }

  *#all(): Generator<[string, Entry]> {
    yield* this.#volatile;
    yield* this.#durable;
  }

  #find(key: string, nowMs: number): Entry | undefined {
    const entry = this.#volatile.get(key) ?? this.#durable.get(key);
    if (entry === undefined) return undefined;
    if (entry.expiresAtMs <= nowMs) {
      this.#remove(key, true);
      return undefined;
    }
    if (!entry.durable) {
      this.#volatile.delete(key);
      this.#volatile.set(key, entry);
    }
    return entry;
  }

  #set(key: string, value: EmbeddedValue, expiresAtMs: number, durable: boolean): void {
    const bytes = sizeOf(key, value);
    const { limitBytes } = this.#options;
    const bound = durable ? limitBytes * DURABLE_SHARE : limitBytes;
    const others = durable ? this.#durableBytes - (this.#durable.get(key)?.bytes ?? 0) : this.#durableBytes;
    if (others + bytes > bound) throw new GatewayError("STORE_FULL", `${bytes} bytes for one key: lasting keys hold ${others} of ${bound} bytes`);
    this.#remove(key);
    this.#put(key, value, expiresAtMs, durable, bytes);
    this.#evict();
  }

  #put(key: string, value: EmbeddedValue, expiresAtMs: number, durable: boolean, bytes = sizeOf(key, value)): void {
    const entry: Entry = { value, expiresAtMs, durable, bytes };
    if (durable) {
      this.#durable.set(key, entry);
      this.#durableBytes += bytes;
      this.#changes.push({ key, entry });
    } else {
      this.#volatile.set(key, entry);
      this.#volatileBytes += bytes;
    }
  }

  /** Of an end that everybody can foresee the log needs no record. */
  #remove(key: string, foreseen = false): boolean {
    const passing = this.#volatile.get(key);
    if (passing !== undefined) {
      this.#volatile.delete(key);
      this.#volatileBytes -= passing.bytes;
      return true;
    }
    const lasting = this.#durable.get(key);
    if (lasting === undefined) return false;
    this.#durable.delete(key);
    this.#durableBytes -= lasting.bytes;
    if (!foreseen) this.#changes.push({ key, entry: null });
    return true;
  }

  #evict(): void {
    for (const key of this.#volatile.keys()) {
      if (this.bytes <= this.#options.limitBytes) return;
      this.#remove(key);
      this.#evicted++;
    }
  }
}

const NONE: readonly DurableChange[] = [];

function sizeOf(key: string, value: EmbeddedValue): number {
  return ENTRY_OVERHEAD_BYTES + key.length * 2 + valueBytes(value);
}

function valueBytes(value: EmbeddedValue): number {
  if (typeof value === "string") return VALUE_OVERHEAD_BYTES + value.length * 2;
  if (typeof value === "number") return VALUE_OVERHEAD_BYTES;
  if (Buffer.isBuffer(value)) return ENTRY_OVERHEAD_BYTES + value.length;
  let sum = VALUE_OVERHEAD_BYTES;
  if (Array.isArray(value)) for (const item of value as readonly EmbeddedValue[]) sum += valueBytes(item);
  else
    for (const [name, item] of Object.entries(value as Readonly<Record<string, EmbeddedValue>>))
      sum += name.length * 2 + VALUE_OVERHEAD_BYTES + valueBytes(item);
  return sum;
}
