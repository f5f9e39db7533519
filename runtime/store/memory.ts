/** The store within one process: for tests of what stands on the store, and for rule tests. Same tables as the embedded process. */
import { systemClock, type Clock } from "../clock.ts";
import { asGatewayError, GatewayError } from "../errors.ts";
import { Tables } from "./embedded/tables.ts";
import { scriptKeysDefect } from "./script.ts";
import { Monitor } from "./monitor.ts";
import type { Store, StoreEvent } from "./store.ts";

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
  const monitor = new Monitor("memory", clock);
  monitor.become("ready", "");
  let failing: GatewayError | null = null;

  /** Settled in a later turn of the loop, as with any other store. */
  const call = async <T>(work: () => T): Promise<T> => {
    monitor.calls++;
    await Promise.resolve();
    try {
      if (failing !== null) throw failing;
      const result = work();
      tables.takeChanges();
      return result;
    } catch (thrown) {
      monitor.failures++;
      throw asGatewayError(thrown);
    }
  };
  const tell = (topic: string, event: StoreEvent): void => {
    for (const handler of topics.get(topic) ?? []) handler(event);
  };
  return {
    kind: "memory",
    run: (script, keys, args) =>
      call(() => {
        const defect = scriptKeysDefect(script, keys);
        if (defect !== null) throw defect;
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
    health: () => monitor.health(0),
    onHealth: (listener) => monitor.listen(listener),
    liveGateways: gateways,
    liveMembers: gateways,
    async close() {
      failing = new GatewayError("STORE_UNAVAILABLE", "the store is closed");
      monitor.become("unavailable", "closed");
    },
    fail(error) {
      failing = error;
      monitor.become(error === null ? "ready" : "unavailable", error?.detail ?? "");
      if (error === null) for (const topic of topics.keys()) tell(topic, { type: "gap" });
    },
  };
}
