/** The store within one process: for tests of what stands on the store, and for rule tests. Same tables as the embedded process. */
import { systemClock, type Clock } from "../clock.ts";
import { asGatewayError, GatewayError } from "../errors.ts";
import { Tables } from "./embedded/tables.ts";
import { checkScriptKeys } from "./script.ts";
import type { Store, StoreEvent, StoreHealth } from "./store.ts";

export interface MemoryStoreOptions {
  readonly clock?: Clock;
  /** 64 MiB when left out. */
  readonly limitBytes?: number;
  /** What `liveGateways` says: 1 when left out. */
  readonly gateways?: () => number;
}

export interface MemoryStore extends Store {
  /** As if the store were gone: from now on everything fails with this; null mends it (topics begin with a gap). */
  fail(error: GatewayError | null): void;
}

const LIMIT_BYTES = 64 * 1024 * 1024;

export function createMemoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  const { clock = systemClock, limitBytes = LIMIT_BYTES, gateways = () => 1 } = options;
  const tables = new Tables({ limitBytes, unixMs: () => clock.unixMs() });
  const topics = new Map<string, Set<(event: StoreEvent) => void>>();
  const listeners = new Set<(health: StoreHealth) => void>();
  let failing: GatewayError | null = null;
  let sinceUnixMs = clock.unixMs();
  let calls = 0;
  let failures = 0;

  /** Settled in a later turn of the loop, as with any other store. */
  const call = async <T>(work: () => T): Promise<T> => {
    calls++;
    await Promise.resolve();
    try {
      if (failing !== null) throw failing;
      const result = work();
      tables.takeChanges();
      return result;
    } catch (thrown) {
      failures++;
      throw asGatewayError(thrown);
    }
  };
  const tell = (topic: string, event: StoreEvent): void => {
    for (const handler of topics.get(topic) ?? []) handler(event);
  };
  const health = (): StoreHealth => ({
    kind: "memory",
    state: failing === null ? "ready" : "unavailable",
    reason: failing?.detail ?? "",
    sinceUnixMs,
    calls,
    failures,
    timeouts: 0,
    reconnects: 0,
    outstanding: 0,
    roundTripMs: 0,
  });

  return {
    kind: "memory",
    run: (script, keys, args) =>
      call(() => {
        checkScriptKeys(script, keys);
        return tables.run(script, keys, args);
      }),
    get: (key) => call(() => tables.get(key)),
    getMany: (keys) => call(() => keys.map((key) => tables.get(key))),
    set: (key, value, { ttlMs, durable = false }) => call(() => tables.set(key, Buffer.from(value as Uint8Array), ttlMs, durable)),
    delete: (keys) => call(() => tables.delete(keys)),
    publish: (topic, message) => call(() => tell(topic, { type: "message", message })),
    subscribe(topic, handler) {
      const handlers = topics.get(topic) ?? new Set();
      topics.set(topic, handlers.add(handler));
      return { ready: Promise.resolve(), close: () => void handlers.delete(handler) };
    },
    health,
    onHealth(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    liveGateways: gateways,
    liveMembers: gateways,
    async close() {
      failing = new GatewayError("STORE_UNAVAILABLE", "the store is closed");
    },
    fail(error) {
      failing = error;
      sinceUnixMs = clock.unixMs();
      for (const listener of listeners) listener(health());
      if (error === null) for (const topic of topics.keys()) tell(topic, { type: "gap" });
    },
  };
}
