import assert from "node:assert/strict";
import { test } from "node:test";
import { html } from "../../sdk/html.ts";
import { edited } from "./html-pages.ts";

const EDITS = [html.setText("h1", "Größe € 😀"), html.setAttribute("h1", "title", "Ω"), html.addClass("p", "größe")];
const latin1 = (text: string) => Buffer.from(text, "latin1");
const h1 = "<h1>x</h1><p class='gr\xf6\xdfe'>y";

test("a page in UTF-8 gets UTF-8", () => {
  const expected = `<h1 title="Ω">Größe € 😀</h1><p class='größe'>y`;
  const page = `<h1>x</h1><p class='größe'>y`;
  assert.equal(edited(page, EDITS, [], { charset: "utf-8" }).toString(), expected);
  assert.equal(edited(`\ufeff${page}`, EDITS).toString(), `\ufeff${expected}`);
  assert.equal(edited(`<meta charset=UTF-8>${page}`, EDITS).toString(), `<meta charset=UTF-8>${expected}`);
});

test("a page in a single-byte set gets its bytes, and references for what the set does not have", () => {
  const expected = "<h1 title=\"&#937;\">Gr\xf6\xdfe \x80 &#128512;</h1><p class='gr\xf6\xdfe'>y";
  for (const charset of ["windows-1252", "ISO-8859-1", "latin1"]) assert.equal(edited(latin1(h1), EDITS, [], { charset }).latin1Slice(), expected, charset);
  const meta = `<meta http-equiv="content-type" content="text/html; charset=iso-8859-1">`;
  assert.equal(edited(latin1(meta + h1), EDITS).latin1Slice(), meta + expected);
  // KOI8-R, to see that the tables are the sets' own.
  assert.equal(edited(latin1("<h1>x"), [html.setText("h1", "Да")], [], { charset: "koi8-r" }).latin1Slice(), "<h1>\xe4\xc1");
});

test("a page that says nothing, or what nobody knows, gets ASCII that is right under every set", () => {
  for (const charset of ["", "x-unheard-of", "shift_jis"])
    assert.equal(edited("<h1>x</h1>", EDITS, [], { charset }).latin1Slice(), `<h1 title="&#937;">Gr&#246;&#223;e &#8364; &#128512;</h1>`, charset);
  const script = [html.insertScript("say('ü😀')"), html.insertStyle("a::after{content:'ü'}")];
  assert.equal(
    edited("<html><head></head>", script).latin1Slice(),
    "<html><head><script>say('\\u00fc\\ud83d\\ude00')</script><style>a::after{content:'\\fc '}</style></head>",
  );
});

test("Content-Type outweighs meta, a byte order mark outweighs both, and meta counts within 1,024 bytes only", () => {
  const meta = "<meta charset=windows-1252><h1>x</h1>";
  assert.ok(edited(meta, EDITS, [], { charset: "utf-8" }).includes("Größe €"));
  assert.ok(edited(`\ufeff${meta}`, EDITS, [], { charset: "windows-1252" }).includes("Größe €"));
  const late = `<!--${" ".repeat(1024)}-->${meta}`;
  assert.ok(edited(late, EDITS).includes("Gr&#246;&#223;e"));
});

test("selectors compare in the page's own bytes", () => {
  const edits = [html.remove(".größe")];
  assert.equal(edited(latin1(h1), edits, [], { charset: "iso-8859-1" }).latin1Slice(), "<h1>x</h1>");
  assert.equal(edited("<p class=größe>y</p>", edits, [], { charset: "utf-8" }).toString(), "");
  // By references, also where the set itself has no such letters.
  for (const charset of ["utf-8", "iso-8859-1", "koi8-u"]) assert.equal(edited("<p class='gr&ouml;&szlig;e'>y</p>", edits, [], { charset }).toString(), "");
});

test("sets whose bytes can look like markup pass unedited", () => {
  const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from("<h1>x</h1>", "utf16le")]);
  for (const cuts of [[], [1], [1, 2]]) assert.ok(edited(utf16, EDITS, cuts).equals(utf16));
  for (const charset of ["utf-16", "utf-16be", "iso-2022-jp"]) assert.equal(edited("<h1>x</h1>", EDITS, [], { charset }).toString(), "<h1>x</h1>");
  const meta = "<h1>a</h1><meta charset=iso-2022-jp><h1>\x1b$B<h1>";
  assert.ok(edited(latin1(meta), EDITS).latin1Slice().endsWith("<meta charset=iso-2022-jp><h1>\x1b$B<h1>"));
});
