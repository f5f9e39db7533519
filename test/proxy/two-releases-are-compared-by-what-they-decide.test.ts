import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { changedFields, type Decisions, differencesOf } from "../../runtime/proxy/decisions.ts";

const NOBODY = { before: new Map(), after: new Map() };
const decided = (values: Readonly<Record<string, string>>): Decisions => new Map(Object.entries(values));
const names = (before: Decisions, after: Decisions): string[] => differencesOf(before, after, NOBODY).map(({ what }) => what);

const FROM_ORIGIN = { "answered by": "upstream", status: "200", upstream: "shop", method: "GET", target: "/" };

test("what is decided alike is no difference, in whatever order it was said", () => {
  const aspects = fc.dictionary(fc.constantFrom("status", "upstream", "target", "request header x-a", "response header x-b", "cache"), fc.string());
  fc.assert(fc.property(aspects, (values) => differencesOf(decided(values), new Map(Object.entries(values).reverse()), NOBODY).length === 0));
});

test("each thing that differs is told once, with its values and whoever decides it now", () => {
  const by = {
    before: new Map([["target", { rule: "a.ts", place: "rules/a.ts:3:1" }]]),
    after: new Map([["status", { rule: "b.ts", place: "rules/b.ts:9:5" }]]),
  };
  assert.deepEqual(differencesOf(decided({ ...FROM_ORIGIN, target: "/old" }), decided({ ...FROM_ORIGIN, status: "404", "request header x-user": "7" }), by), [
    { what: "status", before: "200", after: "404", rule: "b.ts", place: "rules/b.ts:9:5" },
    { what: "target", before: "/old", after: "/", rule: "a.ts", place: "rules/a.ts:3:1" },
    { what: "request header x-user", before: null, after: "7", rule: "", place: "" },
  ]);
});

test("an answer instead of the origin is one difference, not one for each header", () => {
  const answered = decided({ "answered by": "rule", status: "403", "response header content-type": "text/plain", body: "6 bytes (aa)" });
  assert.deepEqual(names(decided({ ...FROM_ORIGIN, "response header x-shop": "1" }), answered), ["answered by", "status"]);
});

test("behind a call that has no reply nothing is guessed", () => {
  assert.deepEqual(
    names(decided(FROM_ORIGIN), decided({ "answered by": "the gateway: RULE_THREW", status: "503", "call fetch GET https://a.example": "not made" })),
    ["call fetch GET https://a.example"],
  );
});

test("headers that rules changed are told by name: set, added to, taken out, and nothing else", () => {
  const changed = new Map<string, string>();
  changedFields(["accept", "a", "cookie", "x", "via", "1"], ["accept", "a", "via", "1", "via", "2", "x-new", "n"], "request header ", changed);
  assert.deepEqual(Object.fromEntries(changed), { "request header via": "1, 2", "request header x-new": "n", "request header cookie": "(removed)" });
});
