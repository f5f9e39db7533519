/** The store that config asks for, as a worker opens it. */
import type net from "node:net";
import type { Clock } from "../clock.ts";
import type { StoreConfig } from "../config/resolved.ts";
import { EmbeddedStore } from "./embedded/client.ts";
import type { Store } from "./store.ts";

export interface OpenStoreOptions {
  readonly config: StoreConfig;
  readonly clock: Clock;
  /** Of the whole gateway, the same in all its workers; another one after each start. */
  readonly gateway: string;
  /** Counts among `liveMembers`. */
  readonly member: boolean;
  /** For jitter alone. */
  readonly random?: () => number;
  /** Asks whoever runs the embedded store's process for a pipe to it. */
  readonly requestPipe: () => void;
  readonly warn: (text: string) => void;
}

export interface OpenedStore {
  readonly store: Store;
  /** Takes what `requestPipe` asked for. */
  attach(pipe: net.Socket): void;
}

export async function openStore(options: OpenStoreOptions): Promise<OpenedStore> {
  const { config, clock, gateway, member, random = Math.random, requestPipe, warn } = options;
  const { timeoutMs } = config;
  if (config.redis !== null) {
    // Loaded only where it is used: 60 ms and 27 MiB of every other worker.
    const { RedisStore } = await import("./redis/redis-store.ts");
    const store = new RedisStore({ config: config.redis, timeoutMs, clock, random, gateway, member, warn });
    return { store, attach: (pipe) => void pipe.destroy() };
  }
  const store = new EmbeddedStore({ clock, timeoutMs, member, requestPipe, warn });
  return { store, attach: (pipe) => store.attach(pipe) };
}
