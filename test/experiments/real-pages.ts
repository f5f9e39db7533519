/** Fifty whole pages in the shapes that real sites send: ten kinds of pages, each written in five ways. Made by a fixed draw, so that they are the same everywhere. */
import { Buffer } from "node:buffer";
import { html, type HtmlEdit } from "../../sdk/html.ts";

export interface RealPage {
  readonly name: string;
  readonly bytes: Buffer;
  /** As its Content-Type would name it; "": it does not. */
  readonly charset: string;
}

/** Numbers that look random and are not: Lehmer's, modulo 2³¹ − 1. */
class Draw {
  #state: number;
  constructor(seed: number) {
    this.#state = (seed % 2_147_483_646) + 1;
  }
  below(limit: number): number {
    this.#state = (this.#state * 48_271) % 2_147_483_647;
    return this.#state % limit;
  }
  one<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }
}

const WORDS =
  "kiln glaze wheel river straw mill handle spout the a and of with every small warm quiet morning coffee table shelf garden harvest letter bridge north winter paper lantern é ü ñ “quoted” 5 &amp; 7 &lt;3 — more than it seems".split(
    " ",
  );

function sentence(draw: Draw, words: number): string {
  const text = Array.from({ length: words }, () => draw.one(WORDS)).join(" ");
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}
const paragraphs = (draw: Draw, count: number): string => Array.from({ length: count }, () => `<p>${sentence(draw, 8 + draw.below(30))}</p>`).join("\n");
const many = (count: number, make: (i: number) => string): string => Array.from({ length: count }, (_, i) => make(i)).join("\n");

type Kind = (draw: Draw) => { readonly title: string; readonly head: string; readonly body: string };

const card = (draw: Draw, i: number): string =>
  `<li class="card${i % 3 === 0 ? " featured" : ""}" data-sku="sku-${i}"><a class="link" href="/products/${i}?ref=home&amp;pos=${i}"><img src="/img/${i}.webp" alt="${sentence(draw, 3)}" width="240" height="240" loading="lazy"></a><h3>${sentence(draw, 2)}</h3><span class="price">€ ${draw.below(90)}.99</span><button type="button" class="buy" data-add="${i}">Add to cart</button></li>`;

