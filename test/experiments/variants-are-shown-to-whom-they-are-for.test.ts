import assert from "node:assert/strict";
import { test } from "node:test";
import { gateway } from "../../runtime/testing/testing.ts";

const PAGE = "<!doctype html><html><body><h1>as sent</h1><p>rest</p></body></html>";
const BROWSER = { "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", accept: "text/html" };

const gw = await gateway({
  rules: "./wired",
  cache: {},
  upstreams: {
    site: ({ target, headers }) => ({
      headers: {
        "content-type": "text/html",
        "cache-control": "public, max-age=600",
        etag: '"v1"',
        "x-target": target,
        "x-cookie": headers.get("cookie") ?? "",
      },
      body: PAGE,
    }),
  },
});

test("a visitor sees the same variant again, whoever asks for the page in between", async () => {
  const seen = new Map<string, string>();
  for (let i = 0; i < 20; i++) {
    const res = await gw.request("/hero", { headers: BROWSER });
    const cookie = res.headers
      .getSetCookie()
      .find((text) => text.startsWith("sluice_visitor="))!
      .split(";")[0]!;

    seen.set(cookie, res.headers.get("x-hero") ?? "control");
  }
  for (const [cookie, variant] of seen) {
    const res = await gw.request("/hero", { headers: { ...BROWSER, cookie: `${cookie}; other=1` } });
    assert.equal(res.headers.get("x-hero") ?? "control", variant);
    assert.equal(res.text(), variant === "bold" ? PAGE.replace("as sent", "Buy it now") : PAGE);
    console.log(
      ["etag", "cache-control", "cache-status", "age", "content-length", "set-cookie"].map((n) => res.headers.get(n)),
      res.upstreamRequests.length,
    );
  }
});
