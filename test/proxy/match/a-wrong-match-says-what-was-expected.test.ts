import assert from "node:assert/strict";
import { test } from "node:test";
import { validateMatchSpec } from "../../../runtime/proxy/match/validate.ts";

test("specs in use are without problems", () => {
  assert.deepEqual(
    validateMatchSpec([
      {
        host: ["shop.example.com", "*.example.com", "localhost", "[::1]", "bücher.example"],
        path: ["/", "/*", "*", "/products/:id", "/:lang(de|en)/*", "/a{/b}?", "/:y-:m-:d.html"],
      },
      {
        method: ["GET", "PURGE"],
        header: { "x-a": true, "x-b": ["1", "2*"] },
        cookie: { sid: false },
        query: { "a b": "" },
        country: "DE",
        not: { path: "/x" },
      },
    ]),
    [],
  );
});

test("each mistake is told with its place, what was found and what was expected", () => {
  const told = (spec: unknown): string[] =>
    validateMatchSpec(spec).map(({ path, value, expected, nearest }) => `${path} ${JSON.stringify(value)}: ${expected}${nearest && ` (${nearest})`}`);
  assert.deepEqual(told({ pth: "/x" }), [`pth "/x": one of host, path, method, header, cookie, query, country, not (path)`]);
  assert.deepEqual(told({ path: "old/*" }), [`path "old/*": a path that begins with "/", such as "/old/*"`]);
  assert.match(told({ path: ["/a", "/:x/:x"] })[0]!, /^path\[1\] "\/:x\/:x": URLPattern syntax/);
  assert.match(told({ host: "https://shop.example.com:80" })[0]!, /^host .*without scheme and port/);
  assert.deepEqual(told({ method: "get" }), [`method "get": "GET": methods compare as written`]);
  assert.match(told({ not: [{ header: { "x y": true } }] })[0]!, /^not\[0\]\.header\.x y "x y": a header name/);
  assert.match(told({ query: { a: 1 } })[0]!, /^query\.a 1: true \(present\)/);
  assert.match(told("/*")[0]!, /an object with host/);
  assert.match(told({ path: [] })[0]!, /an empty list matches nothing/);
  assert.match(told({ not: { not: { not: { not: {} } } } })[0]!, /nested at most 3 deep/);
});

test("an expression that could hold up the proxy core is refused", () => {
  for (const path of ["/:x((?:a+)+b)", "/:x((?=a).*)", "/:a(.*)x:b(.*)x:c(.*)y", "/:x(.*)y*z*q"]) {
    assert.match(validateMatchSpec({ path })[0]?.expected ?? "accepted", /at most two unbounded repeats/, path);
  }
});
