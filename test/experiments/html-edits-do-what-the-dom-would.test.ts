import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { html, type HtmlEdit } from "../../sdk/html.ts";
import { editedText } from "./html-pages.ts";

/** Each: what it shows, the page, the edits, the page as edited. */
const CASES: readonly (readonly [string, string, readonly HtmlEdit[], string])[] = [
  ["text is escaped", "<h1>a</h1>", [html.setText("h1", "<b> & c")], "<h1>&lt;b&gt; &amp; c</h1>"],
  ["markup is not", "<h1>a</h1>", [html.setHtml("h1", "<b>x</b>")], "<h1><b>x</b></h1>"],
  ["before and after keep their order", "<a>x</a>", [html.before("a", "1"), html.before("a", "2"), html.after("a", "3"), html.after("a", "4")], "12<a>x</a>43"],
  ["prepend and append", "<a>x</a>", [html.prepend("a", "1"), html.prepend("a", "2"), html.append("a", "3"), html.append("a", "4")], "<a>21x34</a>"],
  ["setText discards what was prepended", "<a>x</a>", [html.prepend("a", "1"), html.setText("a", "y"), html.append("a", "2")], "<a>y2</a>"],
  ["replace takes the place", "<p>1<a href=x>2</a>3", [html.replace("a", { html: "<i></i>" }), html.append("a", "gone")], "<p>1<i></i>3"],
  ["remove takes what stands inside, too", "1<div>2<div>3</div>4</div>5", [html.remove("div")], "15"],
  ["edits inside what was replaced are void", "<div><a>x</a></div>", [html.setText("div", "y"), html.after("a", "z")], "<div>y</div>"],
  [
    "void elements have no inside",
    "<br><img src=a/>x",
    [html.setText("br", "n"), html.append("img", "n"), html.after("img", "|"), html.remove("br")],
    "<img src=a/>|x",
  ],
  ["li ends li", "<ul><li>1<li>2</ul>", [html.append("li", "!")], "<ul><li>1!<li>2!</ul>"],
  ["p is ended by blocks", "<p>a<div>b</div>", [html.append("p", "!")], "<p>a!<div>b</div>"],
  ["p is not ended by phrases", "<p>a<b>b</b>", [html.append("p", "!")], "<p>a<b>b</b>!"],
  [
    "cells end cells and rows rows",
    "<table><tr><td>1<td>2<tr><td>3</table>",
    [html.append("td", "!"), html.append("tr", { html: "<td>+" })],
    "<table><tr><td>1!<td>2!<td>+<tr><td>3!<td>+</table>",
  ],
  ["options end options", "<select><option>a<option>b</select>", [html.append("option", "!")], "<select><option>a!<option>b!</select>"],
  ["a nested list does not end the outer item", "<ul><li>1<ul><li>2</ul>3<li>4</ul>", [html.append("ul > li", "!")], "<ul><li>1<ul><li>2!</ul>3!<li>4!</ul>"],
  ["misnested tags still balance", "<b>1<div>2</b>3</div>4", [html.remove("b")], "4"],
  ["a script is text", `<script>"<h1>x</h1>"</script><h1>y</h1>`, [html.setText("h1", "z")], `<script>"<h1>x</h1>"</script><h1>z</h1>`],
  ["a comment is nothing", "<!-- <h1>x</h1> --><h1>y</h1>", [html.setText("h1", "z")], "<!-- <h1>x</h1> --><h1>z</h1>"],
  ["names are caseless, tags stay as written", "<H1 CLASS=a>x</H1>", [html.setText("h1[class=a]", "z")], "<H1 CLASS=a>z</H1>"],
  ["svg closes itself", "<svg/><h1>x</h1>", [html.setText("svg", "no"), html.append("h1", "!")], "<svg/><h1>x!</h1>"],
  ["html ends svg", "<svg><g><div>x</div>", [html.append("svg", "!"), html.append("div", "?")], "<svg><g>!<div>x?</div>"],
  ["an element that is open at the end ends there", "<div><p>x", [html.append("div", "!"), html.after("p", "|")], "<div><p>x|!"],
  ["nothing is put into a tag that was cut off", "<p>x<a href='", [html.append("p", "!")], "<p>x!<a href='"],
  [
    "setAttribute keeps quotes and place",
    `<a href='x' id=y b>z`,
    [html.setAttribute("a", "href", "1"), html.setAttribute("a", "id", "2"), html.setAttribute("a", "b", "3"), html.setAttribute("a", "c", "4")],
    `<a c="4" href='1' id="2" b="3">z`,
  ],
  ["attribute values are escaped", `<a href="x">`, [html.setAttribute("a", "href", `"'&<>`)], `<a href="&quot;&#39;&amp;&lt;&gt;">`],
  ["removeAttribute takes every one of the name", `<a href="x" HREF=y class="z">`, [html.removeAttribute("a", "href")], `<a class="z">`],
  ["what stands around a removed attribute does not grow together", `<a href="x"class="z">`, [html.removeAttribute("a", "href")], `<a class="z">`],
  ["addClass only adds what is missing", `<a class="x &amp;">`, [html.addClass("a", "x", "&", "y")], `<a class="x &amp; y">`],
  ["addClass where there was none", `<a href=x>`, [html.addClass("a", "y")], `<a class="y" href=x>`],
  ["addClass quotes what was not", `<a class=x>`, [html.addClass("a", "y")], `<a class="x y">`],
  ["removeClass", `<a class=' x  y z '>`, [html.removeClass("a", "y")], `<a class='x z'>`],
  ["the first of two attributes counts", `<a id=1 id=2>x</a>`, [html.setText("#\\32", "no"), html.setText("#\\31", "yes")], `<a id=1 id=2>yes</a>`],
  ["selectors read references", `<a href="/?a&amp;b">x</a>`, [html.setText(`[href="/?a&b"]`, "yes")], `<a href="/?a&amp;b">yes</a>`],
  ["a text in a script ends no script", "<script>1</script>", [html.setText("script", `"</script><!--"`)], `<script>"\\u003c/script>\\u003c!--"</script>`],
  ["a textarea keeps its first newline", "<textarea>a</textarea>", [html.setText("textarea", "\nb<")], "<textarea>\n\nb&lt;</textarea>"],
  [
    "a script goes to the end of the head",
    "<!doctype html><head><title>t</title></head><body>x",
    [html.insertScript("go()", { nonce: "r4nd0m" })],
    `<!doctype html><head><title>t</title><script nonce="r4nd0m">go()</script></head><body>x`,
  ],
  [
    "a page without head tags gets it all the same",
    "<!doctype html><title>t</title><p>x",
    [html.insertScript({ src: "/a.js?b&c" }, { defer: true })],
    `<!doctype html><script src="/a.js?b&amp;c" defer></script><title>t</title><p>x`,
  ],
  ["a fragment gets no script", "<p>x</p>", [html.insertScript("go()"), html.insertStyle("a{}", { at: "body-end" })], "<p>x</p>"],
  [
    "a style sheet at the end of the body",
    "<html><body>x</body></html>",
    [html.insertStyle("</style>", { at: "body-end", media: "print" })],
    `<html><body>x<style media="print">\\3c /style></style></body></html>`,
  ],
  ["plaintext never ends", "<plaintext><h1>x</h1>", [html.setText("h1", "no")], "<plaintext><h1>x</h1>"],
];

