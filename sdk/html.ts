/** Edits of HTML pages as data: what `html.setText("h1", "Buy it now")` makes. The gateway's streaming editor reads them as a stranger's input. */

/** What goes into a page: a string is text and is escaped; markup has to be asked for with `{ html: "<b>…</b>" }`. */
export type HtmlContent = string | { readonly html: string };

/** Where an inserted script or style sheet stands. */
export type InsertPlace = "head-start" | "head-end" | "body-start" | "body-end";

interface InsertOptions {
  /** `"head-end"` by default: right before `</head>`. A page without `<head>` gets it before its first element that belongs elsewhere. */
  readonly at?: InsertPlace;
  /** A nonce for the page's Content-Security-Policy; `"page"` takes over the one that the response's own policy names, if it names any. Left out: none. */
  readonly nonce?: string;
}

export interface ScriptOptions extends InsertOptions {
  /** `"module"`, `"application/json"`, …; left out: classic JavaScript. */
  readonly type?: string;
  readonly async?: boolean;
  readonly defer?: boolean;
}

export interface StyleOptions extends InsertOptions {
  /** A media query. */
  readonly media?: string;
}

/** Content of an edit, told apart. */
export interface EditContent {
  readonly as: "text" | "html";
  readonly value: string;
}

/** One edit. Frozen. */
export type HtmlEdit =
  | { readonly kind: "setContent" | "before" | "after" | "prepend" | "append" | "replace"; readonly selector: string; readonly content: EditContent }
  | { readonly kind: "remove"; readonly selector: string }
  | { readonly kind: "setAttribute"; readonly selector: string; readonly name: string; readonly value: string }
  | { readonly kind: "removeAttribute"; readonly selector: string; readonly name: string }
  | { readonly kind: "addClass" | "removeClass"; readonly selector: string; readonly classes: readonly string[] }
  | {
      readonly kind: "insertScript" | "insertStyle";
      readonly at: InsertPlace;
      /** `""`, a nonce, or `"page"`. */
      readonly nonce: string;
      /** Attributes beside the nonce, in order. */
      readonly attributes: readonly (readonly [name: string, value: string])[];
      readonly code: string;
    };

/** The verbs, with `Result` as what each gives back. */
export interface HtmlVerbs<Result> {
  /** Replaces what stands inside the elements by text, escaped. */
  setText(selector: string, text: string): Result;
  /** Replaces what stands inside the elements by markup. */
  setHtml(selector: string, markup: string): Result;
  /** Right before the elements. */
  before(selector: string, content: HtmlContent): Result;
  /** Right after the elements. */
  after(selector: string, content: HtmlContent): Result;
  /** Inside the elements, before what stands there. */
  prepend(selector: string, content: HtmlContent): Result;
  /** Inside the elements, after what stands there. */
  append(selector: string, content: HtmlContent): Result;
  /** Puts content in the elements' place. */
  replace(selector: string, content: HtmlContent): Result;
  /** Takes the elements out, with all that stands inside. */
  remove(selector: string): Result;
  /** Sets an attribute; one that is there keeps its place and its kind of quotes. */
  setAttribute(selector: string, name: string, value: string): Result;
  removeAttribute(selector: string, name: string): Result;
  /** Adds classes that the elements do not have yet. */
  addClass(selector: string, ...classes: readonly string[]): Result;
  removeClass(selector: string, ...classes: readonly string[]): Result;
  /** Puts a script into the page: its code, or where it comes from. */
  insertScript(script: string | { readonly src: string }, options?: ScriptOptions): Result;
  /** Puts a style sheet into the page: its rules, or where it comes from. */
  insertStyle(style: string | { readonly href: string }, options?: StyleOptions): Result;
}

