/** What the rules of one exchange have said to the cache, put together: key, decision, and what they read before it. */
import { type CacheDecision, type KeyShape, type RuleRead, withShape } from "../cache/cache.ts";
import { readCacheDecisionWord, readCacheKeyWord, type CacheKeyWord } from "../sandbox/cache-words.ts";

const MAX_READS = 200;

export class CacheWords {
  readonly reads: RuleRead[] = [];
  decision: CacheDecision | null = null;
  #keys: CacheKeyWord[] | null = null;
  #experiments: string[] | null = null;

  keyed(json: string): void {
    const word = readCacheKeyWord(json);
    if (word !== null) (this.#keys ??= []).push(word);
  }

  /** Later words win, tags add up. */
  decided(json: string): void {
    const word = readCacheDecisionWord(json);
    if (word === null) return;
    const tags = [...(this.decision?.tags ?? []), ...(word.tags ?? [])];
    this.decision = { ...this.decision, ...word, tags };
  }

  /** The answer depends on which variant of an experiment the visitor sees. */
  experiment(key: string, variant: string): void {
    const part = partOf(key, variant);
    const parts = (this.#experiments ??= []);
    if (!parts.includes(part)) parts.push(part);
  }

  read(rule: string, words: string): void {
    for (const read of words.split("\n")) {
      if (this.reads.length >= MAX_READS) return;
      this.reads.push({ rule, read });
    }
  }

  shape(route: KeyShape): KeyShape {
    return shapedBy(this.#ruled(route), this.#experiments);
  }
  /** The same for who sees these variants. */
  shapeFor(route: KeyShape, told: readonly (readonly [experiment: string, variant: string])[]): KeyShape {
    return shapedBy(this.#ruled(route), told.length === 0 ? null : told.map(([key, variant]) => partOf(key, variant)));
  }

  #ruled(route: KeyShape): KeyShape {
    let shape = route;
    for (const word of this.#keys ?? NO_KEYS) shape = withShape(shape, word);
    return shape;
  }

  /** For the exchange with the origin: what was read before counts there too. */
  takeOver(other: CacheWords): void {
    this.reads.push(...other.reads);
  }
}

const NO_KEYS: readonly CacheKeyWord[] = [];

/** Sorted: in which order rules asked is nobody's business. */
function shapedBy(shape: KeyShape, experiments: string[] | null): KeyShape {
  return experiments === null ? shape : withShape(shape, { parts: experiments.sort() });
}

function partOf(experiment: string, variant: string): string {
  return `experiment:${experiment}=${variant}`;
}
