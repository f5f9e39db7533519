/** A block of cases: the same seed and number give the same cases, whatever ran before. */
import { readCorpus, type Side } from "./corpus.ts";
import { mutate } from "./mutate.ts";
import { Random, seedOf } from "./random.ts";
import { type Compared, compareRequests } from "./request-differences.ts";
import { compareResponses } from "./response-differences.ts";

export const BLOCK_CASES = 10_000;
/** What was read in a new way is mutated further, within its block. */
const POOL_MOST = 1_000;
/** Reading one text takes microseconds; this much, three times in a row, is what an attacker looks for. */
const SLOW_MS = 100;

const SHORTENING_TRIES = 2_000;

export interface Case {
  readonly side: Side;
  readonly text: string;
  /** An answer to HEAD. */
  readonly toHead: boolean;
  /** Sizes of the pieces in which it comes, too. */
  readonly pieces: readonly number[];
}

export interface Find extends Case {
  readonly difference: string;
  readonly seed: number;
  readonly block: number;
  readonly index: number;
}

export interface BlockResult {
  readonly finds: readonly Find[];
  /** The first text of each kind, by side and kind. */
  readonly kinds: readonly (readonly [side: Side, kind: string, text: string])[];
}

/** Some blocks at the end of a run may be shorter. `trace` sees each case before it is tried. */
export function runBlock(seed: number, block: number, cases: number, trace: (tried: Case) => void = () => undefined): BlockResult {
  const random = new Random(seedOf(seed, block));
  const pools: Record<Side, string[]> = { requests: [...CORPUS.requests], responses: [...CORPUS.responses] };
  const kinds = new Map<string, readonly [Side, string, string]>();
  const finds: Find[] = [];
  for (let index = 0; index < cases; index++) {
    const side: Side = random.below(3) === 0 ? "responses" : "requests";
    const pool = pools[side];
    const text = mutate(random.of(pool), random, random.of(pool));
    const pieces = random.below(4) === 0 ? Array.from({ length: 1 + random.below(4) }, () => 1 + random.below(random.of([3, 20, 400]))) : [];
    const tried: Case = { side, text, toHead: side === "responses" && random.below(8) === 0, pieces };
    trace(tried);
    const startedMs = performance.now();
    const { difference, kind } = compare(tried);
    const tookMs = performance.now() - startedMs;
    const what = difference === "" && tookMs > SLOW_MS && isSlow(tried) ? `takes ${tookMs.toFixed(0)} ms` : difference;
    if (what !== "") finds.push({ ...tried, difference: what, seed, block, index });
    const key = `${side} ${kind}`;
    if (kinds.has(key)) continue;
    kinds.set(key, [side, kind, text]);
    if (pool.length < POOL_MOST) pool.push(text);
  }
  return { finds, kinds: [...kinds.values()] };
}

/** A parser that throws is a find, not the end of the run. */
export function compare({ side, text, toHead, pieces }: Case): Compared {
  try {
    return side === "requests" ? compareRequests(text, pieces) : compareResponses(text, toHead, pieces);
  } catch (error) {
    return { difference: `thrown: ${(error as Error).stack ?? String(error)}`, kind: `thrown ${(error as Error).message}` };
  }
}

/** The shortest text that this could make of a find that still shows the same kind of difference. */
export function shorten(find: Case & { readonly difference: string }): string {
  const same = (text: string): boolean => sort(compare({ ...find, text }).difference) === sort(find.difference);
  let { text } = find;
  let triesLeft = SHORTENING_TRIES;
  for (let size = text.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < text.length && triesLeft > 0; triesLeft--) {
      const shorter = text.slice(0, at) + text.slice(at + size);
      if (same(shorter)) text = shorter;
      else at += size;
    }
  }
  return text;
}

/** The kind of difference, without what stands in quotes and numbers. */
export function sort(difference: string): string {
  return difference.replaceAll(/"(?:[^"\\]|\\.)*"|\d+/g, "#").slice(0, 120);
}

function isSlow(tried: Case): boolean {
  let quickestMs = Infinity;
  for (let times = 0; times < 3; times++) {
    const startedMs = performance.now();
    compare(tried);
    quickestMs = Math.min(quickestMs, performance.now() - startedMs);
  }
  return quickestMs > SLOW_MS;
}

const CORPUS: Readonly<Record<Side, readonly string[]>> = { requests: readCorpus("requests"), responses: readCorpus("responses") };