const PLACES: readonly string[] = ["head-start", "head-end", "body-start", "body-end"] satisfies InsertPlace[];
// What ends an attribute's name in a page (HTML standard, 13.2.5.33), and what would be no name at all.
const ATTRIBUTE_NAME = /^[^\u0000-\u0020"'<>/=\u007f]+$/;
const NONCE = /^[A-Za-z0-9+/_=-]*$/;

/**
 * Makes edits of HTML pages. Each is applied to every element that its selector matches, while the page streams through; everything else
 * stays byte for byte as the origin sent it.
 *
 * Selectors: type, `.class`, `#id`, `[attribute]` with `=`, `~=`, `|=`, `^=`, `$=`, `*=`, `!=` and the flags `i` and `s`, `*`, descendant (space) and child (`>`), `:nth-child(an+b)`,
 * `:first-child`, `:not(…)`, and lists (`h1, h2`). They see the page as it came, not what other edits made of it.
 * Several edits of one element apply in their order, as the DOM's methods of these names would.
 *
 * @example
 * import { html } from "sluice"
 * export const bold = [
 *   html.setText("main h1", "Buy it now"),
 *   html.setAttribute("a.cta", "href", "/checkout?quick=1"),
 *   html.addClass("a.cta", "big"),
 *   html.before("#price", { html: "<strong>Today only</strong>" }),
 *   html.remove("aside.newsletter"),
 * ]
 */
export const html: HtmlVerbs<HtmlEdit> = Object.freeze(htmlVerbs((edit) => edit));

/** The verbs, each handing its edit to `take`. */
export function htmlVerbs<Result>(take: (edit: HtmlEdit) => Result): HtmlVerbs<Result> {
  const made = (edit: HtmlEdit): Result => take(Object.freeze(edit));
  const placing =
    (kind: "before" | "after" | "prepend" | "append" | "replace") =>
    (selector: string, content: HtmlContent): Result =>
      made({ kind, selector: selectorOf(kind, selector), content: contentOf(kind, content) });
  const classing =
    (kind: "addClass" | "removeClass") =>
    (selector: string, ...classes: readonly string[]): Result =>
      made({ kind, selector: selectorOf(kind, selector), classes: classesOf(kind, classes) });
  return {
    setText: (selector, text) => made({ kind: "setContent", selector: selectorOf("setText", selector), content: plain("text", textOf("setText", text)) }),
    setHtml: (selector, markup) => made({ kind: "setContent", selector: selectorOf("setHtml", selector), content: plain("html", textOf("setHtml", markup)) }),
    before: placing("before"),
    after: placing("after"),
    prepend: placing("prepend"),
    append: placing("append"),
    replace: placing("replace"),
    remove: (selector) => made({ kind: "remove", selector: selectorOf("remove", selector) }),
    setAttribute: (selector, name, value) =>
      made({
        kind: "setAttribute",
        selector: selectorOf("setAttribute", selector),
        name: attributeName("setAttribute", name),
        value: textOf("setAttribute", value),
      }),
    removeAttribute: (selector, name) =>
      made({ kind: "removeAttribute", selector: selectorOf("removeAttribute", selector), name: attributeName("removeAttribute", name) }),
    addClass: classing("addClass"),
    removeClass: classing("removeClass"),
    insertScript: (script, options) => made(scriptOf(script, options)),
    insertStyle: (style, options) => made(styleOf(style, options)),
  };
}

function scriptOf(script: string | { readonly src: string }, options: ScriptOptions = {}): HtmlEdit {
  const attributes: [string, string][] = [];
  if (options.type !== undefined) attributes.push(["type", textOf("insertScript", options.type)]);
  if (typeof script !== "string") attributes.push(["src", textOf("insertScript", script?.src)]);
  if (options.async) attributes.push(["async", ""]);
  if (options.defer) attributes.push(["defer", ""]);
  return inserted("insertScript", options, attributes, typeof script === "string" ? script : "");
}

function styleOf(style: string | { readonly href: string }, options: StyleOptions = {}): HtmlEdit {
  const attributes: [string, string][] = [];
  if (typeof style !== "string") attributes.push(["rel", "stylesheet"], ["href", textOf("insertStyle", style?.href)]);
  if (options.media !== undefined) attributes.push(["media", textOf("insertStyle", options.media)]);
  return inserted("insertStyle", options, attributes, typeof style === "string" ? style : "");
}

function inserted(kind: "insertScript" | "insertStyle", options: InsertOptions, attributes: readonly (readonly [string, string])[], code: string): HtmlEdit {
  const { at = "head-end", nonce = "" } = options;
  if (!PLACES.includes(at)) throw new TypeError(`html.${kind}: at is one of ${PLACES.join(", ")}, found ${String(at)}`);
  if (typeof nonce !== "string" || !NONCE.test(nonce))
    throw new TypeError(`html.${kind}: a nonce is base64 (Content Security Policy, section 2.3.1) or "page"`);
  return { kind, at, nonce, attributes: Object.freeze(attributes.map((pair) => Object.freeze(pair))), code };
}

function selectorOf(verb: string, selector: string): string {
  if (typeof selector !== "string" || selector.trim() === "") throw new TypeError(`html.${verb}: a CSS selector is expected`);
  return selector;
}

function textOf(verb: string, text: unknown): string {
  if (typeof text === "string") return text;
  if (typeof text === "number" || typeof text === "bigint") return String(text);
  throw new TypeError(`html.${verb}: a string is expected, found ${text === null ? "null" : typeof text}`);
}

function plain(as: "text" | "html", value: string): EditContent {
  return Object.freeze({ as, value });
}

function contentOf(verb: string, content: HtmlContent): EditContent {
  if (typeof content === "object" && content !== null) return plain("html", textOf(verb, content.html));
  return plain("text", textOf(verb, content));
}

function attributeName(verb: string, name: string): string {
  if (typeof name !== "string" || !ATTRIBUTE_NAME.test(name)) throw new TypeError(`html.${verb}: ${JSON.stringify(String(name))} is no name of an attribute`);
  return name;
}

function classesOf(verb: string, classes: readonly string[]): readonly string[] {
  const names = classes.flatMap((text) => textOf(verb, text).split(/[\t\n\f\r ]+/)).filter((name) => name !== "");
  if (names.length === 0) throw new TypeError(`html.${verb}: a class is expected`);
  return Object.freeze(names);
}
