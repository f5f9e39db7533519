/** `ctx.kv`: small values that all rules of all gateways share. What a rule asks for is checked here as a stranger's. */
import { z } from "zod";
import { durationMs } from "../../config/units.ts";
import { GatewayError } from "../../errors.ts";
import type { Store } from "../store.ts";
import { kvDelete, kvIncrement, kvSet, readEntry } from "./scripts.ts";

export const KV_MAX_VALUE_BYTES = 64 * 1024;
const MAX_KEY_UNITS = 512;
/** Ten years: above it somebody mistook the unit. */
const MAX_TTL_MS = 10 * 365 * 86_400_000;

const key = z.string().min(1, "a key of at least one character is expected").max(MAX_KEY_UNITS, `a key of at most ${MAX_KEY_UNITS} characters is expected`);
const ttl = z
  .string()
  .refine((text) => durationMs(text) > 0 && durationMs(text) <= MAX_TTL_MS, 'a lifetime such as "30s" or "12h" is expected, above 0 and at most ten years')
  .nullable();
const version = z.string().max(200).nullable();
const by = z.number().refine(Number.isSafeInteger, "a whole number is expected");

/** Fields that a call does not give are null. */
export const KvCall = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("get"), key }),
  z.strictObject({ op: z.literal("set"), key, json: z.string(), ttl, ifVersion: version }),
  z.strictObject({ op: z.literal("delete"), key, ifVersion: version }),
  z.strictObject({ op: z.literal("increment"), key, by, ttl }),
]);
export type KvCall = z.infer<typeof KvCall>;

/** `json` is the value's text; "" in a `get` that found nothing. */
export type KvReply =
  | { readonly json: string; readonly version: string }
  | { readonly stored: boolean; readonly version: string }
  | { readonly deleted: boolean }
  | { readonly sum: number };

/** `callId`: the same when a call is made again, and never that of another. */
export async function kvCall(store: Store, call: KvCall, callId: string): Promise<KvReply> {
  const at = `kv:${call.key}`;
  switch (call.op) {
    case "get": {
      const bytes = await store.get(at);
      return bytes === null ? { json: "", version: "" } : readEntry(bytes.toString());
    }
    case "set": {
      const size = Buffer.byteLength(call.json);
      if (size > KV_MAX_VALUE_BYTES)
        throw new GatewayError(
          "KV_TOO_LARGE",
          `kv.set ${JSON.stringify(call.key.slice(0, 40))}: ${size} bytes as JSON, at most ${KV_MAX_VALUE_BYTES} are allowed`,
        );
      const [stored, now] = await store.run(kvSet, [at], [callId, call.json, ttlMs(call.ttl), call.ifVersion === null ? 0 : 1, call.ifVersion ?? ""]);
      return { stored: stored === 1, version: String(now) };
    }
    case "delete": {
      const [deleted] = await store.run(kvDelete, [at], [call.ifVersion === null ? 0 : 1, call.ifVersion ?? ""]);
      return { deleted: deleted === 1 };
    }
    case "increment": {
      const [sum] = await store.run(kvIncrement, [at], [callId, call.by, ttlMs(call.ttl)]);
      if (sum === "")
        throw new GatewayError(
          "SERVICE_REFUSED",
          `kv.increment ${JSON.stringify(call.key.slice(0, 40))}: what is there is no whole number, or the sum would be too large`,
        );
      return { sum: Number(sum) };
    }
  }
}

function ttlMs(text: string | null): number {
  return text === null ? 0 : Math.max(1, Math.round(durationMs(text)));
}
