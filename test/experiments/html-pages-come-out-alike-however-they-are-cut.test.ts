import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { html } from "../../sdk/html.ts";
import { compileEdits, HtmlEditor } from "../../runtime/experiments/edits/edits.ts";
import { edited, PAGES } from "./html-pages.ts";

const EDITS = [
  html.setText("h1", "Buy <now> – größer"),
  html.setAttribute("a", "href", `/q?a=1&b="2"`),
  html.addClass(".cta", "big", "größe"),
  html.removeClass("body", "dark"),
  html.before("p", { html: "<hr>" }),
  html.after("li:first-child", "<after>"),
  html.append("ul", { html: "<li>new" }),
  html.prepend("td, th", "*"),
  html.remove("main > div"),
  html.replace("select option[selected]", { html: "<option>z" }),
  html.removeAttribute("img", "alt"),
  html.append("p", "."),
  html.setText("textarea", "\nx"),
  html.setAttribute("[data-x]", "data-y", "1"),
  html.insertScript("if (a < b) go('</script>')", { nonce: "page" }),
  html.insertStyle("a{}", { at: "body-end" }),
  html.after("svg path:not(.x)", "!"),
];

test("fifty pages, cut anywhere into two, come out alike", () => {
  assert.equal(PAGES.length, 50);
  let touched = 0;
  for (const page of PAGES) {
    const bytes = Buffer.from(page);
    const whole = edited(bytes, EDITS);
    if (!whole.equals(bytes)) touched++;
    for (let cut = 1; cut < bytes.length; cut++) {
      const cutOnce = edited(bytes, EDITS, [cut]);
      if (!cutOnce.equals(whole))
        assert.equal(cutOnce.toString(), whole.toString(), `cut at ${cut}: ${page.slice(Math.max(0, cut - 20), cut)}|${page.slice(cut, cut + 20)}`);
    }
  }
  assert.ok(touched > 40, `${touched} pages were changed at all`);
});

test("fifty pages in pieces of every small size come out alike", () => {
  for (const page of PAGES) {
    const bytes = Buffer.from(page);
    const whole = edited(bytes, EDITS).toString();
    for (let size = 1; size <= 17; size++) {
      const cuts = Array.from({ length: Math.ceil(bytes.length / size) - 1 }, (_, i) => (i + 1) * size);
      assert.equal(edited(bytes, EDITS, cuts).toString(), whole, `pieces of ${size}`);
    }
  }
});

test("a page without a match passes byte for byte, however it is cut", () => {
  const nothing = [html.setText("h7.none", "x"), html.remove("main > .none"), html.removeClass("a", "none"), html.removeAttribute("p", "none")];
  for (const page of PAGES) {
    const bytes = Buffer.from(page);
    for (const cuts of [[], [1], [Math.floor(bytes.length / 2)], Array.from({ length: Math.max(0, bytes.length - 1) }, (_, i) => i + 1)])
      assert.ok(
        edited(
          bytes,
          nothing,
          cuts.filter((cut) => cut < bytes.length),
        ).equals(bytes),
      );
  }
});

const TOKENS = [
  ..."<>/=\"'! -&;abp\n\t\0é".split(""),
  "<p",
  "</p>",
  "<div",
  "</div>",
  "<b>",
  "</b>",
  "<li>",
  "<ul>",
  "</ul>",
  "<table>",
  "<tr>",
  "<td>",
  "</table>",
  "<svg>",
  "</svg>",
  "<title>",
  "</title>",
  "<script>",
  "</script>",
  "<style>",
  "</style",
  "<textarea>",
  "</textarea>",
  "<!--",
  "-->",
  "<![CDATA[",
  "]]>",
  "<!doctype html>",
  "<html>",
  "<head>",
  "<body>",
  "</body>",
  "<a href=",
  " class=x",
  " id='y'",
  "</>",
  "<?",
  "<plaintext>",
  "<option>",
  "<select>",
  "</select>",
  "<foreignObject>",
  "<h1>",
  "</h1>",
  "<meta charset=iso-2022-jp>",
  "<br/>",
];
const soup = fc.array(fc.constantFrom(...TOKENS), { maxLength: 60 }).map((tokens) => Buffer.from(tokens.join("")));

test("whatever a page holds: no throw, and the same however it is cut", () => {
  fc.assert(
    fc.property(soup, fc.array(fc.nat(400), { maxLength: 8 }), (bytes, offsets) => {
      const cuts = [...new Set(offsets)].filter((cut) => cut > 0 && cut < bytes.length).sort((a, b) => a - b);
      assert.equal(edited(bytes, SOUP_EDITS, cuts).toString(), edited(bytes, SOUP_EDITS).toString());
    }),
    { numRuns: 3000 },
  );
});

const SOUP_EDITS = [
  html.append("p", "[p"),
  html.after("b", "b]"),
  html.setText("h1", "[h1]"),
  html.remove("li li"),
  html.replace("td", "[td]"),
  html.setAttribute("a", "href", "/"),
  html.addClass(".x", "y"),
  html.prepend("title, script, textarea", "<"),
  html.append("body", "[end]"),
  html.before("div > b", "|"),
];

test("random bytes pass without a throw, and whole when nothing matches", () => {
  const nothing = compileEdits([html.remove("#nobody")]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (array) => {
      const bytes = Buffer.from(array);
      const editor = new HtmlEditor(nothing);
      const out = Buffer.concat([...editor.write(bytes), ...editor.end()]);
      assert.ok(out.equals(bytes));
    }),
    { numRuns: 2000 },
  );
});
