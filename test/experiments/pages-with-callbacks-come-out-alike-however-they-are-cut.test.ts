import assert from "node:assert/strict";
import { test } from "node:test";
import type { HtmlEdit } from "../../sdk/html.ts";
import { html } from "../../sdk/html.ts";
import { AskingEditor, type AskElements } from "../../runtime/experiments/edits/asking-editor.ts";
import { compileEdits, type PageEdit } from "../../runtime/experiments/edits/edits.ts";
import { PAGES } from "./html-pages.ts";

const callback = (selector: string, handler: number): PageEdit => ({ kind: "callback", selector, rule: 0, handler });
/** Callbacks among edits, around and inside elements that edits and callbacks take out. */
const EDITS: readonly PageEdit[] = [
  html.setAttribute("a", "data-x", "1"),
  callback("a", 0),
  callback("p", 1),
  html.append("p", "."),
  html.remove("main > div"),
  callback("div", 2),
  callback("li, h1, td", 3),
  callback("ul", 4),
];

/** What each callback makes of its element: of the page as it came, and of nothing else. */
function editsOf(handler: number, tag: string, attributes: readonly (readonly [string, string])[]): readonly HtmlEdit[] {
  switch (handler) {
    case 0:
      return [html.setAttribute("*", "href", `/${attributes.length}`), html.append("*", tag)];
    case 1:
      return attributes.length > 0 ? [html.before("*", { html: "<hr>" })] : [];
    case 2:
      return [html.remove("*")];
    case 3:
      return [html.setText("*", tag), html.addClass("*", "seen")];
    default:
      return [html.replace("*", "[ul]")];
  }
}

interface Asked {
  readonly elements: string[];
  questions: number;
}

function asking(asked: Asked): AskElements {
  return (elements) => {
    asked.questions++;
    asked.elements.push(...elements.map(({ tag, attributes }) => `${tag} ${JSON.stringify(attributes)}`));
    return Promise.resolve(elements.map(({ tag, attributes, callbacks }) => callbacks.map(({ handler }) => editsOf(handler, tag, attributes))));
  };
}

async function edited(bytes: Buffer, cuts: readonly number[]): Promise<{ readonly text: string; readonly asked: Asked }> {
  const asked: Asked = { elements: [], questions: 0 };
  const editor = new AskingEditor(compiled, {}, asking(asked));
  const out: Buffer[] = [];
  const reused = Buffer.alloc(bytes.length);
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    const chunk = reused.subarray(0, cut - from);
    bytes.copy(chunk, 0, from, cut);
    const writing = editor.write(chunk);
    // Whoever is asked has the page no longer: its buffer is written over while it thinks.
    if (writing instanceof Promise) chunk.fill(0x3c);
    for (const piece of await writing) out.push(Buffer.from(piece));
    from = cut;
  }
  for (const piece of editor.end()) out.push(Buffer.from(piece));
  return { text: Buffer.concat(out).toString(), asked };
}
const compiled = compileEdits(EDITS);

test("fifty pages, cut anywhere into two, come out alike, and the same elements are told", async () => {
  let told = 0;
  for (const page of PAGES) {
    const bytes = Buffer.from(page);
    const whole = await edited(bytes, []);
    told += whole.asked.elements.length;
    for (let cut = 1; cut < bytes.length; cut += 3) {
      const twice = await edited(bytes, [cut]);
      assert.equal(twice.text, whole.text, `cut at ${cut}`);
      assert.deepEqual(twice.asked.elements, whole.asked.elements, `cut at ${cut}`);
    }
    const cuts = Array.from({ length: Math.ceil(bytes.length / 7) - 1 }, (_, i) => (i + 1) * 7);
    assert.equal((await edited(bytes, cuts)).text, whole.text);
  }
  assert.ok(told > 150, `${told} elements were told`);
});

test("a thousand elements of one piece are one question", async () => {
  const page = Buffer.from(`<ol>${"<li class=a>x</li>".repeat(1000)}</ol>`);
  const { text, asked } = await edited(page, []);
  assert.equal(text, `<ol>${'<li class="a seen">li</li>'.repeat(1000)}</ol>`);
  assert.deepEqual([asked.questions, asked.elements.length], [1, 1000]);
});

test("a page without a match is not waited for", () => {
  const editor = new AskingEditor(compiled, {}, () => Promise.reject(new Error("nobody is asked")));
  assert.ok(!(editor.write(Buffer.from("<main><b>x</b></main>")) instanceof Promise));
});

test("callbacks read attributes as text, whatever the page's character set", async () => {
  for (const [charset, bytes] of [
    ["utf-8", Buffer.from(`<a title="größe &eacute; 日">`)],
    ["windows-1252", Buffer.from(`<a title="größe &eacute; &#26085;">`, "latin1")],
    ["shift_jis", Buffer.concat([Buffer.from(`<a title="gr&ouml;&szlig;e &eacute; `), Buffer.from([0x93, 0xfa]), Buffer.from(`">`)])],
    ["", Buffer.from(`<a title="größe &eacute; 日">`)],
  ] as const) {
    const told: string[] = [];
    const editor = new AskingEditor(compiled, { charset }, (elements) => {
      told.push(...elements.flatMap(({ attributes }) => attributes.map(([, value]) => value)));
      return Promise.resolve(elements.map(({ callbacks }) => callbacks.map(() => [])));
    });
    await editor.write(bytes);
    assert.equal(told.length, 1, charset);
    assert.match(
      told[0]!.replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code))),
      /^größe é 日$/,
      charset,
    );
  }
});
