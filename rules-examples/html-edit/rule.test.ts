import { expect, gateway, test } from "sluice/testing";

const page = `<!doctype html><html><head><meta charset="utf-8"><script src="https://old-tracker.example/t.js"></script></head>
<body><header><span class="greeting">Welcome</span></header><main><h1>Pots &amp; pans</h1><a class="cta" href='/shop'>Shop</a></main></body></html>`;
const html = { "content-type": "text/html", etag: '"v1"', "last-modified": "Sat, 21 Nov 2026 08:00:00 GMT" };

const gw = await gateway({
  rules: "./rule.ts",
  upstreams: {
    shop: ({ target }) => {
      if (target === "/data.json") return { headers: { "content-type": "application/json" }, body: page };
      if (target === "/links")
        return {
          headers: html,
          body: `<a href="http://shop.example.com/a?b=1&amp;c=2">ours</a><a href="http://else.example/">theirs</a><a href="/c">c</a>`,
        };
      if (target === "/strict") return { headers: { ...html, "content-security-policy": "script-src 'nonce-r4nd0m'" }, body: page };
      return { headers: html, body: page };
    },
  },
});

test("the front page gets its banner and its link, the rest stays as it was", async () => {
  const res = await gw.request("/");
  expect(res.text()).toBe(
    page
      .replace(`<script src="https://old-tracker.example/t.js"></script>`, `<script src="/assets/measure.js" defer></script>`)
      .replace("<h1>", `<p class="banner">Free delivery until Sunday</p><h1>`)
      .replace("'/shop'", "'/sale?from=banner'"),
  );
});

test("a visitor's name is text, whatever it is", async () => {
  const res = await gw.request("/about", { headers: { cookie: `first-name=${encodeURIComponent("<b>Zoë</b>")}` } });
  expect(res.text()).toMatch(`<span class="greeting">Welcome back, &lt;b&gt;Zoë&lt;/b&gt;</span>`);
});

test("a script gets the nonce of the page's policy", async () => {
  const res = await gw.request("/strict");
  expect(res.text()).toMatch(`<script src="/assets/measure.js" defer nonce="r4nd0m"></script></head>`);
});

test("nobody takes the edited page for the origin's", async () => {
  const res = await gw.request("/");
  // What rules decide in code is nobody's to compare.
  expect(res.headers.get("etag")).toBeAbsent();
  expect(res.headers.get("last-modified")).toBeAbsent();
  expect(res.headers.get("accept-ranges")).toBe("none");
});

test("links are mended one by one: our own to https, others marked", async () => {
  const res = await gw.request("/links");
  expect(res.text()).toBe(
    `<a href="https://shop.example.com/a?b=1&amp;c=2">ours</a><a rel="external noopener" href="http://else.example/">theirs</a><a href="/c">c</a>`,
  );
});

test("what is no page is left alone", async () => {
  const res = await gw.request("/data.json");
  expect(res.text()).toBe(page);
});
