import { expect, gateway, test } from "sluice/testing";

const page = `<!doctype html><html><head></head><body><div class="detail"><h1>Reed vase</h1><button data-add="301">Into the basket</button></div></body></html>`;

const gw = await gateway({
  rules: "./rule.ts",
  upstreams: { shop: () => ({ headers: { "content-type": "text/html; charset=utf-8" }, body: page }) },
});

test("hurry warns above the button", async () => {
  const res = await gw.request("/products/301", { variants: { "product-hurry": "hurry" } });
  expect(res.text()).toMatch(/<p class="hurry">[^<]+<\/p><button data-add="301">Into the basket<\/button>/);
});

test("control does not, nor do pages that are no product's", async () => {
  expect((await gw.request("/products/301", { variants: { "product-hurry": "control" } })).text()).toBe(page);
  expect((await gw.request("/products", { variants: { "product-hurry": "hurry" } })).text()).toBe(page);
});
