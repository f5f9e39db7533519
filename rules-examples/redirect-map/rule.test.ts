import { expect, gateway, test } from "sluice/testing";

const gw = await gateway({ rules: "./rule.ts", upstreams: { shop: () => "the shop" } });

test("an old address leads to the new one, for good", async () => {
  const res = await gw.request("/shop/mugs");
  expect(res.status).toBe(308);
  expect(res.headers.get("location")).toBe("/categories/cups");
  expect(res.upstreamRequests).toEqual([]);
});

test("the query goes along", async () => {
  const res = await gw.request("/index.php?utm_source=letter&page=2");
  expect(res.headers.get("location")).toBe("/?utm_source=letter&page=2");
});

test("what is gone says so", async () => {
  const res = await gw.request("/newsletter");
  expect(res.status).toBe(410);
  expect(res.text()).toMatch("gone for good");
});

test("every other path reaches the shop without entering the rule", async () => {
  const res = await gw.request("/shop/mugs/blue");
  expect(res.status).toBe(200);
  expect(res.text()).toBe("the shop");
  expect(res.hooks).toEqual([]);
});
