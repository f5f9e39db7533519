import assert from "node:assert/strict";
import { test } from "node:test";
import { decide, mayServeOnError, readRequest, type Freshness, type Verdict } from "../../../runtime/cache/policy/policy.ts";
import { fields, freshness, NOW_MS, request } from "./given.ts";

const MINUTE = freshness("cache-control: max-age=60");
const WITH_SWR = freshness("cache-control: max-age=60, stale-while-revalidate=30");
const STRICT = freshness("cache-control: max-age=60, must-revalidate");
const IMMUTABLE = freshness("cache-control: max-age=60, immutable");
const ARRIVED_OLD = freshness("cache-control: max-age=60", "age: 30");

/** Seconds since the entry came. */
const CASES: readonly [asked: string, entry: Freshness | null, seconds: number, verdict: Verdict][] = [
  ["", null, 0, "miss"],
  ["", MINUTE, 0, "hit"],
  ["", MINUTE, 59.999, "hit"],
  ["", MINUTE, 60, "revalidate"],
  ["", WITH_SWR, 60, "stale"],
  ["", WITH_SWR, 89.999, "stale"],
  ["", WITH_SWR, 90, "revalidate"],
  ["nothing-to-see-here", MINUTE, 1, "hit"],
  ["max-age=0", MINUTE, 0, "revalidate"],
  ["max-age=10", MINUTE, 10, "hit"],
  ["max-age=10", MINUTE, 10.001, "revalidate"],
  ["max-age=10", ARRIVED_OLD, 0, "revalidate"],
  ["max-age=x", MINUTE, 10, "hit"],
  ["max-age=600", WITH_SWR, 70, "revalidate"],
  ["min-fresh=30", MINUTE, 30, "hit"],
  ["min-fresh=30", MINUTE, 31, "revalidate"],
  ["max-stale=5", MINUTE, 65, "stale-allowed"],
  ["max-stale=5", MINUTE, 66, "revalidate"],
  ["max-stale", MINUTE, 100_000, "stale-allowed"],
  ["max-stale", STRICT, 61, "revalidate"],
  ["max-stale=5, max-age=100", MINUTE, 65, "stale-allowed"],
  ["no-cache", MINUTE, 1, "revalidate"],
  ["no-cache", null, 0, "miss"],
  ["no-cache, only-if-cached", MINUTE, 1, "gateway-timeout"],
  ["no-store", MINUTE, 1, "bypass"],
  ["only-if-cached", null, 0, "gateway-timeout"],
  ["only-if-cached", MINUTE, 1, "hit"],
  ["only-if-cached", MINUTE, 61, "gateway-timeout"],
  ["only-if-cached", WITH_SWR, 61, "stale-allowed"],
  ["max-age=0", IMMUTABLE, 1, "hit"],
  ["max-age=0", IMMUTABLE, 60, "revalidate"],
  ["no-cache", IMMUTABLE, 1, "revalidate"],
];

for (const [asked, entry, seconds, verdict] of CASES) {
  test(`"${asked}" after ${seconds} s: ${verdict} (RFC 9111 sections 4.2 and 5.2.1)`, () => {
    const terms = asked === "" ? request() : request(`cache-control: ${asked}`);
    assert.equal(decide(terms, entry, NOW_MS + seconds * 1000), verdict);
  });
}

test("Pragma: no-cache counts, but only without Cache-Control (RFC 9111 section 5.4)", () => {
  assert.equal(decide(request("pragma: no-cache"), MINUTE, NOW_MS), "revalidate");
  assert.equal(decide(request("pragma: no-cache", "cache-control: max-stale"), MINUTE, NOW_MS), "hit");
  assert.equal(decide(request("pragma: foo"), MINUTE, NOW_MS), "hit");
});

test("clients whose directives are not honoured can't reach past the cache", () => {
  for (const line of ["cache-control: no-cache", "cache-control: no-store", "cache-control: max-age=0", "pragma: no-cache"]) {
    assert.equal(decide(readRequest("GET", fields(line), false), MINUTE, NOW_MS), "hit", line);
  }
});

test("only GET and HEAD are answered from the cache, and nothing that only the origin may judge (RFC 9111 sections 4 and 4.3.2)", () => {
  assert.equal(decide(readRequest("HEAD", fields(), true), MINUTE, NOW_MS), "hit");
  for (const method of ["POST", "OPTIONS", "M-SEARCH", "get"]) assert.equal(decide(readRequest(method, fields(), true), MINUTE, NOW_MS), "bypass", method);
  assert.equal(decide(request('if-match: "a"'), MINUTE, NOW_MS), "bypass");
  assert.equal(decide(request("if-unmodified-since: @0"), MINUTE, NOW_MS), "bypass");
});

test("a failing origin is covered as long as said, by the answer or the client, and never against the origin's word (RFC 5861 section 4)", () => {
  const covered = freshness("cache-control: max-age=60, stale-if-error=30");
  assert.equal(mayServeOnError(request(), covered, NOW_MS + 89_999), true);
  assert.equal(mayServeOnError(request(), covered, NOW_MS + 90_000), false);
  assert.equal(mayServeOnError(request("cache-control: no-cache"), covered, NOW_MS + 70_000), false);
  assert.equal(mayServeOnError(request(), WITH_SWR, NOW_MS + 70_000), true);
  assert.equal(mayServeOnError(request("cache-control: stale-if-error=20"), MINUTE, NOW_MS + 80_000), true);
  assert.equal(mayServeOnError(request("cache-control: stale-if-error=20"), MINUTE, NOW_MS + 80_001), false);
  assert.equal(mayServeOnError(request("cache-control: stale-if-error=20"), STRICT, NOW_MS + 61_000), false);
});
