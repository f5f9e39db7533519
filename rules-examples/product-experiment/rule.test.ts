import { expect, gateway, test } from "sluice/testing";

const page = `<!doctype html><html><head></head><body><div class="detail"><h1>Reed vase</h1><button data-add="301">Into the basket</button></div></body></html>`;

const gw = await gateway({
  rules: "./rule.ts",
  upstreams: { shop: () => ({ headers: { "content-type": "text/html; charset=utf-8" }, body: page }) },
});

test("some visitors are warned above the button, and each sees the same on the next page", async () => {
  const warned = /<p class="hurry">[^<]+<\/p><button data-add="301">Into the basket<\/button>/;
  const seen = new Set<boolean>();
  for (let visitor = 0; visitor < 100 && seen.size < 2; visitor++) {
    const browser = { "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0" };
    const first = await gw.request("/products/301", { headers: browser });
    const cookie = first.headers
      .getSetCookie()
      .map((line) => line.split(";")[0])
      .join("; ");
    const again = await gw.request("/products/101", { headers: { ...browser, cookie } });
    const isWarned = warned.test(first.text());
    if (!isWarned) expect(first.text()).toBe(page);
    expect(warned.test(again.text())).toBe(isWarned);
    seen.add(isWarned);
  }
  expect(seen.size).toBe(2);
});

test("pages that are no product's are left alone", async () => {
  expect((await gw.request("/products", { headers: { "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0" } })).text()).toBe(page);
});
