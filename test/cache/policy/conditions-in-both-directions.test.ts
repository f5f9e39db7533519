import assert from "node:assert/strict";
import { test } from "node:test";
import { headEffect, merge304, notModifiedFields, notModifiedFor, originFields } from "../../../runtime/cache/policy/policy.ts";
import { fields, freshness, NOW_MS } from "./given.ts";

const ENTRY = freshness("cache-control: max-age=60");
const TAGGED = ['etag: "abc"', "last-modified: @-3000", "date: @0"];

const CONDITIONS: readonly [request: readonly string[], stored: readonly string[], notModified: boolean, section: string][] = [
  [[], TAGGED, false, "no condition"],
  [['if-none-match: "abc"'], TAGGED, true, "13.1.2"],
  [['if-none-match: W/"abc"'], TAGGED, true, "8.8.3.2: weak comparison"],
  [['if-none-match: "abc"'], ['etag: W/"abc"'], true, "8.8.3.2: weak comparison"],
  [['if-none-match: "x", "abc", "y"'], TAGGED, true, "13.1.2: list"],
  [['if-none-match: "x"', 'if-none-match: "abc"'], TAGGED, true, "5.3: two lines"],
  [['if-none-match: "x,\\"abc"'], TAGGED, false, "8.8.3: no escapes in tags"],
  [['if-none-match: "ABC"'], TAGGED, false, "8.8.3.2: case counts"],
  [["if-none-match: *"], TAGGED, true, "13.1.2"],
  [["if-none-match: *"], ["date: @0"], true, "13.1.2"],
  [['if-none-match: "abc"'], ["date: @0"], false, "no tag stored"],
  [['if-none-match: "x"', "if-modified-since: @0"], TAGGED, false, "13.2.2: If-None-Match comes first"],
  [['if-none-match: "abc"', "if-modified-since: @-9000"], TAGGED, true, "13.2.2"],
  [['etag: "é"', 'if-none-match: "é"'], ['etag: "é"'], true, "8.8.3: obs-text"],
  [["if-modified-since: @-3000"], TAGGED, true, "13.1.3"],
  [["if-modified-since: @-2000"], TAGGED, true, "13.1.3: later"],
  [["if-modified-since: @-3001"], TAGGED, false, "13.1.3: earlier"],
  [["if-modified-since: yesterday"], TAGGED, false, "13.1.3: ignored when invalid"],
  [["if-modified-since: Monday, 01-Jun-26 11:10:00 GMT"], TAGGED, true, "5.6.7: RFC 850 date"],
  [["if-modified-since: Mon Jun  1 11:10:00 2026"], TAGGED, true, "5.6.7: asctime date"],
  [["if-modified-since: @1"], ["date: @0"], true, "RFC 9111 4.3.2: Date in place of Last-Modified"],
  [["if-modified-since: @-1"], ["date: @0"], false, "RFC 9111 4.3.2: Date in place of Last-Modified"],
];

for (const [request, stored, expected, section] of CONDITIONS) {
  test(`[${request.join(" | ")}] against [${stored.join(" | ")}]: ${expected ? "304" : "whole"} (RFC 9110 section ${section})`, () => {
    assert.equal(notModifiedFor(fields(...request), fields(...stored), ENTRY), expected);
  });
}

test("a 304 carries what updates a stored answer, and no more (RFC 9110 section 15.4.5)", () => {
  const stored = fields("content-type: text/html", ...TAGGED, "cache-control: max-age=60", "vary: accept", "set-cookie: a=b", "x-a: 1");
  assert.deepEqual(
    notModifiedFields(stored).list.filter((_, index) => index % 2 === 0),
    ["etag", "date", "cache-control", "vary"],
  );
  assert.ok(notModifiedFields(fields("last-modified: @-10", "date: @0")).has("last-modified"));
});

test("a request that fills the cache asks for the whole, with the stored validators and without the client's (RFC 9111 section 4.3.1)", () => {
  const request = fields('if-none-match: "mine"', "if-modified-since: @0", "range: bytes=0-1", 'if-range: "mine"', "accept: */*");
  const capability = ["surrogate-capability", 'sluice="Surrogate/1.0"'];
  assert.deepEqual(originFields(request, null).list, ["accept", "*/*", ...capability]);
  assert.deepEqual(originFields(request, fields(...TAGGED)).list, [
    "accept",
    "*/*",
    ...capability,
    "if-none-match",
    '"abc"',
    "if-modified-since",
    "Mon, 01 Jun 2026 11:10:00 GMT",
  ]);
  assert.equal(request.list.length, 10);
});

test("a 304 replaces what it brings and leaves what describes the stored bytes (RFC 9111 section 3.2)", () => {
  const stored = fields("content-type: a/b", "content-encoding: gzip", 'etag: "abc"', "x-old: 1", "x-two: 1", "x-two: 2", "date: @-90");
  const answer = fields(
    "content-type: c/d",
    "content-encoding: br",
    'etag: "other"',
    "content-length: 7",
    "x-two: 3",
    "transfer-encoding: x",
    "date: @0",
    "age: 4",
  );
  const merged = merge304(stored, answer, NOW_MS);
  assert.equal(merged.get("content-type"), "c/d");
  assert.equal(merged.get("content-encoding"), "gzip");
  assert.equal(merged.get("etag"), '"abc"');
  assert.equal(merged.get("x-old"), "1");
  assert.deepEqual(merged.getAll("x-two"), ["3"]);
  assert.equal(merged.has("content-length") || merged.has("transfer-encoding"), false);
  // `storable` reads it once, and doesn't store it.
  assert.equal(merged.get("age"), "4");
});

test("a 304 without Date makes the stored answer as young as itself", () => {
  const merged = merge304(fields("date: @-90", "cache-control: max-age=60"), fields(), NOW_MS);
  assert.equal(merged.get("date"), "Mon, 01 Jun 2026 12:00:00 GMT");
});

test("a HEAD updates the stored GET only when it speaks of the same bytes (RFC 9111 section 4.3.5)", () => {
  const stored = fields(...TAGGED);
  assert.equal(headEffect(stored, 10, fields('etag: "abc"'), 10), "update");
  assert.equal(headEffect(stored, 10, fields(), -1), "update");
  assert.equal(headEffect(stored, 10, fields('etag: "abc"'), 11), "invalidate");
  assert.equal(headEffect(stored, 10, fields('etag: "new"'), 10), "invalidate");
  assert.equal(headEffect(stored, -1, fields("last-modified: @0"), 11), "invalidate");
});
