/**
 * Hook calls by number, for numbers that only grow. Not a Map: when V8 makes a Map's table anew, which happens every few dozen
 * insertions and deletions, the old table links to the new one and keeps its entries; once one of them is in the old
 * generation, every later table and all that it holds outlives its scavenge. Measured with 50 requests at once and two
 * hooks each: nearly everything an exchange allocates was promoted, 11 ms a scavenge, 13 µs of CPU a request.
 */
const MIN_SLOTS = 64;

export class CallTable<Call extends { readonly number: number }> {
  #slots: (Call | null)[] = new Array<Call | null>(MIN_SLOTS).fill(null);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(number: number): Call | undefined {
    const call = this.#slots[number & (this.#slots.length - 1)];
    return call?.number === number ? call : undefined;
  }

  /** Grows while the slot is another's: at most to the span between the oldest call and the newest, which wall limits bound. */
  add(call: Call): void {
    const mask = this.#slots.length - 1;
    const there = this.#slots[call.number & mask]!;
    if (there !== null && there.number !== call.number) {
      this.#grow();
      this.add(call);
      return;
    }
    if (there === null) this.#size++;
    this.#slots[call.number & mask] = call;
  }

  delete(number: number): void {
    if (this.get(number) === undefined) return;
    this.#slots[number & (this.#slots.length - 1)] = null;
    this.#size--;
  }

  clear(): void {
    this.#slots = new Array<Call | null>(MIN_SLOTS).fill(null);
    this.#size = 0;
  }

  /** In the order of their numbers. */
  list(): Call[] {
    return this.#size === 0 ? [] : this.#slots.filter((call) => call !== null).sort((a, b) => a.number - b.number);
  }

  #grow(): void {
    const calls = this.#slots;
    this.#slots = new Array<Call | null>(calls.length * 2).fill(null);
    const mask = this.#slots.length - 1;
    for (const call of calls) if (call !== null) this.#slots[call.number & mask] = call;
  }
}
