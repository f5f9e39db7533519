/** `req.cacheKey()`, `res.cache()` and `ctx.cache`: what a rule wrote, checked and brought into the words that cross. */
import type { CacheDecision, CacheKeyOptions, CachePutOptions, RuleCache } from "../../../sdk/index.ts";
import { readCacheDecisionWord, readCacheKeyWord, type CacheDecisionWord, type CacheKeyWord } from "../cache-words.ts";
import { describe } from "./failure.ts";
import type { RuleRun } from "./rule-run.ts";

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export function cacheKeyText(options: CacheKeyOptions): string {
  const { query, headers, cookies, parts } = expectObject(options, "req.cacheKey", ["query", "headers", "cookies", "parts"]);
  const word: CacheKeyWord = {
    ...(query === undefined ? {} : { query: queryWord(query) }),
    ...(headers === undefined ? {} : { headers: texts(headers, "req.cacheKey: headers").map((name) => name.toLowerCase()) }),
    ...(cookies === undefined ? {} : { cookies: texts(cookies, "req.cacheKey: cookies") }),
    ...(parts === undefined ? {} : { parts: texts(parts, "req.cacheKey: parts") }),
  };
  const json = JSON.stringify(word);
  if (readCacheKeyWord(json) === null)
    throw new TypeError("req.cacheKey: at most 64 names of 256 characters, and parts of 4096, are expected; headers must be header names");
  return json;
}

function queryWord(query: unknown): NonNullable<CacheKeyWord["query"]> | null {
  if (query === true) return null;
  if (query === false) return { mode: "include", names: [] };
  const { include, exclude } = expectObject(query as { include?: unknown; exclude?: unknown }, "req.cacheKey: query", ["include", "exclude"]);
  if ((include === undefined) === (exclude === undefined)) throw new TypeError("req.cacheKey: query: one of include and exclude is expected");
  return include === undefined
    ? { mode: "exclude", names: texts(exclude, "req.cacheKey: exclude") }
    : { mode: "include", names: texts(include, "req.cacheKey: include") };
}

export function cacheDecisionText(decision: CacheDecision): string {
  const { store, lifetime, staleWhileRevalidate, staleIfError, tags } = expectObject(decision, "res.cache", [
    "store",
    "lifetime",
    "staleWhileRevalidate",
    "staleIfError",
    "tags",
  ]);
  const word: CacheDecisionWord = {
    ...(store === undefined ? {} : { cacheability: cacheabilityOf(store) }),
    ...(lifetime === undefined ? {} : { lifetimeMs: milliseconds(lifetime, "res.cache: lifetime") }),
    ...(staleWhileRevalidate === undefined ? {} : { staleWhileRevalidateMs: milliseconds(staleWhileRevalidate, "res.cache: staleWhileRevalidate") }),
    ...(staleIfError === undefined ? {} : { staleIfErrorMs: milliseconds(staleIfError, "res.cache: staleIfError") }),
    ...(tags === undefined ? {} : { tags: texts(tags, "res.cache: tags") }),
  };
  const json = JSON.stringify(word);
  if (readCacheDecisionWord(json) === null) throw new TypeError("res.cache: lengths of at most 366 days and at most 64 tags of 256 characters are expected");
  return json;
}

function cacheabilityOf(store: unknown): "yes" | "no" | "uncacheable" {
  if (store === true) return "yes";
  if (store === false) return "no";
  if (store === "uncacheable") return store;
  throw new TypeError(`res.cache: store: true, false or "uncacheable" is expected, found ${describe(store)}`);
}

export class CacheOfRules implements RuleCache {
  readonly #run: RuleRun;

  constructor(run: RuleRun) {
    this.#run = run;
  }

  async get<Value>(key: string): Promise<Value | null> {
    const { json } = (await this.#ask({ op: "get", key })) as { json: string };
    return json === "" ? null : (JSON.parse(json) as Value);
  }
  async put(key: string, value: unknown, options: CachePutOptions): Promise<void> {
    const { lifetime, tags } = expectObject(options, "ctx.cache.put", ["lifetime", "tags"]);
    const json = JSON.stringify(value) as string | undefined;
    if (json === undefined) throw new TypeError(`ctx.cache.put: a value that JSON can carry is expected, found ${describe(value)}`);
    const lifetimeMs = milliseconds(lifetime, "ctx.cache.put: lifetime");
    await this.#ask({ op: "put", key, json, lifetimeMs, tags: tags === undefined ? [] : texts(tags, "ctx.cache.put: tags") });
  }
  async delete(key: string): Promise<void> {
    await this.#ask({ op: "delete", key });
  }

  #ask(call: { readonly op: string; readonly key: unknown; readonly [name: string]: unknown }): Promise<unknown> {
    if (typeof call.key !== "string") throw new TypeError(`ctx.cache.${call.op}: a key is expected, found ${describe(call.key)}`);
    return this.#run.service("cache", call);
  }
}

function milliseconds(text: unknown, what: string): number {
  const match = typeof text === "string" ? DURATION.exec(text) : null;
  if (match === null) throw new TypeError(`${what}: a duration such as "5m" is expected, found ${describe(text)}`);
  return Math.round(Number(match[1]) * UNIT_MS[match[2]!]!);
}

function texts(value: unknown, what: string): string[] {
  if (!Array.isArray(value) || !value.every((text) => typeof text === "string"))
    throw new TypeError(`${what}: a list of strings is expected, found ${describe(value)}`);
  return value;
}

function expectObject<Value extends object>(value: Value, what: string, names: readonly string[]): Value {
  if (typeof value !== "object" || (value as unknown) === null) throw new TypeError(`${what}: an object is expected, found ${describe(value)}`);
  const stray = Object.keys(value).find((name) => !names.includes(name));
  if (stray !== undefined) throw new TypeError(`${what}: found ${describe(stray)}, expected ${names.join(", ")}`);
  return value;
}
