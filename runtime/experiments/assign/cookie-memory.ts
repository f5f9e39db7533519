/** What genuine cookies said: an HMAC takes 3 µs, a look 0.04, and a browser sends the same cookie with every request. */

/** Of one generation: some 11,000 visitors, or 5,000 usual sticky cookies. */
const GENERATION_CHARACTERS = 500_000;

export class CookieMemory<Said> {
  readonly #open: (value: string) => Said | null;
  #young = new Map<string, Said>();
  #youngCharacters = 0;
  #old: ReadonlyMap<string, Said> = new Map();

  /** `open` reads a cookie's value; null: not genuine, which leaves nothing behind, or anyone could fill the memory. */
  constructor(open: (value: string) => Said | null) {
    this.#open = open;
  }

  read(value: string): Said | null {
    const known = this.#young.get(value);
    if (known !== undefined) return known;
    const said = this.#old.get(value) ?? this.#open(value);
    if (said === null) return null;
    if (this.#youngCharacters + value.length > GENERATION_CHARACTERS) {
      // The older generation goes whole: who was not seen through a whole younger one is read anew.
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngCharacters = 0;
    }
    // A copy: the value may be a slice that keeps a whole request head alive.
    this.#young.set(Buffer.from(value, "latin1").toString("latin1"), said);
    this.#youngCharacters += value.length;
    return said;
  }
}