const KINDS: Readonly<Record<string, Kind>> = {
  home: (draw) => ({
    title: "The shop",
    head: `<script>window.dataLayer = window.dataLayer || []; if (1 < 2 && "</h1>".length > 3) dataLayer.push({ page: "home" });</script>\n<link rel="preload" href="/font.woff2" as="font" crossorigin>`,
    body: `<section class="hero" id="hero"><h1>Good <em>things</em></h1><p class="lead">${sentence(draw, 14)}</p><a class="cta" href="/checkout">Go on</a></section>\n<ul class="grid">\n${many(12, (i) => card(draw, i))}\n</ul>`,
  }),
  product: (draw) => ({
    title: "Reed vase",
    head: `<script type="application/ld+json">{"@type":"Product","name":"Reed <b>vase</b>","offers":{"price":"54.00"}}</script>\n<meta property="og:title" content="Reed &quot;vase&quot;">`,
    body: `<nav class="crumbs"><a href="/">Home</a> / <a href="/vases">Vases</a></nav><h1>Reed vase</h1><picture><source srcset="/v.avif" type="image/avif"><img src="/v.jpg" alt=""></picture>${paragraphs(draw, 4)}<dl>${many(6, (i) => `<dt>Fact ${i}<dd>${sentence(draw, 4)}`)}</dl><form action="/cart" method="post"><select name="glaze"><option value="1">Moss<option value="2" selected>Sand</select><button class="cta">Into the basket</button></form>`,
  }),
  article: (draw) => ({
    title: "How a pot is thrown",
    head: `<meta name="description" content="${sentence(draw, 12)}">\n<style>article h1 > a { content: "</h1>" } .lead::first-letter { font-size: 3em }</style>`,
    body: `<article><header><h1><a href="#top">How a pot is thrown</a></h1><p class="byline">By <a rel="author" href="/ada">Ada</a>, <time datetime="2026-11-21">today</time></p></header>${paragraphs(draw, 9)}<blockquote><p>${sentence(draw, 20)}</blockquote><figure><img src="/a.jpg" alt="x"><figcaption>${sentence(draw, 6)}</figcaption></figure>${paragraphs(draw, 5)}</article>`,
  }),
  listing: (draw) => ({
    title: "News",
    head: `<link rel="alternate" type="application/rss+xml" href="/feed">`,
    body: `<h1>News</h1>${many(14, (i) => `<article class="teaser" data-n=${i}><h2><a href="/news/${i}">${sentence(draw, 5)}</a></h2><p>${sentence(draw, 18)}<p class="more"><a href="/news/${i}">more</a></article>`)}<ol class="pages"><li class="on">1<li><a href="?p=2">2</a><li><a href="?p=3">3</a></ol>`,
  }),
  table: (draw) => ({
    title: "Orders",
    head: "",
    body: `<h1>Orders</h1><table class="sortable"><caption>${sentence(draw, 4)}</caption><colgroup><col><col span=2></colgroup><thead><tr><th>No<th>What<th>Sum</thead><tbody>${many(30, (i) => `<tr${i % 2 ? ' class="odd"' : ""}><td>${i}<td>${sentence(draw, 4)}<td class="price">€ ${draw.below(99)}.00`)}</table><p>end</p>`,
  }),
  forum: (draw) => ({
    title: "Thread",
    head: `<script async src="https://cdn.example/a.js"></script>`,
    body: `<h1>Thread</h1>${many(10, (i) => `<div class="post" id="p${i}"><div class="who"><b>user${i}</b><br><i>since 20${10 + i}</i></div><div class="text">${sentence(draw, 30)}<br><br>${sentence(draw, 12)}<blockquote>${sentence(draw, 8)}</blockquote><pre><code>if (a &lt; b &amp;&amp; c) {\n  return "&lt;/div&gt;"\n}</code></pre></div></div>`)}`,
  }),
  form: (draw) => ({
    title: "Checkout",
    head: `<meta http-equiv="refresh" content="900">`,
    body: `<h1>Checkout</h1><form id="f" method="post"><fieldset><legend>You</legend>${many(8, (i) => `<label for="i${i}">${sentence(draw, 2)}</label><input id="i${i}" name="n${i}" value="${i}" ${i % 2 ? "required" : "disabled"}>`)}</fieldset><textarea name="t">\n<h1>not a heading</h1> & text</textarea><p>Agree <input type=checkbox checked><noscript><p>Turn scripts on.</noscript><button class='cta big'>Order</button></form>`,
  }),
  docs: (draw) => ({
    title: "Manual",
    head: `<link rel=stylesheet href=/doc.css>`,
    body: `<nav><ul>${many(12, (i) => `<li><a href="#s${i}">Section ${i}</a><ul><li><a href="#s${i}a">a</a></ul>`)}</ul></nav><main><h1>Manual</h1>${many(6, (i) => `<h2 id="s${i}">Section ${i}</h2><p>${sentence(draw, 25)}<svg class="icon" viewBox="0 0 8 8"><title>i</title><path d="M0 0L8 8"/><g><a href="#x"><text>t</text></a></g></svg><table><tr><td><code>a</code><td>${sentence(draw, 6)}</table>`)}</main>`,
  }),
  app: (draw) => ({
    title: "App",
    head: `<script type="module" src="/app.js"></script><!-- build ${draw.below(9999)} <h1>never</h1> -->`,
    body: `<div id="root" data-props='{"a":"<b>","n":${draw.below(99)}}'><header role=banner><h1 class="sr-only">App</h1></header>${many(25, (i) => `<div class="css-${draw.below(9999).toString(36)} css-${i}" style="--i:${i}"><div class="css-x"><span aria-hidden="true"></span><span>${sentence(draw, 3)}</span></div></div>`)}</div><script>window.__STATE__={"html":"<p>\\u003c/script>","list":[1,2,3]}</script>`,
  }),
  old: (draw) => ({
    title: "Welcome",
    head: `<script language="JavaScript"><!--\nfunction go(){ if (a<b) document.write("<h1>no</h1>"); }\n//--></script>`,
    body: `<center><font size=+3><b>Welcome <i>to the</b> page</i></font></center><h1>Welcome</h1><hr><table width=100% border=0><tr><td width=20% bgcolor=#eeeeee valign=top><ul>${many(9, (i) => `<li><a href=p${i}.html>${sentence(draw, 2)}</a>`)}</ul><td><p>${sentence(draw, 40)}<p align=center><img src=a.gif border=0><p>${sentence(draw, 25)}<marquee>hi</marquee></table><a name=end></a>`,
  }),
};

