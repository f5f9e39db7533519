import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";
import { gateway } from "../../runtime/testing/testing.ts";

const PAGE = `<!doctype html><meta charset=utf-8><body><a href="http://x/?a=1&amp;b=2">one</a><a>none</a><A HREF=/two>two</A>
<p title="gr&ouml;ße &amp; co">long</p><p>short</p><div class=gone><a href=/in>in</a></div><b id=b class="y">bold</b></body>`;
const EDITED = `<!doctype html><meta charset=utf-8><body><a data-mark="s" data-first="1" data-n="over" href="https://x/?a=1&amp;b=2">one [a 1 href+data-n]</a><a data-mark="s" data-first="1" data-n="over">none</a><A data-mark="s" data-first="1" data-n="over" HREF=/two>two [a 2 href+data-n]</A>
<p title="gr&ouml;ße &amp; co">found</p><p>short</p><i><b class="y x"><u>y x false</u></b></i></body>`;
const BAD = `<html><i>1</i><i class=bad>2</i><i>3</i></html>`;
const type = { "content-type": "text/html; charset=utf-8" };

const gw = await gateway({
  rules: "./element-rules",
  cache: {},
  limits: { ruleWall: "1s" },
  secrets: { mark: "s" },
  upstreams: {
    site: ({ target }) => {
      switch (target.split("?")[0]) {
        case "/links/gzip":
          return { headers: { ...type, "content-encoding": "gzip" }, body: gzipSync(PAGE) };
        case "/links/br":
          return { headers: { ...type, "content-encoding": "br" }, body: brotliCompressSync(PAGE) };
        case "/links/cached":
          return { headers: { ...type, "cache-control": "max-age=600", etag: '"v1"' }, body: PAGE };
        case "/links/text":
          return { headers: { "content-type": "text/plain" }, body: PAGE };
        case "/links/many":
          return { headers: type, body: `<html>${"<a href=x>y</a>".repeat(3000)}</html>` };
        case "/links/too-many":
          return { headers: type, body: `<html>${"<a href=x>y</a>".repeat(10_001)}</html>` };
        case "/closed":
        case "/open":
          return { headers: type, body: BAD };
        default:
          return { headers: type, body: PAGE };
      }
    },
  },
});
const failures = (hooks: readonly { readonly outcome: string; readonly failure: string | null }[]) =>
  hooks.filter(({ failure }) => failure !== null).map(({ outcome, failure }) => `${outcome}: ${failure}`);

test("callbacks read and edit the elements that their selectors match, in the order of all edits", async () => {
  const res = await gw.request("/links/plain");
  assert.equal(res.text(), EDITED);
  assert.deepEqual(failures(res.hooks), []);
});

test("compressed pages, and the cache's, are edited the same way", async () => {
  assert.equal(gunzipSync((await gw.request("/links/gzip")).bytes).toString(), EDITED);
  assert.equal(brotliDecompressSync((await gw.request("/links/br")).bytes).toString(), EDITED);
  const answers = [await gw.request("/links/cached"), await gw.request("/links/cached")];
  assert.deepEqual(
    answers.map((res) => [res.text(), res.upstreamRequests.length, res.headers.get("etag")]),
    [
      [EDITED, 1, null],
      [EDITED, 0, null],
    ],
  );
});

test("nothing is called for a HEAD request, or for what is no page", async () => {
  const head = await gw.request("/links/plain", { method: "HEAD" });
  const text = await gw.request("/links/text");
  assert.deepEqual([head.status, head.text(), text.text()], [200, "", PAGE]);
});

test("three thousand elements are a few questions, not three thousand", async () => {
  const res = await gw.request("/links/many");
  assert.equal(res.text().match(/data-n="over"/g)?.length, 3000);
  assert.match(res.text(), /y \[a 3000 href\+data-n\]<\/a><\/html>$/);
});

test("more elements than a page may have fail the rule", async () => {
  const res = await gw.request("/links/too-many").catch((broken: unknown) => broken);
  assert.ok(res instanceof Error, "the page is on its way by then, and breaks off");
});

for (const [how, says] of [
  ["throw", /not this one[^]*_bad-element\.ts:13/],
  ["spin", /ms of CPU/],
  ["wait", /took longer than/],
  ["edits", /at most 256 edits/],
  ["size", /at most 1048576 may leave/],
  ["late", /onResponse is over/],
] as const) {
  test(`a callback that fails (${how}): a closed rule answers 503, an open one is left out from there`, async () => {
    const closed = await gw.request(`/closed?how=${how}`);
    assert.equal(closed.status, 503);
    assert.match(failures(closed.hooks).join(), says);
    assert.match(failures(closed.hooks).join(), /^failed-closed/);
    const open = await gw.request(`/open?how=${how}`);
    const before = how === "spin" || how === "wait" ? "1" : "ok";
    assert.equal(open.text(), `<html><i data-mark="s">${before}</i><i data-mark="s" class=bad>2</i><i data-mark="s">3</i></html>`);
    assert.match(failures(open.hooks).join(), says);
    assert.match(failures(open.hooks).join(), /^failed-open/);
  });
}

test("callbacks that end well leave the page to the others", async () => {
  assert.equal((await gw.request("/closed?how=well")).text(), `<html><i data-mark="s">ok</i><i data-mark="s" class=bad>2</i><i data-mark="s">ok</i></html>`);
});

test("a selector that can't be read fails the rule before anything is sent", async () => {
  const res = await gw.request("/open?how=bad-selector");
  assert.equal(res.status, 503);
  assert.match(failures(res.hooks).join(), /the selector "i:hover" at character 2/);
});
