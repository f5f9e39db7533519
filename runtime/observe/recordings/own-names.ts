/** Which names stand in a rule's code: those are its author's, and nobody's personal data. Pure. */

/** What strangers name may be asked for as well: beyond, what was found is forgotten and looked for anew. */
const MAX_REMEMBERED = 1_000;
/** A longer one is looked for each time, and not held. */
const LONGEST_REMEMBERED_UNITS = 128;

/** Of one rule. A search goes through all of its code, which is why none is made twice. */
export class OwnNames {
  readonly code: string;
  readonly #names = new Map<string, boolean>();
  readonly #fields = new Map<string, boolean>();

  constructor(code: string) {
    this.code = code;
  }

  /** A member's name. */
  has(name: string): boolean {
    return remembered(this.#names, name, () => name.length > 1 && this.code.includes(name));
  }

  /** A header's name in lower case, however the code writes it. */
  hasField(name: string): boolean {
    return remembered(this.#fields, name, () => this.code.toLowerCase().includes(name));
  }
}

function remembered(found: Map<string, boolean>, name: string, look: () => boolean): boolean {
  const known = found.get(name);
  if (known !== undefined) return known;
  const stands = look();
  if (name.length > LONGEST_REMEMBERED_UNITS) return stands;
  if (found.size >= MAX_REMEMBERED) found.clear();
  found.set(name, stands);
  return stands;
}