interface Dialect {
  readonly name: string;
  readonly charset: string;
  write(parts: { readonly title: string; readonly head: string; readonly body: string }): Buffer;
}

const FOOT = `<footer class="foot"><p>Imprint · <a href="/privacy">Privacy</a></p></footer>`;

const DIALECTS: readonly Dialect[] = [
  {
    name: "plain",
    charset: "utf-8",
    write: ({ title, head, body }) =>
      Buffer.from(
        `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>${title}</title>\n<link rel="stylesheet" href="/site.css">\n${head}\n</head>\n<body class="page dark">\n<main>\n${body}\n</main>\n${FOOT}\n</body>\n</html>\n`,
      ),
  },
  {
    name: "minified",
    charset: "",
    write: ({ title, head, body }) =>
      Buffer.from(
        `<!doctype html><meta charset=utf-8><title>${title}</title>${head}<main>${body}</main>${FOOT}`
          .replaceAll(/>\n/g, ">")
          .replaceAll(/="([a-z0-9-]+)"/g, "=$1"),
      ),
  },
  {
    name: "shouting",
    charset: "utf-8",
    write: ({ title, head, body }) =>
      Buffer.from(
        `<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN">\r\n<HTML><HEAD><TITLE>${title}</TITLE>${head}</HEAD>\r\n<BODY CLASS="dark">${body
          .replaceAll(/<(\/?)(p|a|ul|li|h1|div)\b/g, (_, slash: string, tag: string) => `<${slash}${tag.toUpperCase()}`)
          .replaceAll("\n", "\r\n")}${FOOT}</BODY></HTML>`,
      ),
  },
  {
    name: "xml-like",
    charset: "UTF-8",
    write: ({ title, head, body }) =>
      Buffer.from(
        `\ufeff<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml">\n<head>\n<title>${title}</title>\n${head}\n</head>\n<body>\n<main\n  class = 'wide'\n>${body.replaceAll(/<(img|br|hr|input)([^>]*)>/g, "<$1$2 />")}</main>${FOOT}</body></html>`,
      ),
  },
  {
    name: "western",
    charset: "",
    write: ({ title, head, body }) =>
      Buffer.from(
        `<html><head><meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1"><title>${title}</title>${head}</head><body><main>${body}</main>${FOOT}<!-- served in 3 ms -->`.replaceAll(
          /[“”—]/g,
          "-",
        ),
        "latin1",
      ),
  },
];

export const REAL_PAGES: readonly RealPage[] = Object.entries(KINDS).flatMap(([kind, make], i) =>
  DIALECTS.map((dialect, j) => ({
    name: `${kind}, ${dialect.name}`,
    charset: dialect.charset,
    bytes: dialect.write(make(new Draw(i * 7 + j + 1))),
  })),
);

/** One edit of each kind, by selectors of each kind. */
export const EIGHT_EDITS: readonly HtmlEdit[] = [
  html.setText("h1", "Buy <now>"),
  html.setAttribute("a.cta, .link", "href", `/q?a=1&b="2"`),
  html.addClass("main > .grid .card:not(.featured)", "plain"),
  html.append("p", "."),
  html.before("li:nth-child(2n)", { html: "<!-- even -->" }),
  html.remove("footer"),
  html.replace(".price", { html: "<b>€</b>" }),
  html.insertScript("if (a < b) go('</script>')", { nonce: "page" }),
];
