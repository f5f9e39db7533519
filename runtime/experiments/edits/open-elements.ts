/** The stack of open elements, each with the steps of selectors that it and its ancestors have matched. */
import type { CompiledEdits, Step } from "./compile.ts";
import { INTEGRATION } from "./tags.ts";

/** Browsers stop nesting here, too. */
export const MAX_DEPTH = 512;

/** What is due where an element ends. */
export interface Ending {
  readonly suffix: readonly Buffer[];
  readonly after: readonly Buffer[];
  /** What of the element is left out: nothing, what stands inside, all of it. */
  readonly drops: "nothing" | "inside" | "all";
}

export interface OpenElement {
  name: string;
  /** Of SVG or MathML. */
  foreign: boolean;
  /** Children seen so far. */
  children: number;
  ending: Ending | null;
  /** Its end tag came while others stood open inside. */
  ended: boolean;
}

export class OpenElements {
  /** The first is none: it holds what is true of the whole page. Entries from `depth` on are kept for reuse. */
  readonly list: OpenElement[] = [made()];
  depth = 1;

  readonly #steps: readonly Step[];
  readonly #words: number;
  /** For each element two rows of bits: the steps that it matched; the steps that it or an ancestor matched. */
  #bits: Int32Array;

  constructor(compiled: CompiledEdits) {
    this.#steps = compiled.steps;
    this.#words = (compiled.steps.length + 31) >>> 5;
    this.#bits = new Int32Array(this.#words * 2 * 32);
  }

  get top(): OpenElement {
    return this.list[this.depth - 1]!;
  }
  get full(): boolean {
    return this.depth > MAX_DEPTH;
  }
  /** Is what comes next read by the rules of SVG and MathML? */
  get inForeign(): boolean {
    const { top } = this;
    return top.foreign && !INTEGRATION.has(top.name);
  }

  /** May a child of the innermost element match this step, as far as its ancestors go? */
  mayMatch(step: number): boolean {
    const { link, previous } = this.#steps[step]!;
    if (link === "first") return true;
    const row = (this.depth - 1) * 2 + (link === "child" ? 0 : 1);
    return ((this.#bits[row * this.#words + (previous >>> 5)]! >>> (previous & 31)) & 1) === 1;
  }

  /** Opens an element that matched these steps. */
  push(name: string, foreign: boolean, ending: Ending | null, matched: readonly number[]): void {
    const at = this.depth++;
    const element = (this.list[at] ??= made());
    element.name = name;
    element.foreign = foreign;
    element.children = 0;
    element.ending = ending;
    element.ended = false;
    const words = this.#words;
    if (words === 0) return;
    const own = at * 2 * words;
    if (own + 2 * words > this.#bits.length) {
      const grown = new Int32Array(this.#bits.length * 2);
      grown.set(this.#bits);
      this.#bits = grown;
    }
    const bits = this.#bits;
    bits.fill(0, own, own + words);
    for (const step of matched) bits[own + (step >>> 5)]! |= 1 << (step & 31);
    for (let word = 0; word < words; word++) bits[own + words + word] = bits[own - words + word]! | bits[own + word]!;
  }
}

function made(): OpenElement {
  return { name: "", foreign: false, children: 0, ending: null, ended: false };
}
