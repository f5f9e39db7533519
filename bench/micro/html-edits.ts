/**
 * What HTML edits cost: a page of about 5 KB (asked for: at most 0.6 ms of CPU), one of 100 KB, and what is decided once.
 * Run: node --conditions=sluice-source bench/micro/html-edits.ts
 */
import { bench, do_not_optimize, group, run } from "mitata";
import { compileEdits, type CompiledEdits, HtmlEditor } from "../../runtime/experiments/edits/edits.ts";
import { html } from "../../sdk/html.ts";

const card = (i: number) =>
  `<li class="card${i % 3 === 0 ? " featured" : ""}" data-sku="sku-${i}"><a class="link" href="/products/${i}?ref=home&amp;pos=${i}"><img src="/img/${i}.webp" alt="Product ${i}" width="240" height="240" loading="lazy"></a><h3>Product ${i}</h3><p class="price">€ ${i}.99</p><button type="button" class="buy">Add to cart</button></li>\n`;
const page = (cards: number) =>
  Buffer.from(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>The shop</title><link rel="stylesheet" href="/shop.css"><script>window.shop = { cart: [] };</script></head>
<body class="home"><header><nav><ul><li><a href="/">Home</a></li><li><a href="/new">New</a></li></ul></nav></header>
<main><h1 id="hero">Good things</h1><p>Everything you need, and nothing else.</p><a class="cta" href="/checkout">Go on</a>
<ul class="grid">
${Array.from({ length: cards }, (_, i) => card(i)).join("")}</ul></main><footer><p>Imprint</p></footer></body></html>
`);
const small = page(14);
const large = page(330);

const usual = compileEdits([
  html.setText("h1", "Buy it now"),
  html.setAttribute("a.cta", "href", "/checkout?quick=1"),
  html.insertScript("track()", { nonce: "r4nd0m" }),
]);
const many = compileEdits([
  html.setText("h1#hero", "Buy it now"),
  html.addClass("main > .grid .card:not(.featured)", "plain"),
  html.append(".price", { html: "<small>incl. VAT</small>" }),
  html.setAttribute("button.buy", "data-variant", "bold"),
  html.before(".card:nth-child(4n+1)", { html: "<!-- row -->" }),
  html.remove("footer"),
]);
const absent = compileEdits([html.setText("#nobody", "x")]);

function edit(compiled: CompiledEdits, bytes: Buffer): number {
  const editor = new HtmlEditor(compiled, { charset: "utf-8" });
  let length = 0;
  for (const piece of editor.write(bytes)) length += piece.length;
  for (const piece of editor.end()) length += piece.length;
  return length;
}

if (edit(usual, small) <= small.length || edit(many, small) === small.length || edit(absent, small) !== small.length)
  throw new Error("the edits do not do what is measured");

group(`a page of ${small.length} bytes`, () => {
  bench("three edits", () => do_not_optimize(edit(usual, small)));
  bench("six edits of many elements", () => do_not_optimize(edit(many, small)));
  bench("no match", () => do_not_optimize(edit(absent, small)));
});
group(`a page of ${large.length} bytes`, () => {
  bench("three edits", () => do_not_optimize(edit(usual, large)));
  bench("six edits of many elements", () => do_not_optimize(edit(many, large)));
});
group("once for a release", () => {
  bench("compileEdits: six edits", () =>
    do_not_optimize(compileEdits([html.setText("h1#hero", "Buy it now"), html.append(".price", "x"), html.remove("footer > p:not(.x)")])));
});
await run();
