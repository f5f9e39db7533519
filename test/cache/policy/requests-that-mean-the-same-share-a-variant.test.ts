import assert from "node:assert/strict";
import { test } from "node:test";
import { varyKey } from "../../../runtime/cache/policy/policy.ts";
import { fields } from "./given.ts";

const SAME: readonly [name: string, one: readonly string[], other: readonly string[]][] = [
  ["foo", ["foo: 1, 2"], ["foo: 1", "foo: 2"]],
  ["foo", ["foo: 1,2"], ["foo: 1 ,\t2"]],
  ["foo", ["bar: 1"], ["bar: 2"]],
  ["accept-encoding", ["accept-encoding: gzip, br"], ["accept-encoding: BR ,gzip;q=0.5"]],
  ["accept-encoding", ["accept-encoding: x-gzip, identity"], ["accept-encoding: gzip"]],
  ["accept-encoding", ["accept-encoding: gzip;q=1.000"], ["accept-encoding: gzip ; q=0.001"]],
  ["accept-language", ["accept-language: en, de"], ["accept-language: De,eN"]],
  ["accept-language", ["accept-language: de;q=0.8, en"], ["accept-language: en;q=1.0, de;q=0.80"]],
];

const DIFFERENT: readonly [name: string, one: readonly string[], other: readonly string[]][] = [
  ["foo", ["foo: 1"], ["foo: 2"]],
  ["foo", [], ["foo: "]],
  ["foo", ["foo: a"], ["foo: A"]],
  ["foo", ['foo: "a, b"'], ['foo: "a,b"']],
  ["accept-encoding", ["accept-encoding: gzip"], ["accept-encoding: gzip;q=0"]],
  ["accept-encoding", ["accept-encoding: gzip;q=0.000"], ["accept-encoding: br"]],
  ["accept-encoding", ["accept-encoding: !gzip"], ["accept-encoding: gzip;q=0"]],
  ["accept-encoding", ["accept-encoding: gzip, identity;q=0"], ["accept-encoding: gzip"]],
  ["accept-encoding", ["accept-encoding: *"], ["accept-encoding: gzip"]],
  ["accept-encoding", [], ["accept-encoding: "]],
  ["accept-language", ["accept-language: en, de;q=0.5"], ["accept-language: de, en;q=0.5"]],
  ["accept-language", ["accept-language: en;q=2"], ["accept-language: en"]],
];

for (const [name, one, other] of SAME) {
  test(`${name}: [${one.join(" | ")}] and [${other.join(" | ")}] share (RFC 9111 section 4.1)`, () => {
    assert.equal(varyKey([name], fields(...one)), varyKey([name], fields(...other)));
  });
}
for (const [name, one, other] of DIFFERENT) {
  test(`${name}: [${one.join(" | ")}] and [${other.join(" | ")}] do not (RFC 9111 section 4.1)`, () => {
    assert.notEqual(varyKey([name], fields(...one)), varyKey([name], fields(...other)));
  });
}

test("values don't run into each other", () => {
  assert.notEqual(varyKey(["a", "b"], fields("a: 1", "b: ")), varyKey(["a", "b"], fields("a: ", "b: 1")));
  assert.notEqual(varyKey(["a", "b"], fields("a: 1")), varyKey(["a", "b"], fields("b: 1")));
});
