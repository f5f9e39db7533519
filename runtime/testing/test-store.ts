/** What a test sees of what rules keep: values, limits, cached answers. It asks the gateway's own services, as a rule would. */
import type { CachedEntry, LimitState, TestStore } from "../../sdk/testing.ts";
import { keptOf, placeOfUrl, type Cache, type PurgeOrder } from "../cache/cache.ts";
import type { Clock } from "../clock.ts";
import { kvCall } from "../store/kv/kv.ts";
import type { Store } from "../store/store.ts";
import { headersOf, rawPairs } from "./played.ts";

export interface TestStoreParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly cache: () => Cache | null;
  /** As a rule asked for it last; null: none has. */
  readonly limit: (name: string, key: string) => Promise<LimitState | null>;
}

export function testStore({ store, clock, cache, limit }: TestStoreParts): TestStore {
  let calls = 0;
  const callId = (): string => `test-${++calls}`;
  const cacheOrThrow = (): Cache => {
    const found = cache();
    if (found === null) throw new Error("this gateway has no cache: gateway({ cache: {} })");
    return found;
  };
  return {
    kv: {
      async get<Value>(key: string) {
        const reply = await kvCall(store, { op: "get", key }, callId());
        return "json" in reply && reply.json !== "" ? (JSON.parse(reply.json) as Value) : null;
      },
      async set(key, value, { ttl = null } = {}) {
        await kvCall(store, { op: "set", key, json: JSON.stringify(value), ttl, ifVersion: null }, callId());
      },
      async delete(key) {
        const reply = await kvCall(store, { op: "delete", key, ifVersion: null }, callId());
        return "deleted" in reply && reply.deleted;
      },
    },
    limit,
    cached(target) {
      const place = placeOfUrl(new URL(target, "http://localhost").href);
      const nowMs = clock.unixMs();
      return keptOf(cacheOrThrow(), place ?? "").map(({ status, fields, body, tags, varyNames, freshUntilMs }): CachedEntry => ({
        status,
        headers: headersOf(rawPairs(fields.list)),
        body: body.toString("utf8"),
        tags,
        freshMs: freshUntilMs - nowMs,
        vary: varyNames,
      }));
    },
    async purge(what) {
      const { reason } = await cacheOrThrow().purge(orderOf(what));
      if (reason !== "") throw new Error(`purge: ${reason}`);
    },
  };
}

function orderOf({ url, prefix, tag, all, soft = false }: Parameters<TestStore["purge"]>[0]): PurgeOrder {
  const orders: PurgeOrder[] = [];
  const place = (text: string): string => placeOfUrl(new URL(text, "http://localhost").href) ?? "";
  if (url !== undefined) orders.push({ kind: "url", value: place(url), soft });
  if (prefix !== undefined) orders.push({ kind: "prefix", value: place(prefix), soft });
  if (tag !== undefined) orders.push({ kind: "tag", value: tag, soft });
  if (all === true) orders.push({ kind: "all", value: "", soft });
  if (orders.length !== 1) throw new TypeError("purge: exactly one of url, prefix, tag and all is expected");
  return orders[0]!;
}
