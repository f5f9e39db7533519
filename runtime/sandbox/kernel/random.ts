/** sfc32 (Chris Doty-Humphrey's small fast counter generator, PractRand), seeded with one 32-bit number. */
export class Random {
  #a = 0x9e3779b9;
  #b = 0x243f6a88;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#c = seed | 0;
    // Twelve rounds mix the seed into all of the state.
    for (let round = 0; round < 12; round++) this.#word();
  }
  /** From 0 up to, not including, 1, with 53 bits. */
  next(): number {
    const high = this.#word() >>> 5;
    return (high * 0x4000000 + (this.#word() >>> 6)) / 0x20000000000000;
  }
  #word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}

/** Numbers that a rule test gives in place of chance, in turn; the last one again when they are used up. */
export class GivenNumbers {
  readonly #numbers: readonly number[];
  #at = 0;

  /** `text`: with commas between. */
  constructor(text: string) {
    this.#numbers = text.split(",").map(Number);
  }
  next(): number {
    return this.#numbers[Math.min(this.#at++, this.#numbers.length - 1)]!;
  }
}