for (const [says, page, edits, expected] of CASES) {
  test(says, () => assert.equal(editedText(page, edits), expected));
}

/** Selector, and which of the elements of `TREE` it matches, by their text. */
const TREE = `<main id=m lang=en-US><p class="a b">1</p><p title="x y">2</p><div><p class=c data-n="ab">3</p><section><p>4</p></section></div><p type=TEXT>5</p></main><p>6</p>`;
const SELECTED: readonly (readonly [string, string])[] = [
  ["p", "123456"],
  ["main p", "12345"],
  ["main > p", "125"],
  ["div p", "34"],
  ["main div > p", "3"],
  ["#m > div p:not(.c)", "4"],
  [".a.b, .c", "13"],
  ["p.b, p.a", "1"],
  ["[title~=y]", "2"],
  ["[title='x y']", "2"],
  ["[lang|=en] .c", "3"],
  ["[data-n^=a][data-n$=b][data-n*='ab']", "3"],
  ["[data-n^='']", ""],
  ["p[type=text]", "5"],
  ["p[type=text s]", ""],
  ["p[title='X Y' i]", "2"],
  ["main > :nth-child(2)", "2"],
  ["main > p:nth-child(odd)", "1"],
  ["main > p:nth-child(-n+2)", "12"],
  ["main > p:nth-child(2n)", "25"],
  ["p:first-child", "134"],
  ["p:not([class]):not(:first-child)", "256"],
  ["p:not(.a, .c, [title])", "456"],
  ["main main p", ""],
  ["* > section > *", "4"],
  ["p[title!='x y']", "13456"],
];

