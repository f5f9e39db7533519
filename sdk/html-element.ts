/** Elements of a page as rules meet them while it streams: `res.html.on("a.cta", { element(el) { … } })`. Types only: the sandbox gives them life. */
import type { HtmlContent, HtmlVerbs } from "./html.ts";

/**
 * A start tag that matched, for as long as its callback runs. It shows the page as it came, with what callbacks of the same rule did to this element
 * before; edits of other rules do not show. The verbs are those of `html`, without a selector.
 */
export interface HtmlElement {
  /** In lowercase. */
  readonly tagName: string;
  /** Name and value of each attribute, names in lowercase, character references undone. */
  readonly attributes: readonly (readonly [name: string, value: string])[];
  /** Null when there is none; `""` for one without a value. */
  getAttribute(name: string): string | null;
  hasAttribute(name: string): boolean;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  addClass(...classes: readonly string[]): void;
  removeClass(...classes: readonly string[]): void;
  setText(text: string): void;
  setHtml(markup: string): void;
  before(content: HtmlContent): void;
  after(content: HtmlContent): void;
  prepend(content: HtmlContent): void;
  append(content: HtmlContent): void;
  replace(content: HtmlContent): void;
  remove(): void;
}

/** What is called for elements that a selector matches. */
export interface ElementHandlers {
  /** For each matching start tag, in the order of the page. The page waits for a promise. */
  element(element: HtmlElement): void | Promise<void>;
}

/** `res.html`. */
export interface PageEdits extends HtmlVerbs<void> {
  /**
   * Calls `handlers.element` for each element that `selector` matches, while the page streams: for edits that depend on what the page says.
   *
   * When: after `onResponse` is over, once for every match, for whole answers of type `text/html` only; nothing is called for a HEAD request or another type.
   * Elements of one piece of the page come together, and the page waits until all of them are decided; what stands inside an element that a callback
   * removes is still told. Inside the callback `ctx` logs, measures and asks services; `res`, `req` and `ctx.state` can no longer be changed.
   * Order: with the verbs of `res.html`, in the order in which all of them were asked for.
   * A throw, or a limit crossed: with `onFailure: "open"` the rest of the page passes without this rule's callbacks; with `"closed"` the answer is 503,
   * or breaks off when the page is on its way already.
   * Limits: CPU counts to the hook's (50 ms), time that the page waits for callbacks to the exchange's wall time (5 s); 10,000 elements a page; 256 edits of one
   * element; 1 MiB of edits for one piece of the page, 8 MiB of elements and edits for all of it. The page has no ETag: nobody knows what callbacks make of it.
   *
   * @example
   * import { defineRule } from "sluice"
   * export default defineRule({
   *   when: { path: "/*" },
   *   onResponse(res) {
   *     res.html.on("a[href^='http:']", {
   *       element(el) {
   *         const href = el.getAttribute("href")
   *         if (href?.startsWith("http://shop.example/")) el.setAttribute("href", href.replace("http:", "https:"))
   *         else el.setAttribute("rel", "noopener external")
   *       },
   *     })
   *   },
   * })
   */
  on(selector: string, handlers: ElementHandlers): void;
}
