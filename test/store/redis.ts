/** Stores in a real Redis, as workers open them. */
import type { TestContext } from "node:test";
import { systemClock } from "../../runtime/clock.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import { openStore, type Store } from "../../runtime/store/store.ts";

export interface RedisWorkerOptions {
  readonly timeout?: `${number}ms`;
  readonly gateway?: string;
  readonly member?: boolean;
  readonly warn?: (text: string) => void;
}

let stores = 0;

/** `redis` as config writes it. Each test has a prefix of its own. */
export function redisWorkers(t: TestContext, redis: string | object): (options?: RedisWorkerOptions) => Promise<Store> {
  const prefix = `test-${process.pid}-${++stores}:`;
  const opened: Store[] = [];
  t.after(() => Promise.all(opened.map((store) => store.close())));
  return async ({ timeout = "5000ms", gateway = "one", member = true, warn = () => undefined } = {}) => {
    const written = typeof redis === "string" ? { url: redis } : redis;
    const value = { upstreams: { site: { targets: ["http://127.0.0.1:1"] } }, store: { redis: { prefix, ...written }, timeout } };
    const { store: config } = resolveConfig(value, { baseDir: "/", file: "" });
    const { store } = await openStore({ config, clock: systemClock, gateway, member, requestPipe: () => undefined, warn });
    opened.push(store);
    return store;
  };
}
