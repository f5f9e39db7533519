import { createHmac } from "node:crypto";
import { expect, gateway, test } from "sluice/testing";

const KEY = "a test key that is long enough for HS256";
const gw = await gateway({
  rules: "./rule.ts",
  upstreams: { shop: () => "the shop" },
  vars: { freeShippingFrom: 150 },
  secrets: { jwtKey: KEY },
});

function session(key: string): { cookie: string } {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: "ada", exp: Math.floor(Date.now() / 1000) + 600 })}`;
  return { cookie: `session=${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}` };
}

test("a page of the app", async () => {
  const res = await gw.request("/hono", { headers: { cookie: "ship-to=at" } });
  expect(res.status).toBe(200);
  expect(res.headers.get("content-type")).toBe("text/html; charset=UTF-8");
  expect(res.text()).toMatch('name="country" value="at"');
  expect(res.upstreamRequests).toEqual([]);
});

test("what somebody sends is escaped by the app's own templates", async () => {
  const res = await gw.request("/hono", { headers: { cookie: "ship-to=%22%3E%3Cscript%3E" } });
  expect(res.text()).not.toMatch("<script>");
});

test("query, JSON and a cookie", async () => {
  const res = await gw.request("/hono/quote?country=FR&kg=2.5");
  expect(res.json()).toEqual({ country: "fr", euros: 12.9 });
  expect(res.headers.getSetCookie()).toEqual(["ship-to=fr; Path=/hono; HttpOnly; SameSite=Lax"]);
});

test("a JSON body and a signed session; vars and secrets are its env", async () => {
  const body = {
    parcels: [
      { country: "de", kg: 1, value: 20 },
      { country: "at", kg: 3, value: 200 },
    ],
  };
  const res = await gw.request("/hono/quotes", { method: "POST", body, headers: session(KEY) });
  expect(res.status).toBe(201);
  expect(res.json()).toEqual({ for: "ada", quotes: [4.9, 0] });
  expect((await gw.request("/hono/quotes", { method: "POST", body })).status).toBe(401);
  expect((await gw.request("/hono/quotes", { method: "POST", body, headers: session("another key, just as long as the real one") })).status).toBe(401);
});

test("middleware: a page that has not changed is not sent again", async () => {
  const tag = (await gw.request("/hono/rates")).headers.get("etag") ?? "";
  expect(tag).toMatch(/^"[0-9a-f]{40}"$/);
  const again = await gw.request("/hono/rates", { headers: { "if-none-match": tag } });
  expect(again.status).toBe(304);
  expect(again.bytes.length).toBe(0);
});

test("HEAD is answered as GET, without the body", async () => {
  const res = await gw.request("/hono/rates", { method: "HEAD" });
  expect(res.status).toBe(200);
  expect(res.bytes.length).toBe(0);
});

test("its own 404, its own errors", async () => {
  const nothing = await gw.request("/hono/nothing");
  expect(nothing.status).toBe(404);
  expect(nothing.json()).toEqual({ error: "nothing at /hono/nothing" });
  expect((await gw.request("/hono/quote?country=us&kg=1")).status).toBe(400);
  const broken = await gw.request("/hono/quotes", { method: "POST", body: "{", headers: session(KEY) });
  expect(broken.status).toBe(500);
  expect(broken.json()).toEqual({ error: "that went wrong" });
});

test("everything else is the shop's", async () => {
  const res = await gw.request("/honolulu");
  expect(res.text()).toBe("the shop");
  expect(res.hooks).toEqual([]);
});
