/** Pages in the shapes that real sites send, and one way to run an editor over them. */
import type { HtmlEdit } from "../../sdk/html.ts";
import { compileEdits, type EditorOptions, HtmlEditor } from "../../runtime/experiments/edits/edits.ts";

/** The edited page; `cuts` are the offsets at which the page is cut, ascending. */
export function edited(page: string | Buffer, edits: readonly HtmlEdit[], cuts: readonly number[] = [], options: EditorOptions = {}): Buffer {
  const bytes = typeof page === "string" ? Buffer.from(page) : page;
  const editor = new HtmlEditor(compileEdits(edits), options);
  const out: Buffer[] = [];
  // Each chunk in a buffer that is written over, as sockets do.
  const reused = Buffer.alloc(bytes.length);
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    const chunk = reused.subarray(0, cut - from);
    bytes.copy(chunk, 0, from, cut);
    for (const piece of editor.write(chunk)) out.push(Buffer.from(piece));
    chunk.fill(0x3c);
    from = cut;
  }
  for (const piece of editor.end()) out.push(Buffer.from(piece));
  return Buffer.concat(out);
}

export function editedText(page: string, edits: readonly HtmlEdit[], options: EditorOptions = {}): string {
  return edited(page, edits, [], options).toString();
}

const HEADS: readonly string[] = [
  `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Shop &mdash; Grüße</title>\n<link rel="stylesheet" href="/a.css">\n<script>window.dataLayer = window.dataLayer || []; if (1 < 2) document.write("<h1>no</h1>")</script>\n</head>\n`,
  `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd"><HTML><HEAD><META http-equiv='Content-Type' content='text/html; charset=utf-8'><TITLE>Old</TITLE></HEAD>`,
  `<!doctype html><title>No head tag</title><meta name=viewport content=width=device-width>`,
  `\ufeff<html><head><style>h1 > a { content: "</h1>" }</style><!-- <h1>comment</h1> --></head>`,
  ``,
];

const BODIES: readonly string[] = [
  `<body class="home dark">\n  <header><nav><ul><li class="on"><a href="/">Home</a><li><a href="/shop?a=1&amp;b=2">Shop</a></ul></nav></header>\n  <main><h1 id=hero>Buy <em>it</em></h1><p>One<p>Two<div class='card  big'>Three</div><a class="cta" href='/go'>Go</a></main>\n</body></html>\n`,
  `<body><table border=1><tr><td>a<td>b<tr><th>c</table><select><option value=1>x<option selected>y</select><h1>T</h1><p>a<br>b<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="">c<hr/>d</body>`,
  `<body><svg viewBox="0 0 1 1"><title>icon</title><path d="M0 0"/><g><a href="x">l</a></g></svg><math><mi>x</mi></math><h1>After</h1><svg/><p>in</p><![CDATA[ x ]]></body>`,
  `<body><p>Unclosed <b>bold <i>both</b> italic</i><div><h1>Deep</h1><ul><li>1<ul><li>1.1</ul><li>2</ul></div><dl><dt>t<dd>d<dt>t</dl>`,
  `<body><textarea name="t">\n<h1>text</h1></textarea><script type="application/json">{"a":"</h1>","b":"<!-- "}</script><noscript><img src=x></noscript><!-- a -- b --><iframe><p>raw</p></iframe><h1 class="a" class="b">dup</h1></body>`,
  `<body onload="a('>')"><h1\n  class = "x"\n  data-x='>'\n>lines</h1><P CLASS=CTA>upper</P><a href=/x/>slash</a><a  b  c=1 d>bare</a></></ ><?php x ?><!x><div/>self</body></html>trailing <b>text`,
  `<h1>fragment</h1><p class="cta">x</p><ul><li>a</li><li>b</li><li>c</li></ul>`,
  `plain text with < and & and <3 and </ and no tags at all <`,
  `<body><h1>cut off</h1><p class="cta">half<a href="/unfini`,
  `<body><h1>日本語 ✓ 😀</h1><p title="naïve &eacute;" class="größe cta">ü</p><!-- never closed <h1>x</h1>`,
];

/** Fifty: every head with every body. */
export const PAGES: readonly string[] = HEADS.flatMap((head) => BODIES.map((body) => head + body));
