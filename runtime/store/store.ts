/**
 * What gateways, and the workers of one gateway, share: one interface before Redis, before the embedded store process, and before a
 * plain in-process store for tests. Every call ends within the store's time-out; a failure is a `GatewayError` (`STORE_UNAVAILABLE`,
 * `STORE_TIMEOUT`, `STORE_FULL`, `STORE_REFUSED`). Calls of one event-loop turn travel together.
 */
import type { StoreScript } from "./script.ts";

export { createMemoryStore, type MemoryStore } from "./memory.ts";
export { openStore, type OpenedStore } from "./open.ts";
export { defineScript, type EmbeddedDb, type StoreScript } from "./script.ts";
export { AGREE, LOCK, UNLOCK } from "./scripts/scripts.ts";

/** Fractions do not survive Redis' conversion of Lua numbers: return them as strings. Lua's `false` arrives as null. */
export type StoreReply = readonly (string | number | null)[];

/** A number crosses as its decimal text (17 significant digits). */
export type StoreArgument = string | number;

export interface SetOptions {
  /** Lifetime in ms, above 0. Null: until deleted. */
  readonly ttlMs: number | null;
  /** The embedded store keeps it over a restart. Redis keeps what its operator made it keep. */
  readonly durable?: boolean;
}

export interface Store {
  /** `"redis"`, `"embedded"` (the process shared by the workers) or `"memory"` (this process alone). */
  readonly kind: StoreKind;
  /**
   * Runs a script atomically. Keys of one call must share a `{tag}`: with Redis Cluster they then live on one node (checked everywhere).
   * A call whose answer was lost may have been carried out.
   */
  run(script: StoreScript, keys: readonly string[], args: readonly StoreArgument[]): Promise<StoreReply>;
  get(key: string): Promise<Buffer | null>;
  /** In one round trip; the keys need no common tag, and are not read at one instant. */
  getMany(keys: readonly string[]): Promise<(Buffer | null)[]>;
  set(key: string, value: Uint8Array | string, options: SetOptions): Promise<void>;
  /** How many of them there were. The keys need no common tag. */
  delete(keys: readonly string[]): Promise<number>;
  /** Resolves when it is kept where every subscriber, also one that is cut off just now, will find it. */
  publish(topic: string, message: string): Promise<void>;
  /** Messages published after `ready`, each once, in order. `handler` must not throw. */
  subscribe(topic: string, handler: (event: StoreEvent) => void): Subscription;
  health(): StoreHealth;
  /** Called at each change of state. Returns what ends it. */
  onHealth(listener: (health: StoreHealth) => void): () => void;
  /** Gateways that use this store now, this one included: at least 1. While the store is away the last known number stays. */
  liveGateways(): number;
  /** Workers (open stores) of all gateways: as many as there are subscribers to a topic that each worker subscribes to. At least 1. */
  liveMembers(): number;
  /** Outstanding calls fail. */
  close(): Promise<void>;
}

export type StoreKind = "redis" | "embedded" | "memory";

export type StoreEvent =
  | { readonly type: "message"; readonly message: string }
  /** Messages may have been missed that can't be had any more (too long away, flushed): forget whatever they would have changed. */
  | { readonly type: "gap" };

export interface Subscription {
  /** Messages from here on arrive. Rejects when the store could not be reached in time; it goes on trying, and then begins with a gap. */
  readonly ready: Promise<void>;
  close(): void;
}

/** `"connecting"`: not yet once. `"refused"`: reached, but not usable (version, rights, password); tried again with back-off. */
export type StoreState = "connecting" | "ready" | "unavailable" | "refused";

export interface StoreHealth {
  readonly kind: StoreKind;
  readonly state: StoreState;
  /** Why, unless ready; "" otherwise. Holds no secret. */
  readonly reason: string;
  readonly sinceUnixMs: number;
  /** Since the store was opened. */
  readonly calls: number;
  readonly failures: number;
  readonly timeouts: number;
  readonly reconnects: number;
  /** Calls that wait for an answer. */
  readonly outstanding: number;
  /** Of the last answered frame or pipeline; 0 before the first. */
  readonly roundTripMs: number;
}
