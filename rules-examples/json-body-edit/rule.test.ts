import { gzipSync } from "node:zlib";
import { expect, gateway, test } from "sluice/testing";
import type { UpstreamAnswer } from "sluice/testing";

const CUP = { id: 101, name: "Cup", price: 24, cost: 6.5, supplier: { name: "Kiln & Co" } };
const PUBLIC_CUP = { id: 101, name: "Cup", price: 24 };
const asJson = { "content-type": "application/json" };

const products: Readonly<Record<string, UpstreamAnswer>> = {
  "/api/products/101": { headers: { ...asJson, etag: '"v1"' }, body: CUP },
  "/api/products": { body: { products: [CUP, { ...CUP, id: 102, parts: [{ id: 1, margin: 0.4 }] }], next: null } },
  "/api/products/zipped": { headers: { ...asJson, "content-encoding": "gzip" }, body: gzipSync(JSON.stringify(CUP)) },
  "/api/products/list.csv": { headers: { "content-type": "text/csv" }, body: "id,cost\n101,6.5\n" },
  "/api/products/999": { status: 404, headers: { "content-type": "application/problem+json" }, body: '{"title":"no such product","supplier":"?"}' },
  "/api/products/broken": { headers: asJson, body: '{"cost": 6.5' },
  "/api/products/unchanged": { status: 304, headers: { ...asJson, etag: '"v1"' } },
};
const gw = await gateway({ rules: "./rule.ts", upstreams: { api: ({ target, body }) => products[target] ?? { headers: asJson, body } } });

test("what only purchasing may see is cut out, however deep it stands", async () => {
  expect((await gw.request("/api/products/101")).json()).toEqual(PUBLIC_CUP);
  expect((await gw.request("/api/products")).json()).toEqual({ products: [PUBLIC_CUP, { ...PUBLIC_CUP, id: 102, parts: [{ id: 1 }] }], next: null });
});

test("length and validators fit what is sent", async () => {
  const res = await gw.request("/api/products/101");
  expect(res.headers.get("content-length")).toBe(String(res.bytes.length));
  expect(res.headers.get("etag")).toBeAbsent();
  const head = await gw.request("/api/products/101", { method: "HEAD" });
  expect(head.bytes.length).toBe(0);
  // Nobody made what a GET would get, so nobody knows how long it is.
  expect(head.headers.get("content-length")).toBeAbsent();
});

test("a compressed answer is read, too", async () => {
  const res = await gw.request("/api/products/zipped", { headers: { "accept-encoding": "gzip" } });
  expect(res.headers.get("content-encoding")).toBeAbsent();
  expect(res.json()).toEqual(PUBLIC_CUP);
});

test("an error in JSON is edited as well, and keeps its status and type", async () => {
  const res = await gw.request("/api/products/999");
  expect(res.status).toBe(404);
  expect(res.headers.get("content-type")).toBe("application/problem+json");
  expect(res.json()).toEqual({ title: "no such product" });
});

test("what is no JSON goes through as it is", async () => {
  expect((await gw.request("/api/products/list.csv")).text()).toBe("id,cost\n101,6.5\n");
});

test("an answer without a body stays one", async () => {
  const res = await gw.request("/api/products/unchanged", { headers: { "if-none-match": '"v1"' } });
  expect(res.status).toBe(304);
  expect(res.bytes.length).toBe(0);
});

test("a part of an answer is not asked for", async () => {
  const res = await gw.request("/api/products/101", { headers: { range: "bytes=0-9" } });
  expect(res.upstreamRequests[0]?.headers.get("range")).toBeAbsent();
  expect(res.json()).toEqual(PUBLIC_CUP);
});

test("an answer that can't be read is not let out", async () => {
  const res = await gw.request("/api/products/broken");
  expect(res.status).toBe(503);
  expect(res.text()).not.toMatch("6.5");
});

test("an order loses what a client may not set, and says where it came from", async () => {
  const res = await gw.request("/api/orders", { method: "POST", body: { product: 101, amount: 2, price: 0.01, state: "paid" } });
  const { receivedAt, ...order } = res.json<Record<string, unknown>>();
  expect(order).toEqual({ product: 101, amount: 2, source: "web" });
  expect(receivedAt).toMatch(/^\d{4}-\d\d-\d\dT/);
});

for (const body of ["{", "[1]", '"paid"', "null", ""]) {
  test(`${JSON.stringify(body)} is no order`, async () => {
    const res = await gw.request("/api/orders", { method: "POST", headers: asJson, body });
    expect(res.status).toBe(400);
    expect(res.upstreamRequests).toEqual([]);
  });
}

test("an order that is too large is told so", async () => {
  const res = await gw.request("/api/orders", { method: "POST", body: { product: 101, note: "x".repeat(1024 * 1024) } });
  expect(res.status).toBe(413);
  expect(res.upstreamRequests).toEqual([]);
});

test("an order in another form is not accepted", async () => {
  const res = await gw.request("/api/orders", { method: "POST", body: "product=101", headers: { "content-type": "application/x-www-form-urlencoded" } });
  expect(res.status).toBe(415);
});
