/** Tier one: this worker's memory, bounded in bytes with the bodies counted, the least recently used out first. */
import { LRUCache } from "lru-cache";
import { sizeOf, type Slot } from "./entry.ts";

export class MemoryTier {
  readonly #slots: LRUCache<string, Slot>;
  evictions = 0;

  constructor(limitBytes: number) {
    this.#slots = new LRUCache<string, Slot>({
      maxSize: Math.max(1, limitBytes),
      sizeCalculation: sizeOf,
      dispose: (_slot, _key, reason) => {
        if (reason === "evict") this.evictions++;
      },
    });
  }

  get(key: string): Slot | undefined {
    return this.#slots.get(key);
  }
  /** False when it is larger than the tier. */
  set(key: string, slot: Slot): boolean {
    this.#slots.set(key, slot);
    return this.#slots.peek(key) === slot;
  }
  delete(key: string): void {
    this.#slots.delete(key);
  }
  clear(): void {
    this.#slots.clear();
  }
  values(): IterableIterator<Slot> {
    return this.#slots.values();
  }
  get entries(): number {
    return this.#slots.size;
  }
  get bytes(): number {
    return this.#slots.calculatedSize;
  }
}
