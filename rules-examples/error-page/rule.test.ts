import { expect, gateway, test } from "sluice/testing";
import type { PlayedUpstream } from "sluice/testing";

const away: PlayedUpstream = () => {
  throw new Error("this upstream is down, as the test wants");
};
const copy: PlayedUpstream = ({ target }) => ({ headers: { "cache-control": "max-age=60" }, body: `a copy of ${target}` });
const browser = { headers: { accept: "text/html,application/xhtml+xml" } };

const alone = await gateway({ rules: "./rule.ts", upstreams: { shop: away } });
const doubled = await gateway({ rules: "./rule.ts", upstreams: { shop: away, copy }, vars: { standby: "copy" } });
const bothAway = await gateway({ rules: "./rule.ts", upstreams: { shop: away, copy: away }, vars: { standby: "copy" } });

test("a visitor sees a page of the house, with the gateway's status", async () => {
  const res = await alone.request("/products/101", browser);
  expect(res.status).toBe(502);
  expect(res.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(res.headers.get("cache-control")).toBe("no-store");
  expect(res.headers.get("retry-after")).toBe("15");
  expect(res.text()).toMatch("The kiln has gone out");
});

test("the page names the request, so that it can be found in the log", async () => {
  const res = await alone.request("/products/101", { headers: { ...browser.headers, "x-request-id": "4f1c-7" } });
  expect(res.text()).toMatch("<code>4f1c-7</code>");
  expect(res.headers.get("x-request-id")).toBe("4f1c-7");
});

test("what stands in a request id is never markup", async () => {
  const res = await alone.request("/", { headers: { ...browser.headers, "x-request-id": "<script>alert(1)</script>" } });
  expect(res.text()).not.toMatch("<script>");
});

test("a program gets the gateway's own answer, with its code", async () => {
  const res = await alone.request("/api/products", { headers: { accept: "application/json" } });
  expect(res.status).toBe(502);
  expect(res.headers.get("sluice-error")).toBe("UPSTREAM_RESET");
});

test("with a standby, the page comes from there, and is not kept", async () => {
  const res = await doubled.request("/products/101", browser);
  expect(res.status).toBe(200);
  expect(res.text()).toBe("a copy of /products/101");
  expect(res.headers.get("cache-control")).toBe("no-store");
  expect(res.upstreamRequests.map(({ upstream }) => upstream)).toEqual(["shop", "copy"]);
  expect(res.logs.map(({ text }) => text)).toEqual(["shop: UPSTREAM_RESET, asking copy"]);
});

test("when the standby is away as well, there is still the page", async () => {
  const res = await bothAway.request("/products/101", browser);
  expect(res.status).toBe(502);
  expect(res.text()).toMatch("The kiln has gone out");
  expect(res.upstreamRequests.map(({ upstream }) => upstream)).toEqual(["shop", "copy"]);
});

test("an order is not sent to a copy", async () => {
  const res = await doubled.request("/checkout", { ...browser, method: "POST", body: "name=ada" });
  expect(res.status).toBe(502);
  expect(res.upstreamRequests.map(({ upstream }) => upstream)).toEqual(["shop"]);
});

test("an origin that answers for itself is believed, errors too", async () => {
  const gw = await gateway({ rules: "./rule.ts", upstreams: { shop: () => ({ status: 500, body: "the kiln is cold" }), copy }, vars: { standby: "copy" } });
  const res = await gw.request("/", browser);
  expect(res.status).toBe(500);
  expect(res.text()).toBe("the kiln is cold");
  expect(res.hooks.filter(({ phase }) => phase === "onError")).toEqual([]);
});
