import assert from "node:assert/strict";
import { test } from "node:test";
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import { html } from "../../sdk/html.ts";
import { compileEdits, editable, editedFields, editHtml, type PageCoding } from "../../runtime/experiments/edits/edits.ts";
import { GatewayError } from "../../runtime/errors.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { Origin, readAll } from "./flowing-bodies.ts";

const EDITS = compileEdits([html.setText("h1", "Buy"), html.append("body", "!")]);
const PAGE = `<!doctype html><body><h1>Go</h1>${"<p>some text</p>".repeat(2000)}</body>`;
const EDITED = PAGE.replace("Go", "Buy").replace("</body>", "!</body>");

test("a plain body is edited, also for a reader that pauses after each piece", async () => {
  for (const slowly of [false, true]) {
    const body = editHtml(new Origin(Buffer.from(PAGE)), EDITS);
    assert.equal(body.length, -1);
    assert.equal((await readAll(body, slowly)).toString(), EDITED);
  }
});

const CODINGS: readonly (readonly [Exclude<PageCoding, "identity">, (bytes: Buffer) => Promise<Buffer>, (bytes: Buffer) => Promise<Buffer>])[] = [
  ["gzip", promisify(zlib.gzip), promisify(zlib.gunzip)],
  ["deflate", promisify(zlib.deflate), promisify(zlib.inflate)],
  ["br", promisify(zlib.brotliCompress), promisify(zlib.brotliDecompress)],
  ["zstd", promisify(zlib.zstdCompress), promisify(zlib.zstdDecompress)],
];

for (const [coding, make, undo] of CODINGS) {
  test(`a body in ${coding} is edited and stays in ${coding}`, async () => {
    const coded = await make(Buffer.from(PAGE));
    for (const slowly of [false, true]) {
      for (const size of [1, 64, 100_000]) {
        const edited = await readAll(editHtml(new Origin(coded, size), EDITS, { coding }), slowly);
        assert.equal((await undo(edited)).toString(), EDITED);
      }
    }
  });

  test(`a body in ${coding} that breaks off is no page`, async () => {
    const coded = await make(Buffer.from(PAGE));
    const origin = new Origin(coded.subarray(0, coded.length - 10));
    await assert.rejects(readAll(editHtml(origin, EDITS, { coding })), (error) => error instanceof GatewayError && error.code === "UPSTREAM_MALFORMED");
  });

  test(`what came of a body in ${coding} leaves before the rest comes`, async () => {
    const coder = { gzip: zlib.createGzip, deflate: zlib.createDeflate, br: zlib.createBrotliCompress, zstd: zlib.createZstdCompress }[coding]();
    const sent: Buffer[] = [];
    coder.on("data", (bytes: Buffer) => sent.push(bytes));
    coder.write("<h1>Go</h1>");
    await new Promise<void>((resolve) => coder.flush(() => resolve()));
    const origin = new Origin(Buffer.concat(sent), 1000, () => undefined);
    const decoder = { gzip: zlib.createGunzip, deflate: zlib.createInflate, br: zlib.createBrotliDecompress, zstd: zlib.createZstdDecompress }[coding]();
    const body = editHtml(origin, EDITS, { coding });
    const seen = new Promise<string>((resolve) => {
      let text = "";
      decoder.on("data", (bytes: Buffer) => {
        text += bytes.toString();
        if (text.endsWith("</h1>")) resolve(text);
      });
    });
    body.read({
      chunk: (bytes) => decoder.write(Buffer.from(bytes)) || true,
      end: () => assert.fail("the page has not ended"),
      error: (error) => assert.fail(error),
    });
    assert.equal(await seen, "<h1>Buy</h1>");
    body.cancel();
    assert.ok(origin.cancelled);
    coder.destroy();
    decoder.destroy();
  });
}

test("deflate without its wrapper is understood, as browsers do", async () => {
  const coded = zlib.deflateRawSync(PAGE);
  assert.equal(zlib.inflateSync(await readAll(editHtml(new Origin(coded), EDITS, { coding: "deflate" }))).toString(), EDITED);
});

test("a bomb is no page", async () => {
  const origin = new Origin(zlib.gzipSync(Buffer.alloc(100_000_000)));
  await assert.rejects(readAll(editHtml(origin, EDITS, { coding: "gzip" })), /a bomb/);
});

