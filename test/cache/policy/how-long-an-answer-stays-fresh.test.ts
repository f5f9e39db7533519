import assert from "node:assert/strict";
import { test } from "node:test";
import { ageSeconds } from "../../../runtime/cache/policy/policy.ts";
import { type Answer, DAY_MS, freshSeconds, freshness, NOW_MS, stored } from "./given.ts";

/** With a validator, so that answers without any lifetime are stored too. */
const ETAG = 'etag: "a"';
const LONGEST = 2_147_483_648;

const CASES: readonly [what: string, section: string, answer: Answer, seconds: number][] = [
  ["max-age", "4.2.1", { fields: ["cache-control: max-age=60"] }, 60],
  ["s-maxage over max-age", "5.2.2.10", { fields: ["cache-control: max-age=60, s-maxage=5"] }, 5],
  ["s-maxage over max-age, the other way round", "5.2.2.10", { fields: ["cache-control: s-maxage=500, max-age=5"] }, 500],
  ["max-age over Expires", "5.3", { fields: ["cache-control: max-age=60", "expires: @5"] }, 60],
  ["max-age over an invalid Expires", "5.3", { fields: ["cache-control: max-age=60", "expires: 0"] }, 60],
  ["max-age=0 over a later Expires", "5.3", { fields: ["cache-control: max-age=0", "expires: @60", ETAG] }, 0],
  ["Expires less Date", "4.2.1", { fields: ["date: @-10", "expires: @20"] }, 30],
  ["Expires before Date", "4.2.1", { fields: ["date: @40", "expires: @30", ETAG] }, 0],
  ["Expires with an invalid Date", "4.2.1", { fields: ["date: foo", "expires: @20"] }, 20],
  ["an invalid Expires", "5.3", { fields: ["expires: 0", ETAG, "last-modified: @-86400"] }, 0],
  ["the first of two Expires", "4.2.1", { fields: ["date: @0", "expires: @20", "expires: @90"] }, 20],
  ["quoted", "5.2", { fields: ['cache-control: max-age="60"'] }, 60],
  ["in odd case", "5.2", { fields: ["cache-control: MaX-aGe=60"] }, 60],
  ["leading zeros", "1.2.2", { fields: ["cache-control: max-age=0060"] }, 60],
  ["overflow", "1.2.2", { fields: ["cache-control: max-age=99999999999999999999"], options: { maxMs: Infinity } }, LONGEST],
  ["negative", "4.2.1", { fields: ["cache-control: max-age=-60", ETAG] }, 0],
  ["a fraction", "4.2.1", { fields: ["cache-control: max-age=60.5", ETAG] }, 0],
  ["trailing letters", "4.2.1", { fields: ["cache-control: max-age=60a", ETAG] }, 0],
  ["single quotes", "4.2.1", { fields: ["cache-control: max-age='60'", ETAG] }, 0],
  ["no argument", "4.2.1", { fields: ["cache-control: max-age", ETAG] }, 0],
  ["space before =", "4.2.1", { fields: ["cache-control: max-age =60", ETAG] }, 0],
  ["space after =", "4.2.1", { fields: ["cache-control: max-age= 60", ETAG] }, 0],
  ["inside a quoted string", "5.2", { fields: ['cache-control: x="max-age=600", max-age=1'] }, 1],
  ["behind an escaped quote", "5.2", { fields: ['cache-control: x="\\", max-age=600", max-age=1'] }, 1],
  ["the first of two", "4.2.1", { fields: ["cache-control: max-age=5, max-age=600"] }, 5],
  ["one of two is malformed", "4.2.1", { fields: ["cache-control: max-age=600, max-age=x", ETAG] }, 0],
  ["unknown directives beside it", "5.2.3", { fields: ["cache-control: foo, bar=1, max-age=60"] }, 60],
  ["no-cache", "5.2.2.4", { fields: ["cache-control: max-age=60, no-cache", ETAG] }, 0],
  ["Age", "4.2.3", { fields: ["cache-control: max-age=60", "age: 20"] }, 40],
  ["Age past the lifetime", "4.2.3", { fields: ["cache-control: max-age=60", "age: 90", ETAG] }, -30],
  ["an invalid Age", "5.1", { fields: ["cache-control: max-age=60", "age: old", ETAG] }, 0],
  ["a negative Age", "5.1", { fields: ["cache-control: max-age=60", "age: -1", ETAG] }, 0],
  ["the first member of a list of ages", "5.1", { fields: ["cache-control: max-age=60", "age: 10,7200"] }, 50],
  ["the same Age twice", "5.1", { fields: ["cache-control: max-age=60", "age: 10, 10", ETAG] }, 0],
  ["two lines of Age", "5.1", { fields: ["cache-control: max-age=60", "age: 0", "age: 10", ETAG] }, 0],
  ["the time the answer took, without Date", "4.2.3", { fields: ["cache-control: max-age=60"], tookMs: 3000 }, 57],
  ["the time the answer took, made at its end", "4.2.3", { fields: ["cache-control: max-age=60", "date: @0"], tookMs: 3000 }, 60],
  ["the time the answer took, made at its beginning", "4.2.3", { fields: ["cache-control: max-age=60", "date: @-9"], tookMs: 3000 }, 57],
  ["the time the answer took, and Age", "4.2.3", { fields: ["cache-control: max-age=60", "date: @0", "age: 0"], tookMs: 3000 }, 57],
  ["an old Date straight from the origin: its clock is slow", "4.2.3", { fields: ["cache-control: max-age=60", "date: @-50"] }, 60],
  ["an old Date through another cache", "4.2.3", { fields: ["cache-control: max-age=60", "date: @-50", "via: 1.1 old"] }, 10],
  ["a Date in the future", "4.2.3", { fields: ["cache-control: max-age=60", "date: @900", "via: 1.1 old"] }, 60],
  ["a tenth of the time since Last-Modified", "4.2.2", { fields: ["last-modified: @-1000"] }, 100],
  ["at most a day of it", "4.2.2", { fields: ["last-modified: @-86400000"] }, 86_400],
  ["a Last-Modified in the future", "4.2.2", { fields: ["last-modified: @1000"] }, 0],
  ["heuristics switched off", "4.2.2", { fields: ["last-modified: @-1000"], options: { heuristicLimitMs: 0 } }, 0],
  ["a default", "config", { fields: [], options: { defaultMs: 7000 } }, 7],
  ["no default for an error that a client can provoke", "config", { status: 404, fields: [ETAG], options: { defaultMs: 7000 } }, 0],
  ["heuristics before the default", "config", { fields: ["last-modified: @-1000"], options: { defaultMs: 7000 } }, 100],
  ["a status's lifetime", "config", { status: 404, fields: [], options: { defaultMs: 7000, statusMs: new Map([[404, 2000]]) } }, 2],
  [
    "the origin's word over a status's lifetime",
    "config",
    { status: 404, fields: ["cache-control: max-age=60"], options: { statusMs: new Map([[404, 2000]]) } },
    60,
  ],
  ["a rule's word over all", "config", { fields: ["cache-control: max-age=60", "age: 50"], options: { lifetimeMs: 9000 } }, 9],
  ["the operator's bound", "config", { fields: ["cache-control: max-age=31536000"], options: { maxMs: DAY_MS } }, 86_400],
];

