import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway } from "../../runtime/testing/testing.ts";

let answers = 0;
const gw = await gateway({
  rules: "./rules",
  cache: {},
  upstreams: {
    site: ({ target, headers }) => ({
      headers: { "cache-control": "max-age=600", ...(target === "/set-cookie" ? { "set-cookie": "a=1" } : {}) },
      body: `${headers.get("x-for") ?? "all"} ${++answers}`,
    }),
  },
});

/** Was the origin asked? */
async function asked(target: string, headers: Record<string, string> = {}): Promise<boolean> {
  return (await gw.request(target, { headers })).upstreamRequests.length > 0;
}

describe("what a rule read before the cache keeps the answer out:", () => {
  for (const [target, headers] of [
    ["/cookie", { cookie: "sid=1" }],
    ["/header", { "x-group": "a" }],
    ["/all-headers", {}],
    ["/random", {}],
    ["/uuid", {}],
    ["/address", {}],
    ["/matched", { cookie: "member=yes" }],
  ] as const) {
    test(target, async () => {
      assert.deepEqual([await asked(target, headers), await asked(target, headers)], [true, true]);
      assert.match((await gw.request(target, { headers })).headers.get("cache-status") ?? "", /detail=personal/);
    });
  }
  test("and one who is not matched by a cookie is another matter", async () => {
    assert.deepEqual([await asked("/matched", { cookie: "other=1" }), await asked("/matched")], [true, false]);
    assert.match((await gw.request("/matched")).text(), /^all/);
  });
});

describe("what it read does not count", () => {
  test("when the key holds it", async () => {
    const headers = { cookie: "plan=pro; sid=1", "x-group": "a" };
    assert.deepEqual([await asked("/keyed", headers), await asked("/keyed", { ...headers, cookie: "plan=pro; sid=2" })], [true, false]);
    assert.equal((await gw.request("/keyed", { headers })).text().startsWith("pro a "), true);
    assert.deepEqual([await asked("/keyed", { ...headers, cookie: "plan=free" }), await asked("/keyed", { ...headers, "x-group": "b" })], [true, true]);
  });
  test("when every key holds it", async () => assert.deepEqual([await asked("/host"), await asked("/host")], [true, false]));
  test("behind the cache, where every client gets its own", async () => {
    await gw.request("/greeted");
    const res = await gw.request("/greeted", { headers: { cookie: "sid=ada" } });
    assert.deepEqual([res.upstreamRequests.length, res.headers.get("x-greeting")], [0, "ada cache"]);
  });
});

describe("res.cache", () => {
  test("stores on purpose, without the cookie that was set", async () => {
    await gw.request("/set-cookie");
    const res = await gw.request("/set-cookie");
    assert.deepEqual([res.upstreamRequests.length, res.headers.getSetCookie()], [0, []]);
  });
  test("keeps an answer out", async () => assert.deepEqual([await asked("/never"), await asked("/never")], [true, true]));
  test("takes no lifetime that is none", async () => {
    const res = await gw.request("/wrong-lifetime");
    assert.equal(res.status, 503);
    assert.match(res.hooks.find(({ failure }) => failure !== null)?.failure ?? "", /res\.cache: lifetime: a duration such as "5m" is expected, found "soon"/);
  });
});

test("req.cacheKey names what it does not know", async () => {
  const res = await gw.request("/wrong-key");
  assert.match(res.hooks.find(({ failure }) => failure !== null)?.failure ?? "", /req\.cacheKey: found "header", expected query, headers, cookies, parts/);
});

test("ctx.cache keeps values of rules until they are deleted", async () => {
  assert.equal((await gw.request("/value")).text(), "put");
  assert.deepEqual((await gw.request("/value")).json(), { n: 1 });
  await gw.request("/value-gone");
  assert.equal((await gw.request("/value")).text(), "put");
});
