import { expect, gateway, test } from "sluice/testing";
import type { UpstreamAnswer } from "sluice/testing";

const pages: Readonly<Record<string, UpstreamAnswer>> = {
  "/": { headers: { "content-type": "text/html; charset=utf-8", "x-powered-by": "millrace", "x-target": "127.0.0.1:9001" }, body: "<h1>Pots" },
  "/own": { headers: { "content-type": "text/html", "content-security-policy": "default-src 'none'", "x-frame-options": "SAMEORIGIN" }, body: "<p>strict" },
  "/api": { body: { ok: true } },
};
const gw = await gateway({ rules: "./rule.ts", upstreams: { shop: ({ target }) => pages[target] ?? { status: 404 } } });

test("a page gets every header, and a policy for its content", async () => {
  const res = await gw.request("/");
  expect(res.headers.get("x-content-type-options")).toBe("nosniff");
  expect(res.headers.get("x-frame-options")).toBe("DENY");
  expect(res.headers.get("referrer-policy")).toBe("strict-origin-when-cross-origin");
  expect(res.headers.get("content-security-policy")).toMatch("default-src 'self'");
});

test("what tells about the origin's software and address does not leave the house", async () => {
  const res = await gw.request("/");
  expect(res.headers.get("x-powered-by")).toBeAbsent();
  expect(res.headers.get("x-target")).toBeAbsent();
});

test("what the origin has set stays", async () => {
  const res = await gw.request("/own");
  expect(res.headers.get("content-security-policy")).toBe("default-src 'none'");
  expect(res.headers.get("x-frame-options")).toBe("SAMEORIGIN");
});

test("data needs no content policy", async () => {
  const res = await gw.request("/api");
  expect(res.headers.get("content-security-policy")).toBeAbsent();
  expect(res.headers.get("x-content-type-options")).toBe("nosniff");
});

test("strict transport is promised over https only", async () => {
  expect((await gw.request("http://shop.example.com/")).headers.get("strict-transport-security")).toBeAbsent();
  expect((await gw.request("https://shop.example.com/")).headers.get("strict-transport-security")).toMatch("max-age=31536000");
});
