/** Where elements end: by their end tag, because another one begins, or with the page; and what is put in or left out there. */
import { depthAtStart, endedBy } from "./nesting.ts";
import type { Ending, OpenElements } from "./open-elements.ts";
import type { PageWindow } from "./page-window.ts";
import { BREAKOUT, IN_HEAD } from "./tags.ts";

export class Endings {
  readonly #window: PageWindow;
  readonly #open: OpenElements;
  /** What happens at the `>` of an end tag: behind it, or as if the element ended there. */
  readonly #atTagEnd: { readonly ending: Ending; readonly tagged: boolean }[] = [];
  #awaitsTagEnd = false;

  constructor(window: PageWindow, open: OpenElements) {
    this.#window = window;
    this.#open = open;
  }

  /** An end tag's name was read, its `>` was not. */
  get awaitsTagEnd(): boolean {
    return this.#awaitsTagEnd;
  }
  awaitTagEnd(): void {
    this.#awaitsTagEnd = true;
  }

  /** Elements that end because another one begins. Is that one of SVG or MathML still, as `foreign` says? */
  byStart(name: string, at: number, foreign: boolean): boolean {
    const open = this.#open;
    if (foreign) {
      if (!BREAKOUT.has(name)) return true;
      while (open.inForeign) this.implied(at);
    }
    if (open.top.name === "head" && !IN_HEAD.has(name)) this.implied(at);
    const depth = depthAtStart(name, open.list, open.depth);
    while (open.depth > depth) this.implied(at);
    return false;
  }

  /** Elements that an end tag ends, which begins at `at`. */
  byTag(name: string, at: number): void {
    const open = this.#open;
    const found = endedBy(name, open.list, open.depth);
    if (found === null) return;
    if (found.when === "later") {
      open.list[found.index]!.ended = true;
      return;
    }
    while (open.depth > found.index + 1) this.implied(at);
    const { ending } = open.top;
    open.depth--;
    if (ending !== null) {
      if (ending.drops !== "all") {
        this.#content(ending, at);
        this.#window.insertAll(ending.suffix);
      }
      this.#atTagEnd.push({ ending, tagged: true });
    }
    while (open.top.ended) {
      const later = open.top.ending;
      open.depth--;
      if (later !== null) this.#atTagEnd.push({ ending: later, tagged: false });
    }
  }

  /** The innermost element ends at `at` without an end tag of its own. */
  implied(at: number): void {
    const { ending } = this.#open.top;
    this.#open.depth--;
    if (ending !== null) this.#whole(ending, at);
  }

  /** The end of the end tag that is awaited; -1: it has not come yet. */
  seekTagEnd(from: number): number {
    const window = this.#window;
    const found = window.tagEnd(from);
    if (found < 0) return -1;
    const end = found + 1;
    this.#awaitsTagEnd = false;
    for (const { ending, tagged } of this.#atTagEnd) {
      if (tagged) {
        if (ending.drops === "all") this.#content(ending, end);
        else window.passTo(end);
        window.insertAll(ending.after);
      } else this.#whole(ending, end);
    }
    this.#atTagEnd.length = 0;
    return end;
  }

  #whole(ending: Ending, at: number): void {
    this.#content(ending, at);
    if (ending.drops !== "all") this.#window.insertAll(ending.suffix);
    this.#window.insertAll(ending.after);
  }

  /** What stands inside an element has passed, or was dropped, up to `at`. */
  #content(ending: Ending, at: number): void {
    const window = this.#window;
    if (ending.drops === "nothing") window.passTo(at);
    else {
      window.skipTo(at);
      window.dropping = false;
    }
  }
}
