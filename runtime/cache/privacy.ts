/**
 * Whatever personal input a rule read while it made an answer, and the key does not hold, keeps that answer out of the cache: it may
 * be different for the next one who asks for the same. Reads behind the cache (onResponse) don't count.
 */
import type { KeyShape } from "./key.ts";

/**
 * A read as the sandbox tells it: `header:NAME`, `cookie:NAME`, `client` (address, port, country), `random`, `experiment:KEY` (which
 * variant the visitor sees), `*` (more than it could list). Of the gateway itself: `country:RULE` (does it match, in this country?).
 */
export interface RuleRead {
  readonly rule: string;
  readonly read: string;
}

/** The fields of every request that the key holds by itself. */
const KEYED_HEADERS: ReadonlySet<string> = new Set(["host"]);

/** The first read that the key does not hold, or null. */
export function unkeyedRead(reads: readonly RuleRead[], shape: KeyShape, varyNames: readonly string[]): RuleRead | null {
  return reads.find(({ read }) => !isKeyed(read, shape, varyNames)) ?? null;
}

function isKeyed(read: string, shape: KeyShape, varyNames: readonly string[]): boolean {
  const colon = read.indexOf(":");
  const name = read.slice(colon + 1);
  switch (read.slice(0, Math.max(colon, 0))) {
    case "header":
      return KEYED_HEADERS.has(name) || shape.headers.includes(name) || varyNames.includes(name);
    case "cookie":
      return shape.cookies.includes(name) || varyNames.includes("cookie") || shape.headers.includes("cookie");
    case "experiment":
      return shape.parts.some((part) => part.startsWith(`experiment:${name}=`));
    case "country":
      return shape.parts.includes(read);
    default:
      return false;
  }
}
