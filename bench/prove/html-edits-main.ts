/** A process that edits so many pages, one after the other, and tells what it held at the end of each tenth: `node --expose-gc html-edits-main.ts PAGES`. */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { BodySource } from "../../runtime/proxy/exchange.ts";
import { bodyOf } from "../../runtime/proxy/exchange.ts";
import { compileEdits, editHtml } from "../../runtime/experiments/edits/edits.ts";
import { html } from "../../sdk/html.ts";
import { REAL_PAGES } from "../../test/experiments/real-pages.ts";

export interface Held {
  readonly heapBytes: number;
  readonly residentBytes: number;
}

const PARTS = 10;
/** One page in so many is compressed: decoder, editor and coder. */
const CODED_EACH = 5;

const edits = compileEdits([
  html.setText("h1", "Buy it now"),
  html.setAttribute("a.cta", "href", "/checkout?quick=1"),
  html.append("main", { html: "<p class=notice>Free delivery today</p>" }),
  html.remove("footer"),
  html.insertScript("track()", { nonce: "r4nd0m" }),
]);

function readAll(body: BodySource): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    body.read({ chunk: (piece) => ((bytes += piece.length), true), end: () => resolve(bytes), error: reject });
  });
}

const pages = Number(process.argv[2]);
const coded = await Promise.all(REAL_PAGES.map(({ bytes }) => promisify(gzip)(bytes)));
const held: Held[] = [];
for (let part = 0; part < PARTS; part++) {
  for (let i = 0; i < pages / PARTS; i++) {
    const at = i % REAL_PAGES.length;
    const { bytes, charset } = REAL_PAGES[at]!;
    const isCoded = i % CODED_EACH === 0;
    // A copy, as every origin's page is bytes of its own.
    const body = bodyOf(Buffer.from(isCoded ? coded[at]! : bytes));
    await readAll(editHtml(body, edits, { charset, coding: isCoded ? "gzip" : "identity" }));
  }
  // Handles of zlib close in a later turn.
  await new Promise(setImmediate);
  global.gc!();
  global.gc!();
  held.push({ heapBytes: process.memoryUsage().heapUsed, residentBytes: process.memoryUsage.rss() });
}
process.stdout.write(JSON.stringify(held));
