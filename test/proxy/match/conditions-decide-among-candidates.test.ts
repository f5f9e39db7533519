import assert from "node:assert/strict";
import { test } from "node:test";
import { compileMatcher } from "../../../runtime/proxy/match/compile-matcher.ts";
import type { MatchSpec } from "../../../runtime/proxy/match/match.ts";
import { requestOf } from "./request.ts";

const meets = (spec: MatchSpec, request: Parameters<typeof requestOf>[0]): boolean => compileMatcher([{ specs: [spec] }]).first(requestOf(request)) === 0;

test("a host is exact, or stands for one or more labels before a suffix", () => {
  assert.equal(meets({ host: "shop.example.com" }, { host: "shop.example.com" }), true);
  assert.equal(meets({ host: "Shop.Example.com" }, { host: "shop.example.com" }), true, "specs are lowercased");
  assert.equal(meets({ host: "shop.example.com" }, { host: "shop.example.com." }), true, "the root's dot names the same host");
  assert.equal(meets({ host: "bücher.example" }, { host: "xn--bcher-kva.example" }), true);
  assert.equal(meets({ host: "*.example.com" }, { host: "a.b.example.com" }), true);
  assert.equal(meets({ host: "*.example.com" }, { host: "example.com" }), false);
  assert.equal(meets({ host: "*.example.com" }, { host: "badexample.com" }), false);
  assert.equal(meets({ host: ["a.test", "[::1]"] }, { host: "[::1]" }), true);
});

test("methods, headers, cookies and query decide, with values, lists, prefixes, presence and absence", () => {
  assert.equal(meets({ method: ["GET", "HEAD"] }, { method: "HEAD" }), true);
  assert.equal(meets({ method: "GET" }, { method: "get" }), false);
  assert.equal(meets({ header: { "X-Debug": true } }, { fields: { "x-debug": "" } }), true);
  assert.equal(meets({ header: { "x-debug": false } }, { fields: { "x-debug": "1" } }), false);
  assert.equal(meets({ header: { accept: ["text/*", "application/json"] } }, { fields: { accept: "text/html" } }), true);
  assert.equal(meets({ header: { a: "2" } }, { fields: { a: ["1", "2"] } }), true, "any of several lines counts");
  assert.equal(meets({ cookie: { sid: true } }, { fields: { cookie: "a=b; sid=" } }), true);
  assert.equal(meets({ cookie: { sid: "x*" } }, { fields: { cookie: ["a=1", "sid=xyz"] } }), true);
  assert.equal(meets({ cookie: { sid: true } }, { fields: { cookie: "xsid=1" } }), false);
  assert.equal(meets({ query: { q: "a b" } }, { query: "q=a+b" }), true, "values compare decoded");
  assert.equal(meets({ query: { q: false } }, { query: "" }), true);
  assert.equal(meets({ country: "DE" }, { country: "DE" }), true);
  assert.equal(meets({ country: "DE" }, {}), false);
});

test("not excludes, alone, in lists and nested", () => {
  const spec: MatchSpec = { path: "/*", not: [{ path: "/public/*", not: { method: "POST" } }, { host: "free.test" }] };
  assert.equal(meets(spec, { path: "/x" }), true);
  assert.equal(meets(spec, { path: "/public/x" }), false);
  assert.equal(meets(spec, { path: "/public/x", method: "POST" }), true);
  assert.equal(meets(spec, { host: "free.test" }), false);
  assert.equal(meets({ not: [] }, {}), true);
});

test("an entry without specs matches everything, an empty list of strings nothing", () => {
  assert.equal(compileMatcher([{ specs: [] }]).first(requestOf({ method: "OPTIONS", path: "*" })), 0);
  assert.equal(compileMatcher([{ specs: [{ path: "*" }] }]).first(requestOf({ method: "OPTIONS", path: "*" })), 0);
  assert.equal(meets({ path: "/*" }, { path: "*" }), false);
  assert.equal(meets({ path: [] }, {}), false);
  assert.equal(meets({ host: [] }, {}), false);
});

test("of an entry's alternatives the first that matches gives the groups", () => {
  const matcher = compileMatcher([{ specs: [{ path: "/x/:never", method: "POST" }, { path: ["/x/:first", "/:a/:b"] }] }]);
  assert.deepEqual(matcher.all(requestOf({ path: "/x/1" })).params, [{ first: "1" }]);
  assert.deepEqual(matcher.all(requestOf({ path: "/y/1" })).params, [{ a: "y", b: "1" }]);
  assert.deepEqual(matcher.all(requestOf({ path: "/x/1", method: "POST" })).params, [{ never: "1" }]);
});

test("the same set of entries is the same frozen array, also when groups differ", () => {
  const matcher = compileMatcher([{ specs: [] }, { specs: [{ path: "/p/:id" }] }, { specs: [{ path: "/q" }] }]);
  const one = matcher.all(requestOf({ path: "/p/1" }));
  const two = matcher.all(requestOf({ path: "/p/2" }));
  assert.deepEqual(one.indices, [0, 1]);
  assert.equal(one.indices, two.indices);
  assert.ok(Object.isFrozen(one.indices));
  assert.deepEqual(one.params, [null, { id: "1" }]);
  assert.deepEqual(two.params, [null, { id: "2" }]);
  assert.equal(matcher.all(requestOf({ path: "/z" })), matcher.all(requestOf({ path: "/y" })), "without groups even the result is the same");
});

test("clients that choose among many sets cannot make the table of sets grow without end", () => {
  const names = Array.from({ length: 10 }, (_, index) => `h${index}`);
  const matcher = compileMatcher(
    names.map((name) => ({ specs: [{ header: { [name]: true } }] })),
    { internLimit: 16 },
  );
  for (let set = 0; set < 1024; set++) {
    const chosen = names.filter((_, index) => set & (1 << index));
    const found = matcher.all(requestOf({ fields: Object.fromEntries(chosen.map((name) => [name, "1"])) }));
    assert.deepEqual(
      found.indices,
      chosen.map((name) => Number(name.slice(1))),
    );
  }
});
