import assert from "node:assert/strict";
import { test } from "node:test";
import { contentRange, multipartLayout, rangeFor } from "../../../runtime/cache/policy/policy.ts";
import { fields } from "./given.ts";

/** Of eleven bytes; "416" or "200" where no part is cut out. */
const CASES: readonly [range: string, cut: string][] = [
  ["bytes=0-1", "0-1"],
  ["bytes=1-", "1-10"],
  ["bytes=-1", "10-10"],
  ["bytes=-100", "0-10"],
  ["bytes=0-999999999999999999999", "0-10"],
  ["BYTES = 0-1", "0-1"],
  ["bytes=11-", "416"],
  ["bytes=-0", "416"],
  ["bytes=99-100, 11-11", "416"],
  ["bytes=99-100, 0-0", "0-0"],
  ["bytes=1-0", "200"],
  ["bytes=", "200"],
  ["bytes=-", "200"],
  ["bytes=a-b", "200"],
  ["bytes=0x0-1", "200"],
  ["bytes=0-1, x", "200"],
  ["bytes", "200"],
  ["pages=0-1", "200"],
  ["bytes=0-0, 2-2", "0-0 2-2"],
  ["bytes=4-5, 0-1", "4-5 0-1"],
  ["bytes=0-2, 2-4", "0-4"],
  ["bytes=0-2, 3-4", "0-4"],
  ["bytes=0-, 0-, 0-", "200"],
  ["bytes=0-5, 6-10", "200"],
  [`bytes=${Array.from({ length: 17 }, () => "0-0").join(",")}`, "200"],
];

for (const [range, cut] of CASES) {
  test(`${range.slice(0, 40)}: ${cut} (RFC 9110 section 14)`, () => {
    const answer = rangeFor(fields(`range: ${range}`), fields(), 11);
    const text =
      answer.kind === "whole" ? "200" : answer.kind === "unsatisfiable" ? "416" : answer.parts.map(({ first, last }) => `${first}-${last}`).join(" ");
    assert.equal(text, cut);
  });
}

const IF_RANGE: readonly [ifRange: string, stored: readonly string[], kind: "partial" | "whole"][] = [
  ['"abc"', ['etag: "abc"'], "partial"],
  ['"abd"', ['etag: "abc"'], "whole"],
  ['W/"abc"', ['etag: W/"abc"'], "whole"],
  ['"abc"', ['etag: W/"abc"'], "whole"],
  ["@-100", ["last-modified: @-100", "date: @0"], "partial"],
  ["@-100", ["last-modified: @-101", "date: @0"], "whole"],
  ["@0", ["last-modified: @0", "date: @0"], "whole"],
  ["@-100", ["date: @0"], "whole"],
];

for (const [ifRange, stored, kind] of IF_RANGE) {
  test(`If-Range ${ifRange} against [${stored.join(" | ")}]: ${kind} (RFC 9110 section 13.1.5)`, () => {
    assert.equal(rangeFor(fields("range: bytes=0-1", `if-range: ${ifRange}`), fields(...stored), 11).kind, kind);
  });
}

test("an empty answer has no part that could be sent", () => {
  assert.equal(rangeFor(fields("range: bytes=0-"), fields(), 0).kind, "unsatisfiable");
  assert.equal(contentRange(null, 0), "bytes */0");
});

test("two Range fields are none", () => assert.equal(rangeFor(fields("range: bytes=0-1", "range: bytes=2-3"), fields(), 11).kind, "whole"));

test("several parts are laid out as multipart/byteranges, with their length known beforehand (RFC 9110 section 14.6)", () => {
  const body = "0123456789A";
  const parts = [
    { first: 4, last: 5 },
    { first: 0, last: 1 },
  ];
  const layout = multipartLayout(parts, "text/plain", body.length, "cut");
  const text = parts.map(({ first, last }, index) => layout.heads[index]! + body.slice(first, last + 1)).join("") + layout.tail;
  assert.equal(text.length, layout.lengthBytes);
  assert.equal(
    text,
    "--cut\r\nContent-Type: text/plain\r\nContent-Range: bytes 4-5/11\r\n\r\n45" +
      "\r\n--cut\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/11\r\n\r\n01\r\n--cut--\r\n",
  );
  assert.equal(layout.contentType, "multipart/byteranges; boundary=cut");
});
