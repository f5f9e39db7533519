/**
 * Bounded counters and histograms by label set. No metrics library in workers: a count must cost a Map lookup and an
 * addition, and what leaves the worker must be plain data that adds up.
 */
import { OTHER } from "./families.ts";
import type { Family, HistogramFamily } from "./families.ts";
import type { CounterSeries, HistogramSeries } from "./snapshot.ts";

export interface Count {
  readonly labels: readonly string[];
  value: number;
}

interface Node {
  readonly below: Map<string, Node>;
  count: Count | null;
}

/** Parts the labels within a key; U+0000 is in no label value (`clean`). */
const BETWEEN = "\0";

export class Counter {
  readonly #family: Family;
  readonly #counts = new Map<string, Count>();
  readonly #tree: Node = { below: new Map(), count: null };
  readonly #onOverflow: () => void;

  constructor(family: Family, onOverflow: () => void) {
    this.#family = family;
    this.#onOverflow = onOverflow;
  }

  /** The cell of a label set; callers may keep it and add to `value` themselves. */
  cell(...labels: string[]): Count {
    // Label by label: their hashes are known, that of a joined key would have to be made each time (0.05 µs instead of 0.25).
    let node: Node | undefined = this.#tree;
    for (const label of labels) node = node?.below.get(label);
    if (node?.count) return node.count;
    return this.#find(labels.join(BETWEEN), labels);
  }

  #find(key: string, labels: string[]): Count {
    const count = this.#counts.get(key) ?? this.#make(key, labels);
    // What overflowed has no place of its own, so the tree is bounded as the counts are.
    if (count.labels === labels) {
      let node = this.#tree;
      for (const label of labels) {
        let next = node.below.get(label);
        if (!next) node.below.set(label, (next = { below: new Map(), count: null }));
        node = next;
      }
      node.count = count;
    }
    return count;
  }

  add(value: number, ...labels: string[]): void {
    this.cell(...labels).value += value;
  }

  snapshot(): CounterSeries {
    return Array.from(this.#counts.values(), ({ labels, value }) => [labels, value] as const);
  }

  #make(key: string, labels: string[]): Count {
    if (this.#counts.size < this.#family.seriesLimit) {
      const made = { labels, value: 0 };
      this.#counts.set(key, made);
      return made;
    }
    this.#onOverflow();
    const others = labels.map(() => OTHER);
    const otherKey = others.join(BETWEEN);
    let other = this.#counts.get(otherKey);
    if (!other) this.#counts.set(otherKey, (other = { labels: others, value: 0 }));
    return other;
  }
}

interface Distribution {
  readonly labels: readonly string[];
  readonly counts: Float64Array;
  sum: number;
}

/** One label each: enough for what is measured, and no key has to be built per exchange. */
export class Histogram {
  readonly #family: HistogramFamily;
  readonly #series = new Map<string, Distribution>();
  readonly #onOverflow: () => void;

  constructor(family: HistogramFamily, onOverflow: () => void) {
    this.#family = family;
    this.#onOverflow = onOverflow;
  }

  observe(seconds: number, label: string): void {
    const series = this.#series.get(label) ?? this.#make(label);
    const bounds = this.#family.bounds;
    let at = 0;
    while (at < bounds.length && seconds > bounds[at]!) at++;
    series.counts[at]! += 1;
    series.sum += seconds;
  }

  snapshot(): HistogramSeries {
    return Array.from(this.#series.values(), ({ labels, counts, sum }) => [labels, Array.from(counts), sum] as const);
  }

  #make(label: string): Distribution {
    let name = label;
    if (this.#series.size >= this.#family.seriesLimit) {
      this.#onOverflow();
      const other = this.#series.get(OTHER);
      if (other) return other;
      name = OTHER;
    }
    const made = { labels: [name], counts: new Float64Array(this.#family.bounds.length + 1), sum: 0 };
    this.#series.set(name, made);
    return made;
  }
}
