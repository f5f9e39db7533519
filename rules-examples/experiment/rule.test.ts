import { expect, gateway, test } from "sluice/testing";

const page = `<!doctype html><html><head><title>Shop</title></head><body><div class="hero"><div class="card"><h1>Pots</h1><a class="cta" href="/categories/cups">See the cups</a></div></div></body></html>`;

const gw = await gateway({
  rules: "./rule.ts",
  upstreams: { shop: () => ({ headers: { "content-type": "text/html; charset=utf-8" }, body: page }) },
});

test("control is the page as the origin sends it", async () => {
  const res = await gw.request("/", { variants: { "hero-offer": "control" } });
  expect(res.text()).toBe(page);
});

test("the offer stands below its button, which says something else", async () => {
  const res = await gw.request("/", { variants: { "hero-offer": "offer" } });
  expect(res.text()).toMatch(`<a class="cta" href="/categories/cups">Choose your pot</a><p class="offer">`);
  expect(res.text()).toMatch("</style></head>");
});

test("other pages are left alone, whoever looks", async () => {
  const res = await gw.request("/categories/cups", { variants: { "hero-offer": "offer" } });
  expect(res.text()).toBe(page);
});

test("bots see the page as it is, and are given no cookie", async () => {
  for (let i = 0; i < 20; i++) {
    const res = await gw.request("/", { headers: { "user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)" } });
    expect(res.text()).toBe(page);
    expect(res.headers.get("set-cookie")).toBeAbsent();
  }
});

test("a visitor who comes back sees the same page", async () => {
  const browser = { "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0" };
  const first = await gw.request("/", { headers: browser });
  const cookie = first.headers.getSetCookie().map((line) => line.split(";")[0]!);
  for (let i = 0; i < 3; i++) expect((await gw.request("/", { headers: { ...browser, cookie: cookie.join("; ") } })).text()).toBe(first.text());
});
