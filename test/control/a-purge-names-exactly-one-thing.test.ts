import assert from "node:assert/strict";
import { test } from "node:test";
import { readPurge } from "../../runtime/control/purge-request.ts";

test("what is sound becomes an order", () => {
  assert.deepEqual(readPurge({ all: true }), { kind: "all", value: "", soft: false });
  assert.deepEqual(readPurge({ tag: "product-17", soft: true }), { kind: "tag", value: "product-17", soft: true });
  assert.deepEqual(readPurge({ url: "https://Shop.example/a?b=1#c" }), { kind: "url", value: "//shop.example/a?b=1", soft: false });
  assert.deepEqual(readPurge({ prefix: "shop.example:8080/a/" }), { kind: "prefix", value: "//shop.example:8080/a/", soft: false });
});

test("anything else is refused with what was found and expected", () => {
  const refused: readonly (readonly [unknown, RegExp])[] = [
    [null, /no object/],
    [[], /no object/],
    ["all", /no object/],
    [{}, /none of them/],
    [{ soft: true }, /none of them/],
    [{ tag: "a", all: true }, /tag and all/],
    [{ all: "yes" }, /all that is not true/],
    [{ tag: 7 }, /tag that is no string/],
    [{ tag: "a,b" }, /"a,b"/],
    [{ tag: "" }, /""/],
    [{ tag: "x".repeat(257) }, /x…"/],
    [{ url: "/only/a/path" }, /"\/only\/a\/path"/],
    [{ url: "ftp://shop.example/" }, /ftp/],
    [{ tag: "a", soft: "yes" }, /soft that is no boolean/],
    [{ tag: "a", sfot: true }, /"sfot"/],
  ];
  for (const [body, found] of refused) {
    const refusal = readPurge(body);
    assert.ok("expected" in refusal, JSON.stringify(body));
    assert.match(refusal.found, found);
  }
});
