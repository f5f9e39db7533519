import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { changesPage, compileEdits, watchHtml } from "../../runtime/experiments/edits/edits.ts";
import { html } from "../../sdk/html.ts";
import { Origin, readAll } from "./flowing-bodies.ts";

const TEXT = `<!doctype html><html><head><title>x</title></head><body>${"<p>some text</p>".repeat(4000)}<h1>here</h1>${"<p>more</p>".repeat(3000)}</body></html>`;
const PAGE = Buffer.from(TEXT);
const CODED = [
  ["identity", PAGE],
  ["gzip", gzipSync(PAGE)],
  ["deflate", deflateSync(PAGE)],
  ["deflate", deflateRawSync(PAGE)],
  ["br", brotliCompressSync(PAGE)],
  ["zstd", zstdCompressSync(PAGE)],
] as const;
const HEADLINE = [compileEdits([html.setText("main h1", "x")]), compileEdits([html.setText("body > h1", "x")])];
const NOWHERE = [compileEdits([html.setText("main h1", "x"), html.remove(".no")])];
const charset = "utf-8";

test("a page passes byte for byte with its length, in any coding and however slowly it is read, and what is found is told once", async () => {
  for (const [coding, bytes] of CODED) {
    for (const slowly of [false, true]) {
      const found: string[] = [];
      const body = watchHtml(
        new Origin(bytes, 100),
        [
          { edits: HEADLINE, found: () => void found.push("headline") },
          { edits: NOWHERE, found: () => void found.push("nowhere") },
        ],
        { charset, coding },
      );
      assert.equal(body.length, bytes.length);
      assert.ok((await readAll(body, slowly)).equals(bytes), coding);
      assert.deepEqual(found, ["headline"], coding);
    }
  }
});

test("the same is found on a page that is there as a whole", async () => {
  for (const [coding, bytes] of CODED) {
    assert.equal(await changesPage(bytes, HEADLINE, { charset, coding }), true, coding);
    assert.equal(await changesPage(bytes, NOWHERE, { charset, coding }), false, coding);
  }
  assert.equal(await changesPage(Buffer.from("no gzip"), HEADLINE, { charset, coding: "gzip" }), false);
});

test("it is told before the piece that holds it is given on", async () => {
  for (const [coding, bytes] of CODED) {
    let given = 0;
    let givenBefore = -1;
    const body = watchHtml(new Origin(bytes, 50), [{ edits: HEADLINE, found: () => void (givenBefore = given) }], { charset, coding });
    await new Promise<void>((resolve, reject) => {
      body.read({
        chunk: (piece) => {
          given += piece.length;
          return true;
        },
        end: () => resolve(),
        error: reject,
      });
    });
    assert.ok(givenBefore >= 0 && givenBefore < bytes.length, coding);
    if (coding === "identity") assert.ok(!TEXT.slice(0, givenBefore).includes("<h1>"));
  }
});

test("a page whose coding is broken passes as it is: its reader sees what the origin sent", async () => {
  const bytes = Buffer.concat([gzipSync(PAGE).subarray(0, 200), Buffer.alloc(3000, 7)]);
  const body = watchHtml(new Origin(bytes, 100), [{ edits: HEADLINE, found: () => assert.fail("nothing is there") }], { charset, coding: "gzip" });
  assert.ok((await readAll(body, true)).equals(bytes));
});

test("who leaves in the middle of a compressed page ends it at its origin", () => {
  const [, [coding, bytes]] = CODED;
  const origin = new Origin(bytes, 10);
  const body = watchHtml(origin, [{ edits: NOWHERE, found: () => undefined }], { charset, coding });
  body.read({ chunk: () => true, end: () => assert.fail("it was left"), error: () => assert.fail("it was left") });
  body.cancel();
  assert.equal(origin.cancelled, true);
});

test("what a page without tags of its own gets for its head and body is found, too", async () => {
  const script = [compileEdits([html.insertScript("x()", { at: "body-end" })])];
  assert.equal(await changesPage(Buffer.from("<!doctype html><p>text"), script, { charset, coding: "identity" }), true);
  assert.equal(await changesPage(Buffer.from("<p>a piece"), script, { charset, coding: "identity" }), false);
});
