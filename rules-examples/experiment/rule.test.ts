import { expect, gateway, test } from "sluice/testing";

const page = `<!doctype html><html><head><title>Shop</title></head><body><div class="hero"><div class="card"><h1>Pots</h1><a class="cta" href="/categories/cups">See the cups</a></div></div></body></html>`;

const gw = await gateway({
  rules: "./rule.ts",
  upstreams: { shop: () => ({ headers: { "content-type": "text/html; charset=utf-8" }, body: page }) },
});

/** New visitors come until one of them sees the page that is wanted; each sees either with a chance of one half. */
async function pageWhere(wanted: (page: string) => boolean): Promise<string> {
  for (let visitor = 0; visitor < 100; visitor++) {
    const res = await gw.request("/", { headers: { "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0" } });
    if (wanted(res.text())) return res.text();
  }
  throw new Error("a hundred visitors, and none saw it");
}

test("control is the page as the origin sends it", async () => {
  expect(await pageWhere((text) => text.includes("See the cups"))).toBe(page);
});

test("the offer stands below its button, which says something else", async () => {
  const offered = await pageWhere((text) => text.includes("Choose your pot"));
  expect(offered).toMatch(`<a class="cta" href="/categories/cups">Choose your pot</a><p class="offer">`);
  expect(offered).toMatch("</style></head>");
});

test("bots see control", async () => {
  for (let i = 0; i < 20; i++) {
    const res = await gw.request("/", { headers: { "user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)" } });
    expect(res.text()).toBe(page);
  }
});

test("other pages are left alone", async () => {
  const res = await gw.request("/categories/cups", { headers: { "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0" } });
  expect(res.text()).toBe(page);
  expect(res.headers.get("set-cookie")).toBeAbsent();
});
