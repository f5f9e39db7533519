import { expect, gateway, test } from "sluice/testing";

const gw = await gateway({ rules: "./rule.ts", upstreams: { shop: ({ target }) => `today's ${target}`, canary: ({ target }) => `tomorrow's ${target}` } });

test("everyone gets the upstream of today", async () => {
  const res = await gw.request("/products/101");
  expect(res.text()).toBe("today's /products/101");
  expect(res.hooks).toEqual([]);
});

test("a program asks for the canary by header", async () => {
  const res = await gw.request("/products/101?colour=river", { headers: { "x-canary": "on" } });
  expect(res.text()).toBe("tomorrow's /products/101?colour=river");
  expect(res.headers.get("x-served-by")).toBe("canary");
  expect(res.headers.get("cache-control")).toBe("no-store");
});

test("a browser by cookie, whatever it sends", async () => {
  const res = await gw.request("/checkout", { method: "POST", body: "name=ada", headers: { cookie: "theme=dark; canary=on" } });
  expect(res.text()).toBe("tomorrow's /checkout");
  expect(res.upstreamRequests.map(({ upstream, body }) => [upstream, body])).toEqual([["canary", "name=ada"]]);
});

test("the cookie is given by a link, and taken back by another", async () => {
  const on = await gw.request("https://shop.example.com/products/101?canary=on&colour=river");
  expect(on.status).toBe(303);
  expect(on.headers.get("location")).toBe("/products/101?colour=river");
  expect(on.headers.getSetCookie()).toEqual(["canary=on; Path=/; Max-Age=86400; SameSite=Lax; HttpOnly; Secure"]);
  const off = await gw.request("/?canary=off", { headers: { cookie: "canary=on" } });
  expect(off.headers.get("location")).toBe("/");
  expect(off.headers.getSetCookie()[0]).toMatch("canary=off; Path=/; Max-Age=0");
});

test("the link leads to no other host", async () => {
  for (const target of ["//elsewhere.example/?canary=on", "///elsewhere.example/?canary=on"]) {
    expect((await gw.request(target, { headers: { host: "shop.example.com" } })).headers.get("location")).toBe("/elsewhere.example/");
  }
});

for (const [name, value] of [
  ["x-canary", "off"],
  ["cookie", "canary=off"],
  ["cookie", "not-canary=on"],
] as const) {
  test(`"${name}: ${value}" is no wish for it`, async () => {
    expect((await gw.request("/", { headers: { [name]: value } })).text()).toBe("today's /");
  });
}

test("a canary that is down is seen by test runs, and by nobody else", async () => {
  const down = await gateway({
    rules: "./rule.ts",
    upstreams: {
      shop: () => "today's",
      canary: () => {
        throw new Error("the canary is down, as this test wants");
      },
    },
  });
  const person = await down.request("/", { headers: { cookie: "canary=on" } });
  expect(person.text()).toBe("today's");
  expect(person.headers.get("x-served-by")).toBe("shop");
  expect(person.logs.map(({ text }) => text)).toEqual(["canary: UPSTREAM_RESET"]);
  const run = await down.request("/", { headers: { "x-canary": "on" } });
  expect(run.status).toBe(502);
  expect(run.headers.get("sluice-error")).toBe("UPSTREAM_RESET");
});
