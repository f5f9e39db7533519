import assert from "node:assert/strict";
import { test } from "node:test";
import { html, type HtmlEdit } from "../../sdk/html.ts";
import { compileEdits, findEditFaults } from "../../runtime/experiments/edits/edits.ts";
import { GatewayError } from "../../runtime/errors.ts";

/** Selector, offset of what is wrong, a word of the message. */
const FAULTS: readonly (readonly [string, number, RegExp])[] = [
  ["a:hover > b", 1, /:hover/],
  ["main a + b", 7, /adjacent combinator/],
  ["a ~ b", 2, /sibling combinator/],
  ["div >> p", 4, /two combinators/],
  ["> p", 0, /beside a combinator/],
  ["h1 >", 3, /beside a combinator/],
  ["ul a[b", 4, /does not end/],
  ["p:not(.a", 1, /not closed/],
  ["li:nth-child(2n+)", 2, /an\+b/],
  ["li:last-child", 2, /:last-child/],
  ["a::before", 1, /pseudo-elements/],
  ["svg|a", 3, /namespaces/],
  ["p:has(a)", 1, /:has/],
  ["p:not(a b)", 1, /without combinators/],
  [".1a", 0, /no class/],
  ["a$b", 1, /type stands first/],
  ["a%", 1, /go on with/],
];

for (const [selector, at, word] of FAULTS) {
  test(`${selector} is wrong at ${at}`, () => {
    const edits = [html.remove("p"), html.setText(selector, "x")];
    const [fault, ...others] = findEditFaults(edits);
    assert.deepEqual(others, []);
    assert.deepEqual({ edit: fault?.edit, selector: fault?.selector, at: fault?.at }, { edit: 1, selector, at });
    assert.match(fault!.message, word);
    assert.throws(
      () => compileEdits(edits),
      (error) => error instanceof GatewayError && error.code === "RULE_EFFECT" && error.detail.includes(`at character ${at + 1}`) && word.test(error.detail),
    );
  });
}

test("every fault of a list is told", () => {
  assert.deepEqual(
    findEditFaults([html.remove("a:x"), html.remove("b"), html.remove("c:y")]).map(({ edit }) => edit),
    [0, 2],
  );
});

test("what is no edit at all is refused where it is written", () => {
  assert.throws(() => html.setText("", "x"), /CSS selector/);
  assert.throws(() => html.setText("a", { html: "x" } as unknown as string), /string is expected/);
  assert.throws(() => html.setAttribute("a", "on click", "x"), /no name of an attribute/);
  assert.throws(() => html.addClass("a", " "), /a class is expected/);
  assert.throws(() => html.insertScript("x", { nonce: '"><' }), /nonce/);
  assert.throws(() => html.insertScript("x", { at: "foot" as "body-end" }), /at is one of/);
});

test("edits are plain, frozen data", () => {
  const edit: HtmlEdit = html.before("a", { html: "<b>" });
  assert.deepEqual(edit, { kind: "before", selector: "a", content: { as: "html", value: "<b>" } });
  assert.ok(Object.isFrozen(edit));
  assert.deepEqual(JSON.parse(JSON.stringify(edit)), edit);
});

test("more edits than a page can have are refused", () => {
  assert.throws(() => compileEdits(Array.from({ length: 257 }, () => html.remove("a"))), /257 HTML edits/);
});
