/** Atomic scripts: each is Lua for Redis and an equal function for the embedded store. The contract test holds the two together. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { GatewayError } from "../errors.ts";
import type { StoreArgument, StoreReply } from "./store.ts";

/** Objects and lists are kept by reference: a script may change one in place, and must then `set` it again so that its size is counted. */
export type EmbeddedValue = string | number | Buffer | readonly EmbeddedValue[] | { readonly [name: string]: EmbeddedValue };

/** The keys of the embedded store as a script sees them. An entry past its lifetime is absent. */
export interface EmbeddedDb {
  get(key: string): EmbeddedValue | undefined;
  /** `ttlMs` counts from now; null: until deleted. */
  set(key: string, value: EmbeddedValue, ttlMs: number | null): void;
  /** Was it there? */
  delete(key: string): boolean;
  /** Unix ms at which it ends; Infinity when it has no lifetime, 0 when it is absent. */
  expiresAtMs(key: string): number;
}

/** Pure but for `db`: no clock of its own (`nowMs` is the store's Unix time in ms, as `TIME` in Lua), no randomness. Throws before its first write or not at all. */
export type EmbeddedScript = (db: EmbeddedDb, keys: readonly string[], args: readonly StoreArgument[], nowMs: number) => StoreReply;

export interface StoreScript {
  /** Unique, `room:verb`: `ratelimit:gcra`. */
  readonly name: string;
  readonly lua: string;
  /** What `EVALSHA` calls it. */
  readonly sha1: string;
  readonly embedded: EmbeddedScript;
  /** What it writes survives a restart of the embedded store. */
  readonly durable: boolean;
  /** Running it twice is as good as once: it may be sent again when its answer was lost. */
  readonly repeatable: boolean;
}

export interface ScriptDefinition {
  readonly name: string;
  /** The `.lua` file (`new URL("./gcra.lua", import.meta.url)`), or the text. Time comes from `redis.call("TIME")`. */
  readonly lua: URL | string;
  readonly embedded: EmbeddedScript;
  readonly durable?: boolean;
  readonly repeatable?: boolean;
}

export function defineScript(definition: ScriptDefinition): StoreScript {
  const { name, embedded, durable = false, repeatable = false } = definition;
  const lua = typeof definition.lua === "string" ? definition.lua : readFileSync(definition.lua, "utf8");
  return Object.freeze({ name, lua, sha1: createHash("sha1").update(lua).digest("hex"), embedded, durable, repeatable });
}

/** The part of a key that Redis Cluster hashes: what stands in its first braces, unless that is empty; else the whole key. */
export function hashTag(key: string): string {
  const open = key.indexOf("{");
  if (open === -1) return key;
  const close = key.indexOf("}", open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}

/** Told wherever a script runs, so that a test without a cluster finds it. Null: nothing is wrong. */
export function scriptKeysDefect(script: StoreScript, keys: readonly string[]): GatewayError | null {
  if (keys.length === 1) return null;
  if (keys.length === 0) return new GatewayError("INTERNAL", `the script ${script.name} was called without a key`);
  const tag = hashTag(keys[0]!);
  const stray = keys.find((key) => hashTag(key) !== tag);
  return stray === undefined
    ? null
    : new GatewayError("INTERNAL", `the script ${script.name} was called with keys of different {tags}: ${keys[0]} and ${stray}`);
}

/** What Redis would hand back differently (or not at all) is a defect of the script. */
export function checkReply(script: StoreScript, reply: StoreReply): StoreReply {
  for (const value of reply) {
    if (value !== null && typeof value !== "string" && !Number.isSafeInteger(value))
      throw new GatewayError("INTERNAL", `the script ${script.name} replied ${String(value)}: strings, integers and null are expected`);
  }
  return reply;
}
