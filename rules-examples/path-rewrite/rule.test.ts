import { expect, gateway, test } from "sluice/testing";

const gw = await gateway({
  rules: "./rule.ts",
  upstreams: {
    shop: (request) =>
      request.target.startsWith("/assets/missing")
        ? { status: 404, body: "no" }
        : { body: `origin saw ${request.target}`, headers: { "cache-control": "max-age=60" } },
  },
});

test("a short address is served by the long one, and the client does not notice", async () => {
  const res = await gw.request("/p/101?colour=river");
  expect(res.status).toBe(200);
  expect(res.text()).toBe("origin saw /products/101?colour=river");
  expect(res.headers.get("cache-control")).toBe("max-age=60");
});

test("the version in a file's address is cut out, and the answer may be kept for a year", async () => {
  const res = await gw.request("/assets/v42/fonts/text.woff2");
  expect(res.text()).toBe("origin saw /assets/fonts/text.woff2");
  expect(res.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
});

test("a missing file is not kept for a year", async () => {
  const res = await gw.request("/assets/v42/missing.css");
  expect(res.status).toBe(404);
  expect(res.headers.get("cache-control")).toBeAbsent();
});

test("other addresses go through as they are", async () => {
  const res = await gw.request("/assets/vista/shop.css");
  expect(res.text()).toBe("origin saw /assets/vista/shop.css");
  expect(res.hooks).toEqual([]);
});
