/**
 * What rules say to the cache, as it crosses from the sandbox: JSON that the kernel wrote and that the worker reads as a stranger's.
 * Pure: both sides import it.
 */

/** `req.cacheKey()`. */
export interface CacheKeyWord {
  readonly query?: { readonly mode: "include" | "exclude"; readonly names: readonly string[] } | null;
  readonly headers?: readonly string[];
  readonly cookies?: readonly string[];
  readonly parts?: readonly string[];
}

/** `res.cache()`. */
export interface CacheDecisionWord {
  readonly cacheability?: "yes" | "no" | "uncacheable";
  readonly lifetimeMs?: number;
  readonly staleWhileRevalidateMs?: number;
  readonly staleIfErrorMs?: number;
  readonly tags?: readonly string[];
}

const MAX_NAMES = 64;
const MAX_NAME_UNITS = 256;
const MAX_PART_UNITS = 4096;
const MAX_MS = 366 * 86_400_000;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const CACHEABILITIES: ReadonlySet<unknown> = new Set(["yes", "no", "uncacheable"]);

/** Null: no honest kernel wrote it. */
export function readCacheKeyWord(json: string): CacheKeyWord | null {
  const value = objectOf(json);
  if (value === null) return null;
  const { query, headers, cookies, parts, ...rest } = value;
  if (Object.keys(rest).length > 0) return null;
  const sound =
    (query === undefined || query === null || isQuery(query)) &&
    (headers === undefined || areTexts(headers, MAX_NAME_UNITS, TOKEN)) &&
    (cookies === undefined || areTexts(cookies, MAX_NAME_UNITS)) &&
    (parts === undefined || areTexts(parts, MAX_PART_UNITS));
  return sound ? value : null;
}

/** Null: no honest kernel wrote it. Tags are judged by the cache. */
export function readCacheDecisionWord(json: string): CacheDecisionWord | null {
  const value = objectOf(json);
  if (value === null) return null;
  const { cacheability, lifetimeMs, staleWhileRevalidateMs, staleIfErrorMs, tags, ...rest } = value;
  if (Object.keys(rest).length > 0) return null;
  const sound =
    (cacheability === undefined || CACHEABILITIES.has(cacheability)) &&
    [lifetimeMs, staleWhileRevalidateMs, staleIfErrorMs].every((ms) => ms === undefined || isLength(ms)) &&
    (tags === undefined || areTexts(tags, MAX_NAME_UNITS));
  return sound ? value : null;
}

function objectOf(json: string): Record<string, unknown> | null {
  try {
    const value = JSON.parse(json) as unknown;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    // A stranger's words.
    return null;
  }
}

function isQuery(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { mode, names } = value as { mode?: unknown; names?: unknown };
  return (mode === "include" || mode === "exclude") && areTexts(names, MAX_NAME_UNITS);
}

function areTexts(value: unknown, most: number, pattern?: RegExp): boolean {
  if (!Array.isArray(value) || value.length > MAX_NAMES) return false;
  return value.every((text) => typeof text === "string" && text.length <= most && (pattern === undefined || pattern.test(text)));
}

function isLength(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && value <= MAX_MS;
}
