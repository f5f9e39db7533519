import { expect, gateway, test } from "sluice/testing";

const upstreams = { shop: () => "the shop" };
const open = await gateway({ rules: "./rule.ts", upstreams, vars: { maintenance: { on: false, allow: [] } } });
const closed = await gateway({
  rules: "./rule.ts",
  upstreams,
  vars: { maintenance: { on: true, until: "2100-03-01T06:00:00Z", allow: ["203.0.113.7", "198.51.100.0/24", "2001:db8:5::/48"] } },
});
const visitor = { client: "192.0.2.50", headers: { accept: "text/html,application/xhtml+xml" } };

test("switched off, it is not noticed", async () => {
  const res = await open.request("/", visitor);
  expect(res.status).toBe(200);
  expect(res.text()).toBe("the shop");
});

test("without the var, too", async () => {
  const bare = await gateway({ rules: "./rule.ts", upstreams });
  expect((await bare.request("/", visitor)).status).toBe(200);
});

test("switched on, a visitor sees the page, and hears when to come back", async () => {
  const res = await closed.request("/products/101", visitor);
  expect(res.status).toBe(503);
  expect(res.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(res.headers.get("retry-after")).toBe("Mon, 01 Mar 2100 06:00:00 GMT");
  expect(res.headers.get("cache-control")).toBe("no-store");
  expect(res.text()).toMatch("2100-03-01, 06:00 UTC");
  expect(res.upstreamRequests).toEqual([]);
});

test("a program gets JSON, and HEAD the head alone", async () => {
  const res = await closed.request("/api/orders", { method: "POST", body: { id: 101 }, client: "192.0.2.50" });
  expect(res.status).toBe(503);
  expect(res.json()).toEqual({ error: "closed for maintenance" });
  const head = await closed.request("/", { ...visitor, method: "HEAD" });
  expect(head.status).toBe(503);
  expect(head.bytes.length).toBe(0);
});

for (const client of ["203.0.113.7", "198.51.100.200", "2001:db8:5:1::9"]) {
  test(`${client} is on the list and passes`, async () => {
    const res = await closed.request("/", { ...visitor, client });
    expect(res.status).toBe(200);
    expect(res.text()).toBe("the shop");
  });
}
for (const client of ["203.0.113.8", "198.51.101.1", "2001:db8:6::1"]) {
  test(`${client} is a neighbour of the list and does not`, async () => {
    expect((await closed.request("/", { ...visitor, client })).status).toBe(503);
  });
}

test("an end that nobody knows, or that has passed, asks for ten minutes", async () => {
  for (const until of [undefined, "2020-01-01T00:00:00Z"]) {
    const gw = await gateway({ rules: "./rule.ts", upstreams, vars: { maintenance: { on: true, ...(until && { until }) } } });
    const res = await gw.request("/", visitor);
    expect(res.headers.get("retry-after")).toBe("600");
    expect(res.text()).toMatch("back soon");
  }
});

test("health is still answered by the origin", async () => {
  const res = await closed.request("/healthz", visitor);
  expect(res.status).toBe(200);
  expect(res.hooks).toEqual([]);
});