for (const [what, section, answer, seconds] of CASES) {
  test(`${what} (${section === "config" ? section : `RFC 9111 section ${section}`}): ${seconds} s`, () => {
    assert.equal(freshSeconds(answer), seconds);
  });
}

test("the age that is told counts on from the age on arrival (RFC 9111 section 4.2.3)", () => {
  const entry = freshness("cache-control: max-age=600", "age: 30");
  assert.equal(ageSeconds(entry, NOW_MS), 30);
  assert.equal(ageSeconds(entry, NOW_MS + 3999), 33);
});

test("stale use is allowed only as far as said, and never where forbidden (RFC 5861, RFC 9111 section 4.2.4)", () => {
  const windows = (control: string, options: Answer["options"] = {}): [number, number] => {
    const entry = stored({ fields: [`cache-control: ${control}`, ETAG], options }).freshness;
    return [(entry.staleWhileRevalidateUntilMs - entry.freshUntilMs) / 1000, (entry.staleIfErrorUntilMs - entry.freshUntilMs) / 1000];
  };
  const configured = { staleWhileRevalidateMs: 10_000, staleIfErrorMs: 20_000 };
  assert.deepEqual(windows("max-age=60"), [0, 0]);
  assert.deepEqual(windows("max-age=60, stale-while-revalidate=5"), [5, 5]);
  assert.deepEqual(windows("max-age=60, stale-if-error=9"), [0, 9]);
  assert.deepEqual(windows("max-age=60, stale-while-revalidate=x", configured), [0, 20]);
  assert.deepEqual(windows("max-age=60", configured), [10, 20]);
  assert.deepEqual(windows("max-age=60, stale-while-revalidate=1, stale-if-error=2", configured), [1, 2]);
  for (const forbid of ["must-revalidate", "proxy-revalidate", "no-cache"]) {
    assert.deepEqual(windows(`max-age=60, ${forbid}, stale-while-revalidate=5, stale-if-error=5`, configured), [0, 0], forbid);
  }
  // s-maxage forbids it like proxy-revalidate, but an explicit permission beside it was meant for shared caches.
  assert.deepEqual(windows("s-maxage=60", configured), [0, 0]);
  assert.deepEqual(windows("s-maxage=60, stale-while-revalidate=5", configured), [5, 5]);
});
