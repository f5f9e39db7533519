import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { html } from "../../sdk/html.ts";
import { compileEdits, HtmlEditor } from "../../runtime/experiments/edits/edits.ts";
import { edited, editedText, PAGES } from "./html-pages.ts";

/** Cut in the middle and whole: what is too much does not depend on chunks. */
function alike(page: string, edits: Parameters<typeof edited>[1]): string {
  const whole = editedText(page, edits);
  for (const part of [0.1, 0.5, 0.9]) assert.ok(edited(page, edits, [Math.floor(page.length * part)]).equals(Buffer.from(whole)));
  return whole;
}

test("a tag of more than 64 KiB passes unedited, the others do not", () => {
  const image = `<img class=x src="data:${"A".repeat(70_000)}">`;
  assert.equal(alike(`${image}<a class=x>1</a>`, [html.remove(".x")]), image);
  const small = `<img class=x src="data:${"A".repeat(50_000)}">`;
  assert.equal(alike(`${small}<a class=x>1</a>`, [html.remove(".x")]), "");
});

test("a tag with more than 256 attributes passes unedited", () => {
  const many = `<a ${Array.from({ length: 300 }, (_, i) => `a${i}`).join(" ")}>`;
  assert.equal(alike(`${many}x</a><a>y</a>`, [html.setText("a", "z")]), `${many}x</a><a>z</a>`);
});

test("deeper than 512 elements nothing is edited, and what was begun still ends", () => {
  const page = `<main><b>${"<i>".repeat(600)}<u>x</u>${"</i>".repeat(600)}</b></main><u>y</u>`;
  assert.equal(alike(page, [html.append("main", "!"), html.setText("u", "z")]), page.replace("</main>", "!</main>"));
  assert.equal(alike(page, [html.remove("b")]), "<main></main><u>y</u>");
});

test("edits add at most 4 MiB to a page", () => {
  const big = { html: "x".repeat(1024 * 1024) };
  const out = editedText("<p>".repeat(50), [html.before("p", big)]);
  assert.equal(out.length, 4 * 1024 * 1024 + 150);
});

test("names longer than any element's are no elements", () => {
  const name = "x".repeat(500);
  assert.equal(alike(`<${name}><a>1</a></${name}><a>2</a>`, [html.setText("a", "z")]), `<${name}><a>z</a></${name}><a>z</a>`);
});

test("no more than a tag is ever held back", () => {
  const editor = new HtmlEditor(compileEdits([html.remove("#nobody")]));
  const chunk = Buffer.from(`<p>text ${"and more ".repeat(100)}</p><!-- ${"-".repeat(1000)}`);
  let written = 0;
  let left = 0;
  for (let i = 0; i < 200; i++) {
    written += chunk.length;
    for (const piece of editor.write(chunk)) left += piece.length;
    assert.ok(written - left < 200, `${written - left} bytes are held`);
  }
});

test("many pages leave no memory behind", () => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  const compiled = compileEdits([html.setText("h1", "x"), html.addClass("a", "y"), html.append("li", "z")]);
  const pages = PAGES.map((page) => Buffer.from(page));
  const pass = (count: number) => {
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const editor = new HtmlEditor(compiled);
      for (const piece of [...editor.write(pages[i % pages.length]!), ...editor.end()]) bytes += piece.length;
    }
    return bytes;
  };
  pass(500);
  gc();
  const before = process.memoryUsage();
  assert.ok(pass(3000) > 500_000);
  gc();
  const after = process.memoryUsage();
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  assert.ok(grown < 1024 * 1024, `${grown} bytes more after 3,000 pages`);
});