for (const [selector, texts] of SELECTED) {
  test(`${selector} selects ${texts === "" ? "nothing" : texts}`, () => {
    const marked = editedText(TREE, [html.prepend(selector, "=")]);
    assert.equal([...marked.matchAll(/=(\d)<\/p>/g)].map((match) => match[1]).join(""), texts);
  });
}

interface Node {
  readonly tag: string;
  readonly classes: readonly string[];
  readonly children: readonly (Node | string)[];
}
const TAGS = ["div", "section", "span", "em"];
const CLASSES = ["x", "y", "z"];
const { tree } = fc.letrec<{ tree: Node; child: Node | string }>((tie) => ({
  tree: fc.record({
    tag: fc.constantFrom(...TAGS),
    classes: fc.uniqueArray(fc.constantFrom(...CLASSES), { maxLength: 2 }),
    children: fc.array(tie("child"), { maxLength: 4, depthIdentifier: "tree" }),
  }),
  child: fc.oneof({ depthIdentifier: "tree", maxDepth: 5 }, fc.constantFrom("t", "a &amp; b", " "), tie("tree")),
}));

/** The reference: a selector of one or two types or classes, matched on the whole tree. */
type Simple = readonly { readonly part: string; readonly child: boolean }[];
const simple: fc.Arbitrary<Simple> = fc.array(fc.record({ part: fc.constantFrom(...TAGS, ...CLASSES.map((name) => `.${name}`)), child: fc.boolean() }), {
  minLength: 1,
  maxLength: 3,
});
const textOf = (selector: Simple) => selector.map(({ part, child }, i) => (i === 0 ? part : `${child ? " > " : " "}${part}`)).join("");
const isPart = (node: Node, part: string) => (part.startsWith(".") ? node.classes.includes(part.slice(1)) : node.tag === part);

function selects(selector: Simple, node: Node, ancestors: readonly Node[]): boolean {
  const last = selector.at(-1)!;
  if (!isPart(node, last.part)) return false;
  if (selector.length === 1) return true;
  const rest = selector.slice(0, -1);
  const candidates = last.child ? ancestors.slice(-1) : ancestors;
  return candidates.some((one) => selects(rest, one, ancestors.slice(0, ancestors.indexOf(one))));
}

type Verb = "setText" | "before" | "after" | "prepend" | "append" | "replace" | "remove";

function written(node: Node, ancestors: readonly Node[], selector: Simple | null, verb: Verb): string {
  const hit = selector !== null && selects(selector, node, ancestors);
  const inside = node.children.map((child) => (typeof child === "string" ? child : written(child, [...ancestors, node], selector, verb))).join("");
  const open = node.classes.length === 0 ? `<${node.tag}>` : `<${node.tag} class="${node.classes.join(" ")}">`;
  const whole = (content: string) => `${open}${content}</${node.tag}>`;
  if (!hit) return whole(inside);
  switch (verb) {
    case "setText":
      return whole("[]");
    case "before":
      return `[]${whole(inside)}`;
    case "after":
      return `${whole(inside)}[]`;
    case "prepend":
      return whole(`[]${inside}`);
    case "append":
      return whole(`${inside}[]`);
    case "replace":
      return "[]";
    case "remove":
      return "";
  }
}

test("on any tree the stream does what a walk over the whole document does", () => {
  fc.assert(
    fc.property(tree, simple, fc.constantFrom<Verb[]>("setText", "before", "after", "prepend", "append", "replace", "remove"), (root, selector, verb) => {
      const text = textOf(selector);
      const edit = verb === "remove" ? html.remove(text) : html[verb](text, "[]");
      assert.equal(editedText(written(root, [], null, verb), [edit]), written(root, [], selector, verb));
    }),
    { numRuns: 3000 },
  );
});
