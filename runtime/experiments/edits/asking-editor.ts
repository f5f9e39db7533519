/**
 * Edits of which rules decide some element by element. Rules run elsewhere, so each piece of a page is read twice: once to find the elements that
 * somebody is asked for, all of the piece in one go; once more, when the answers are here, to make the edits.
 */
import { Buffer } from "node:buffer";
import type { HtmlEdit } from "../../../sdk/html.ts";
import { actionOf, type CompiledEdits, type ElementAction, type ElementCallback } from "./compile.ts";
import { type EditorOptions, HtmlEditor, type PageEditor } from "./editor.ts";

/** A start tag for which callbacks are asked. */
export interface FoundElement {
  readonly tag: string;
  readonly attributes: readonly (readonly [name: string, value: string])[];
  /** In the order of the edits. */
  readonly callbacks: readonly ElementCallback[];
}
/** For each element, and there for each of its callbacks, the edits. Their selectors mean nothing. */
export type ElementAnswers = readonly (readonly (readonly HtmlEdit[])[])[];
export type AskElements = (elements: readonly FoundElement[]) => Promise<ElementAnswers>;

/** Elements and characters of attributes in one question; the last element may go beyond. */
const MAX_ASKED_ELEMENTS = 1000;
const MAX_ASKED_UNITS = 256 * 1024;

export class AskingEditor implements PageEditor {
  readonly #finder: HtmlEditor;
  readonly #editor: HtmlEditor;
  readonly #ask: AskElements;
  /** By the offset of the tag, in its order. */
  #found = new Map<number, FoundElement & { readonly callbacks: ElementCallback[] }>();
  readonly #decided = new Map<number, ReadonlyMap<ElementCallback, readonly ElementAction[]>>();

  constructor(compiled: CompiledEdits, options: EditorOptions, ask: AskElements) {
    this.#ask = ask;
    this.#finder = new HtmlEditor(compiled, options, (callback, tag) => {
      const found = this.#found.get(tag.start);
      if (found !== undefined) found.callbacks.push(callback);
      else this.#found.set(tag.start, { tag: tag.name, attributes: tag.attributes(), callbacks: [callback] });
      return [];
    });
    // An element inside one that a callback took out is not asked for here: its answer is left.
    this.#editor = new HtmlEditor(compiled, options, (callback, tag) => this.#decided.get(tag.start)?.get(callback) ?? []);
  }

  write(bytes: Buffer): Buffer[] | Promise<Buffer[]> {
    this.#finder.write(bytes);
    return this.#found.size === 0 ? this.#editor.write(bytes) : this.#writeAnswered(Buffer.from(bytes));
  }

  end(): Buffer[] {
    return this.#editor.end();
  }

  async #writeAnswered(bytes: Buffer): Promise<Buffer[]> {
    const found = [...this.#found];
    this.#found = new Map();
    for (let from = 0; from < found.length;) {
      const to = endOfQuestion(found, from);
      const asked = found.slice(from, to);
      const answers = await this.#ask(asked.map(([, element]) => element));
      for (const [i, [start, { callbacks }]] of asked.entries())
        this.#decided.set(start, new Map(callbacks.map((callback, j) => [callback, (answers[i]?.[j] ?? []).map(actionOf)])));
      from = to;
    }
    const pieces = this.#editor.write(bytes);
    this.#decided.clear();
    return pieces;
  }
}

function endOfQuestion(found: readonly (readonly [number, FoundElement])[], from: number): number {
  let units = 0;
  let to = from;
  while (to < found.length && to - from < MAX_ASKED_ELEMENTS && units < MAX_ASKED_UNITS) {
    for (const [name, value] of found[to]![1].attributes) units += name.length + value.length;
    to++;
  }
  return to;
}
