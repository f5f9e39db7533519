/** Exchanges that wait until a shadow release has played them: few, and of few characters. Pure. */

const MAX_WAITING = 128;
/** Of calls' arguments and replies, of all that wait together: 32 exchanges that hold as much as one may. */
const MAX_WAITING_UNITS = 8 * 1024 * 1024;

export class ShadowQueue<T> {
  readonly #waiting: { readonly item: T; readonly units: number }[] = [];
  #units = 0;

  /** Not even one that holds nothing is taken. */
  get full(): boolean {
    return this.#waiting.length >= MAX_WAITING || this.#units >= MAX_WAITING_UNITS;
  }

  /** False: there is no room for it. */
  add(item: T, units: number): boolean {
    if (this.full || this.#units + units > MAX_WAITING_UNITS) return false;
    this.#waiting.push({ item, units });
    this.#units += units;
    return true;
  }

  next(): T | undefined {
    const first = this.#waiting.shift();
    this.#units -= first?.units ?? 0;
    return first?.item;
  }

  clear(): void {
    this.#waiting.length = 0;
    this.#units = 0;
  }
}