test("a reader that stops holds the origin, coded or not", async () => {
  const page = Buffer.from(`<body>${Array.from({ length: 400_000 }, (_, i) => (i * 7919).toString(36)).join(" ")}</body>`);
  for (const coding of ["identity", "gzip"] as const) {
    const origin = new Origin(coding === "gzip" ? zlib.gzipSync(page) : page);
    const body = editHtml(origin, EDITS, { coding });
    let got = 0;
    const first = Promise.withResolvers<void>();
    body.read({
      chunk: (bytes) => {
        got += bytes.length;
        first.resolve();
        return false;
      },
      end: () => assert.fail("it was not read to its end"),
      error: (error) => assert.fail(error),
    });
    await first.promise;
    // Whatever threads still work on comes in within these turns, and is bounded by their buffers.
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(origin.paused && got < page.length / 4, `${got} of ${page.length} bytes came, paused: ${origin.paused}`);
    assert.ok(origin.givenBytes < origin.length / 2, `${origin.givenBytes} of ${origin.length} were taken`);
    body.cancel();
    assert.ok(origin.cancelled);
  }
});

test("an origin that breaks off is told, and nothing comes after it", async () => {
  for (const coding of ["identity", "gzip"] as const) {
    const bytes = coding === "gzip" ? zlib.gzipSync(PAGE) : Buffer.from(PAGE);
    const broken = new GatewayError("UPSTREAM_RESET", "gone");
    const origin = new Origin(bytes, 100, (sink) => sink.error(broken));
    await assert.rejects(readAll(editHtml(origin, EDITS, { coding })), broken);
  }
});

test("no edits, or no body: the same body", () => {
  const origin = new Origin(Buffer.from("x"));
  assert.equal(editHtml(origin, compileEdits([])), origin);
  const empty = new Origin(Buffer.alloc(0));
  assert.equal(editHtml(empty, EDITS), empty);
});

test("only whole HTML pages in known codings are edited", () => {
  const of = (type: string, more: readonly (readonly [string, string])[] = []) => Fields.of(["content-type", type], ...more);
  assert.deepEqual(editable(200, of('Text/HTML; charset="ISO-8859-1"', [["content-encoding", "GZIP"]])), {
    editable: true,
    charset: "ISO-8859-1",
    coding: "gzip",
    nonce: "",
  });
  const csp = "default-src 'self'; style-src 'nonce-other'; script-src 'strict-dynamic' 'nonce-abc+/='";
  assert.deepEqual(editable(404, of("text/html", [["content-security-policy", csp]])), { editable: true, charset: "", coding: "identity", nonce: "abc+/=" });
  assert.deepEqual(editable(206, of("text/html")), { editable: false, because: "status" });
  assert.deepEqual(editable(304, of("text/html")), { editable: false, because: "status" });
  assert.deepEqual(editable(200, of("text/html", [["content-encoding", "gzip, br"]])), { editable: false, because: "coding" });
  for (const type of ["application/xhtml+xml", "text/plain", "text/html5", ""]) assert.deepEqual(editable(200, of(type)), { editable: false, because: "type" });
});

test("header fields of an edited page say nothing that is no longer true", () => {
  const fields = Fields.of(
    ["content-type", "text/html"],
    ["content-length", "5"],
    ["etag", '"abc"'],
    ["last-modified", "Sat, 21 Nov 2026 08:00:00 GMT"],
    ["content-md5", "x"],
    ["digest", "x"],
    ["content-digest", "x"],
    ["repr-digest", "x"],
    ["accept-ranges", "bytes"],
    ["cache-control", "max-age=5"],
  );
  editedFields(fields, EDITS);
  assert.deepEqual(fields.list, ["content-type", "text/html", "etag", `W/"abc-${EDITS.id}"`, "accept-ranges", "none", "cache-control", "max-age=5"]);
  const weak = Fields.of(["etag", 'W/"abc"']);
  editedFields(weak, EDITS);
  assert.equal(weak.get("etag"), `W/"abc-${EDITS.id}"`);
  assert.notEqual(compileEdits([html.setText("h1", "Sell")]).id, EDITS.id);
  assert.equal(compileEdits([html.setText("h1", "Buy"), html.append("body", "!")]).id, EDITS.id);
});
