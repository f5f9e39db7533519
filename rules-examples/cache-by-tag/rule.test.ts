import { expect, gateway, test } from "sluice/testing";

let version = 1;
const gw = await gateway({
  rules: "./rule.ts",
  cache: {},
  upstreams: {
    shop: ({ target, headers }) => {
      if (target.startsWith("/products/none")) return { status: 404, body: "no such product" };
      if (target.startsWith("/products/basket")) return { headers: { "set-cookie": "basket=1" }, body: "yours" };
      return { headers: { "cache-tag": "internal" }, body: `version ${version} ${headers.get("cookie") ?? "for everyone"}` };
    },
  },
});

test("a product page comes from the origin once, whatever campaign a link is from", async () => {
  const first = await gw.request("/products/bowl?size=2", { headers: { cookie: "sid=1" } });
  expect(first.text()).toBe("version 1 for everyone");
  expect(first.upstreamRequests.length).toBe(1);
  version = 2;
  for (const target of ["/products/bowl?size=2", "/products/bowl?size=2&utm_source=mail", "/products/bowl?size=2&gclid=x"]) {
    const again = await gw.request(target, { headers: { cookie: "sid=2" } });
    expect(again.text()).toBe("version 1 for everyone");
    expect(again.upstreamRequests).toEqual([]);
    expect(again.headers.get("cache-status") ?? "").toMatch(/^sluice; hit/);
  }
});

test("what a page does look at makes another page", async () => {
  expect((await gw.request("/products/bowl?size=3")).upstreamRequests.length).toBe(1);
});

test("HEAD is answered from what GET brought", async () => {
  const head = await gw.request("/products/bowl?size=2", { method: "HEAD" });
  expect(head.status).toBe(200);
  expect(head.upstreamRequests).toEqual([]);
});

test("a product that is not there is not asked for again at once", async () => {
  expect((await gw.request("/products/none")).status).toBe(404);
  const again = await gw.request("/products/none");
  expect(again.status).toBe(404);
  expect(again.upstreamRequests).toEqual([]);
});

test("an answer that sets a cookie is nobody else's", async () => {
  for (let i = 0; i < 2; i++) expect((await gw.request("/products/basket")).upstreamRequests.length).toBe(1);
});

test("other pages are left to what the origin says", async () => {
  for (let i = 0; i < 2; i++) expect((await gw.request("/about")).upstreamRequests.length).toBe(1);
});

test("tags stay inside", async () => {
  expect((await gw.request("/products/cup")).headers.get("cache-tag")).toBeAbsent();
});

test("what changes in a product takes its pages out of the cache, by tag", async () => {
  await gw.request("/products/vase");
  const [page] = gw.store.cached("/products/vase");
  expect(page?.tags).toContain("product-vase");
  await gw.store.purge({ tag: "product-vase" });
  expect(gw.store.cached("/products/vase")).toEqual([]);
  expect((await gw.request("/products/vase")).upstreamRequests.length).toBe(1);
});
