/** `ctx.cache` as it crosses from the sandbox. */
import { z } from "zod";
import type { Cache } from "../cache/cache.ts";
import { GatewayError } from "../errors.ts";

const key = z.string().min(1).max(1024);
export const CacheCall = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("get"), key }),
  z.strictObject({
    op: z.literal("put"),
    key,
    json: z.string(),
    lifetimeMs: z
      .number()
      .positive()
      .max(366 * 86_400_000),
    tags: z.array(z.string().max(256)).max(64),
  }),
  z.strictObject({ op: z.literal("delete"), key }),
]);

export async function cacheCall(cache: Cache | null, call: z.infer<typeof CacheCall>, partition: string): Promise<object> {
  if (cache === null) throw new GatewayError("SERVICE_REFUSED", "ctx.cache: this gateway has no cache; add cache: {} to its config");
  const key = partition + call.key;
  switch (call.op) {
    case "get":
      return { json: await cache.values.get(key) };
    case "put":
      await cache.values.put(key, call.json, call.lifetimeMs, call.tags);
      return {};
    case "delete":
      await cache.values.delete(key);
      return {};
  }
}
