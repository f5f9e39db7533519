import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { gateway } from "../../runtime/testing/testing.ts";

const PAGE = "<!doctype html><html><body><h1>as sent</h1><p>rest</p></body></html>";
const EDITED = PAGE.replace("as sent", "edited");
const type = { "content-type": "text/html; charset=utf-8" };

const gw = await gateway({
  rules: "./html-rules",
  cache: {},
  upstreams: {
    site: ({ target }) => {
      switch (target) {
        case "/gzip":
          return { headers: { ...type, "content-encoding": "gzip" }, body: gzipSync(PAGE) };
        case "/br":
          return { headers: { ...type, "content-encoding": "br" }, body: brotliCompressSync(PAGE) };
        case "/zstd":
          return { headers: { ...type, "content-encoding": "zstd" }, body: zstdCompressSync(PAGE) };
        case "/broken":
          return { status: 502, headers: type, body: PAGE };
        case "/cached":
          return { headers: { ...type, "cache-control": "max-age=600", etag: '"v1"' }, body: PAGE };
        default:
          return { headers: type, body: PAGE };
      }
    },
  },
});

test("compressed pages are edited and stay compressed", async () => {
  for (const [coding, undo] of [
    ["gzip", gunzipSync],
    ["br", brotliDecompressSync],
    ["zstd", zstdDecompressSync],
  ] as const) {
    const res = await gw.request(`/${coding}`);
    assert.equal(res.headers.get("content-encoding"), coding);
    assert.equal(undo(res.bytes).toString(), EDITED);
  }
});

test("an error page of the origin is a page, too", async () => {
  const res = await gw.request("/broken");
  assert.deepEqual([res.status, res.text()], [502, EDITED]);
});

test("the cache keeps the origin's page: each delivery is edited anew", async () => {
  const answers = [await gw.request("/cached"), await gw.request("/cached")];
  assert.deepEqual(
    answers.map((res) => res.text()),
    [EDITED, EDITED],
  );
  assert.deepEqual(
    answers.map((res) => res.upstreamRequests.length),
    [1, 0],
  );
  const etag = answers[1]!.headers.get("etag");
  assert.match(etag ?? "", /^W\/"v1-[0-9a-f]{8}"$/);
  assert.equal(answers[0]!.headers.get("etag"), etag);
});

test("who has the edited page and asks whether it changed gets it whole", async () => {
  const res = await gw.request("/cached", { headers: { "if-none-match": (await gw.request("/cached")).headers.get("etag")! } });
  assert.deepEqual([res.status, res.text()], [200, EDITED]);
});

test("HEAD tells no length and no ETag of the unedited page", async () => {
  const res = await gw.request("/cached", { method: "HEAD" });
  assert.equal(res.headers.has("content-length"), false);
  assert.match(res.headers.get("etag") ?? "", /^W\/"v1-/);
});

test("later edits win, and what one visitor gave stays with the visitor", async () => {
  for (const text of ["one", "<two>", "one"]) {
    const res = await gw.request(`/text-again?text=${encodeURIComponent(text)}`);
    assert.equal(res.text(), PAGE.replace("as sent", text.replace("<", "&lt;").replace(">", "&gt;")));
  }
});

test("a body that a rule set is edited, whenever it was set", async () => {
  assert.equal((await gw.request("/body")).text(), "<h1>from the rule!</h1>");
});

for (const [path, says] of [
  ["/selector", /the selector "h1:hover" at character 3: :hover/],
  ["/attribute", /no name of an attribute/],
  ["/too-early", /not to be had in onOriginResponse/],
] as const) {
  test(`${path}: an edit that can't be made fails the rule`, async () => {
    const res = await gw.request(path);
    assert.equal(res.status, 503);
    assert.match(res.hooks.map(({ failure }) => failure ?? "").join("\n"), says);
    assert.ok(!res.text().includes("as sent"));
  });
}

test("the gateway's own error page is no page to edit", async () => {
  const res = await gw.request("/selector", { headers: { accept: "text/html" } });
  assert.match(res.text(), /<h1>503/);
});
