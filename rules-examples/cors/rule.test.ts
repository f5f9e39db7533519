import { expect, gateway, test } from "sluice/testing";

const APP = "https://app.example.com";
const gw = await gateway({
  rules: "./rule.ts",
  upstreams: {
    api: ({ method, target }) => {
      if (target === "/api/down") throw new Error("the API is down, as this test wants");
      if (target === "/api/careless") return { headers: { "access-control-allow-origin": "*", vary: "accept-encoding" }, body: "for everyone" };
      return `${method} ${target}`;
    },
  },
});
const preflight = (origin: string) => ({
  method: "OPTIONS",
  headers: { origin, "access-control-request-method": "DELETE", "access-control-request-headers": "authorization" },
});

test("a preflight of a known origin is answered here", async () => {
  const res = await gw.request("/api/products/101", preflight(APP));
  expect(res.status).toBe(204);
  expect(res.bytes.length).toBe(0);
  expect(res.headers.get("access-control-allow-origin")).toBe(APP);
  expect(res.headers.get("access-control-allow-credentials")).toBe("true");
  expect(res.headers.get("access-control-allow-methods")).toMatch("DELETE");
  expect(res.headers.get("access-control-allow-headers")).toMatch("authorization");
  expect(res.headers.get("access-control-max-age")).toBe("7200");
  expect(res.headers.get("vary")).toBe("origin, access-control-request-method, access-control-request-headers");
  expect(res.upstreamRequests).toEqual([]);
});

const strangers = [
  "https://elsewhere.example",
  "https://app.example.com.elsewhere.example",
  "http://app.example.com",
  "https://app.example.com:8443",
  "null",
  "",
];
for (const origin of strangers) {
  test(`"${origin}" may do nothing`, async () => {
    const asked = await gw.request("/api/products/101", preflight(origin));
    expect(asked.status).toBe(403);
    expect(asked.headers.get("access-control-allow-origin")).toBeAbsent();
    expect(asked.headers.get("vary")).toMatch("origin");
    const read = await gw.request("/api/products/101", { headers: { origin } });
    expect(read.headers.get("access-control-allow-origin")).toBeAbsent();
    expect(read.headers.get("access-control-allow-credentials")).toBeAbsent();
    expect(read.headers.get("vary")).toBe("origin");
  });
}

test("a page of a known origin reads the answer", async () => {
  const res = await gw.request("/api/products", { headers: { origin: APP, cookie: "session=1" } });
  expect(res.text()).toBe("GET /api/products");
  expect(res.headers.get("access-control-allow-origin")).toBe(APP);
  expect(res.headers.get("access-control-allow-credentials")).toBe("true");
  expect(res.headers.get("access-control-expose-headers")).toBe("x-request-id, retry-after");
  expect(res.headers.get("access-control-allow-methods")).toBeAbsent();
});

test("what the API itself says about origins is replaced; what it says about caches stays", async () => {
  const known = await gw.request("/api/careless", { headers: { origin: APP } });
  expect(known.headers.get("access-control-allow-origin")).toBe(APP);
  expect(known.headers.get("vary")).toBe("accept-encoding, origin");
  const stranger = await gw.request("/api/careless", { headers: { origin: "https://elsewhere.example" } });
  expect(stranger.headers.get("access-control-allow-origin")).toBeAbsent();
});

test("a page can read the gateway's own errors", async () => {
  const res = await gw.request("/api/down", { headers: { origin: APP } });
  expect(res.status).toBe(502);
  expect(res.headers.get("access-control-allow-origin")).toBe(APP);
});

test("without an origin there is nothing to allow, but caches are told", async () => {
  const res = await gw.request("/api/products");
  expect(res.headers.get("access-control-allow-origin")).toBeAbsent();
  expect(res.headers.get("vary")).toBe("origin");
});

test("an OPTIONS that is no preflight is the API's own business", async () => {
  expect((await gw.request("/api/products", { method: "OPTIONS" })).text()).toBe("OPTIONS /api/products");
  expect((await gw.request("/api/products", { method: "OPTIONS", headers: { origin: APP } })).text()).toBe("OPTIONS /api/products");
});
