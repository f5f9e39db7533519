/** One element of a page, as a callback of `res.html.on` sees it. */
import { html, type HtmlContent, type HtmlEdit } from "../../../sdk/html.ts";
import type { HtmlElement } from "../../../sdk/html-element.ts";
import { withKind } from "./failure.ts";

const MAX_EDITS = 256;
/** Edits of an element have nothing to select. */
const ITSELF = "*";

export class ElementFacade implements HtmlElement {
  readonly tagName: string;
  readonly #attributes: Map<string, string>;
  /** Of the callback that runs; null: none does. */
  #edits: HtmlEdit[] | null = null;

  constructor(tagName: string, attributes: readonly (readonly [string, string])[]) {
    this.tagName = tagName;
    this.#attributes = new Map(attributes);
  }

  get attributes(): readonly (readonly [name: string, value: string])[] {
    return [...this.#attributes];
  }
  getAttribute(name: string): string | null {
    return this.#attributes.get(nameOf(name)) ?? null;
  }
  hasAttribute(name: string): boolean {
    return this.#attributes.has(nameOf(name));
  }
  setAttribute(name: string, value: string): void {
    const edit = html.setAttribute(ITSELF, name, value);
    this.#add(edit);
    if (edit.kind === "setAttribute") this.#attributes.set(nameOf(name), edit.value);
  }
  removeAttribute(name: string): void {
    this.#add(html.removeAttribute(ITSELF, name));
    this.#attributes.delete(nameOf(name));
  }
  addClass(...classes: readonly string[]): void {
    this.#classes(html.addClass(ITSELF, ...classes));
  }
  removeClass(...classes: readonly string[]): void {
    this.#classes(html.removeClass(ITSELF, ...classes));
  }
  setText(text: string): void {
    this.#add(html.setText(ITSELF, text));
  }
  setHtml(markup: string): void {
    this.#add(html.setHtml(ITSELF, markup));
  }
  before(content: HtmlContent): void {
    this.#add(html.before(ITSELF, content));
  }
  after(content: HtmlContent): void {
    this.#add(html.after(ITSELF, content));
  }
  prepend(content: HtmlContent): void {
    this.#add(html.prepend(ITSELF, content));
  }
  append(content: HtmlContent): void {
    this.#add(html.append(ITSELF, content));
  }
  replace(content: HtmlContent): void {
    this.#add(html.replace(ITSELF, content));
  }
  remove(): void {
    this.#add(html.remove(ITSELF));
  }

  /** Runs a callback on it. What comes back is what the callback returned; `take` gives what it asked for. */
  static enter(element: ElementFacade, callback: (element: HtmlElement) => unknown): unknown {
    element.#edits = [];
    return callback(element);
  }
  static take(element: ElementFacade): readonly HtmlEdit[] {
    const edits = element.#edits ?? [];
    element.#edits = null;
    return edits;
  }

  #classes(edit: HtmlEdit): void {
    this.#add(edit);
    if (edit.kind !== "addClass" && edit.kind !== "removeClass") return;
    const had = (this.#attributes.get("class") ?? "").split(/[\t\n\f\r ]+/).filter((name) => name !== "");
    const names =
      edit.kind === "addClass" ? [...had, ...edit.classes.filter((name) => !had.includes(name))] : had.filter((name) => !edit.classes.includes(name));
    if (names.length > 0 || this.#attributes.has("class")) this.#attributes.set("class", names.join(" "));
  }
  #add(edit: HtmlEdit): void {
    if (this.#edits === null) throw new TypeError(`the callback for this <${this.tagName}> is over: it can't be changed any more`);
    if (this.#edits.length >= MAX_EDITS) throw withKind(new RangeError(`at most ${MAX_EDITS} edits of one element are made`), "effect");
    this.#edits.push(edit);
  }
}

function nameOf(name: string): string {
  return String(name).toLowerCase();
}
