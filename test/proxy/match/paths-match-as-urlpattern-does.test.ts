import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileMatcher } from "../../../runtime/proxy/match/compile-matcher.ts";
import { requestOf } from "./request.ts";

/** Few letters, so that patterns and paths meet often. */
const word = fc.constantFrom("a", "b", "ab", "aba", "", "1", "é", "a.b", "..", "%2e", "a-b");
const names = ["x", "y", "z", "w"];
const piece = fc.oneof(
  { weight: 6, arbitrary: word.map((text) => `/${text}`) },
  { weight: 4, arbitrary: fc.constant("/:") },
  { weight: 2, arbitrary: fc.constant("/*") },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "/:?",
      "{/a}?",
      "{/:}?",
      "*",
      "/:-:",
      "/a:",
      "{/b}*",
      "/:+",
      "/:*",
      "/:(\\d+)",
      "/:(a|b)",
      "/:(a.*)?",
      "/(.*)",
      "/:(\\w*)",
      "/*?",
      "/{:.b}?",
      "\\*",
    ),
  },
);
const pattern = fc.array(piece, { minLength: 1, maxLength: 5 }).map((pieces) => {
  let used = 0;
  return pieces.join("").replace(/(?<!\\):/g, () => `:${names[used++] ?? `n${used}`}`);
});
const path = fc
  .array(fc.constantFrom("a", "b", "ab", "aba", "", "1", "12", "%C3%A9", "a.b", ".", "..", "%2E", "a-b", "ab-a", "*", "é"), { maxLength: 6 })
  .map((segments) => `/${segments.join("/")}`);

function expected(pattern: URLPattern, pathname: string): Record<string, string> | null {
  const found = pattern.exec({ pathname });
  if (!found) return null;
  return Object.fromEntries(Object.entries(found.pathname.groups).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function compiled(text: string): URLPattern | null {
  try {
    return new URLPattern({ pathname: text });
  } catch {
    return null;
  }
}

/** "é" on a wire is two bytes, which the parser hands on as two Latin-1 characters. */
const onWire = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

test("one pattern matches the paths that URLPattern matches, with the same groups", () => {
  let matches = 0;
  fc.assert(
    fc.property(pattern, fc.array(path, { minLength: 4, maxLength: 8 }), (text, paths) => {
      const reference = compiled(text);
      if (!reference) {
        assert.throws(() => compileMatcher([{ specs: [{ path: text }] }]), TypeError);
        return;
      }
      const matcher = compileMatcher([{ specs: [{ path: text }] }]);
      for (const pathname of paths) {
        const wanted = expected(reference, pathname);
        const found = matcher.all(requestOf({ path: onWire(pathname) }));
        assert.deepEqual(found.indices, wanted ? [0] : [], `${text} on ${pathname}`);
        if (wanted) {
          matches++;
          assert.deepEqual(found.params[0] ?? {}, wanted, `${text} on ${pathname}`);
        }
        assert.equal(matcher.first(requestOf({ path: onWire(pathname) })), wanted ? 0 : -1);
      }
    }),
    { numRuns: 4_000 },
  );
  assert.ok(matches > 500, `only ${matches} of the pairs matched: the generators have drifted apart`);
});

test("many patterns at once give each the answer it gives alone", () => {
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 2, maxLength: 12 }), fc.array(path, { minLength: 2, maxLength: 5 }), (texts, paths) => {
      const valid = texts.filter((text) => compiled(text));
      const together = compileMatcher(valid.map((text) => ({ specs: [{ path: text }] })));
      for (const pathname of paths) {
        const wanted = valid.flatMap((text, index) => (new URLPattern({ pathname: text }).test({ pathname }) ? [index] : []));
        assert.deepEqual(together.all(requestOf({ path: onWire(pathname) })).indices, wanted, `${valid.join("  ")} on ${pathname}`);
        assert.equal(together.first(requestOf({ path: onWire(pathname) })), wanted[0] ?? -1);
      }
    }),
    { numRuns: 1_500 },
  );
});

test("dot segments cannot lead a request past a rule for the folder they end in", () => {
  const matcher = compileMatcher([{ specs: [{ path: "/admin/*" }] }]);
  for (const evasion of ["/x/../admin/users", "/./admin/users", "/x/%2e%2E/admin/users", "/admin/x/../users", "/x\\..\\admin\\users"]) {
    assert.equal(matcher.first(requestOf({ path: evasion })), 0, evasion);
  }
  assert.equal(matcher.first(requestOf({ path: "/admin/../public" })), -1);
});

test("escapes of letters, digits and -._~ cannot lead a request past a rule for what they spell", () => {
  const matcher = compileMatcher([{ specs: [{ path: "/admin-1/*" }] }, { specs: [{ path: "/%73hop/:id" }] }, { specs: [{ path: "/a%2Fb" }] }]);
  for (const evasion of ["/%61dmin-1/x", "/%61%64%6D%69%6e%2d%31/x", "/x/%2e./%61dmin-1/x"])
    assert.equal(matcher.first(requestOf({ path: evasion })), 0, evasion);
  for (const path of ["/shop/7", "/%73hop/7", "/s%68op/%37"]) assert.deepEqual(matcher.all(requestOf({ path })), { indices: [1], params: [{ id: "7" }] }, path);
  // Escapes that mean something stay: no slash, no second unescaping.
  for (const other of ["/admin-1%2Fx", "/%2561dmin-1/x", "/%c1%a1dmin-1/x", "/a/b"]) assert.equal(matcher.first(requestOf({ path: other })), -1, other);
  assert.equal(matcher.first(requestOf({ path: "/a%2Fb" })), 2);
});

test("a hostile path costs a pattern with many stars no more than linear work", () => {
  const matcher = compileMatcher([{ specs: [{ path: "/*a*a*a*a*a*b" }] }, { specs: [{ path: "/:a-:b-:c-:d.html" }] }]);
  // Backtracking would need 8,000⁶ steps here, so that this test would never end.
  assert.equal(matcher.first(requestOf({ path: `/${"a".repeat(8_000)}` })), -1);
  assert.equal(matcher.first(requestOf({ path: `/${"-".repeat(8_000)}` })), -1);
  assert.deepEqual(matcher.all(requestOf({ path: "/2026-01-02-x.html" })).params, [{ a: "2026", b: "01", c: "02", d: "x" }]);
});
