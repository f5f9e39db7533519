import assert from "node:assert/strict";
import { test } from "node:test";
import { readRequest } from "../../../runtime/cache/policy/policy.ts";
import { type Answer, fields, judge, request, stored, verdictOn } from "./given.ts";

const FRESH = "cache-control: max-age=60";
const WITH_TOKEN = request("authorization: Bearer x");

const CASES: readonly [what: string, section: string, answer: Answer, verdict: string][] = [
  ["a 200 with max-age", "RFC 9111 3", { fields: [FRESH] }, "stored"],
  ["a 200 with Expires", "RFC 9111 3", { fields: ["expires: @60"] }, "stored"],
  ["any final status with an explicit lifetime", "RFC 9111 3", { status: 599, fields: [FRESH] }, "stored"],
  ["a 503 with an explicit lifetime", "RFC 9111 3", { status: 503, fields: [FRESH] }, "stored"],
  ["a 206", "RFC 9111 3", { status: 206, fields: [FRESH] }, "status"],
  ["a 304", "RFC 9111 3", { status: 304, fields: [FRESH] }, "status"],
  ["an interim answer", "RFC 9111 3", { status: 103, fields: [FRESH] }, "status"],
  ["an answer to POST", "RFC 9110 9.3.3", { request: readRequest("POST", fields(), true), fields: [FRESH] }, "method"],
  ["an answer to HEAD", "RFC 9110 9.3.2", { request: readRequest("HEAD", fields(), true), fields: [FRESH] }, "method"],
  ["no lifetime, no validator", "RFC 9111 4.2", { fields: [] }, "no-lifetime"],
  ["no lifetime but a validator", "RFC 9111 4.3", { fields: ['etag: "a"'] }, "stored"],
  ["a 302 without lifetime, though it has a validator", "RFC 9111 4.2.2", { status: 302, fields: ['etag: "a"'] }, "no-lifetime"],
  ["a 403 without lifetime", "RFC 9111 4.2.2", { status: 403, fields: ["last-modified: @-86400"] }, "no-lifetime"],
  ["an unknown status without lifetime, but public", "RFC 9111 4.2.2", { status: 599, fields: ["cache-control: public", "last-modified: @-86400"] }, "stored"],
  ["expired on arrival, no validator", "RFC 9111 4.2", { fields: ["cache-control: max-age=0"] }, "expired"],
  ["expired on arrival, with a validator", "RFC 9111 4.3", { fields: ["cache-control: max-age=0", 'etag: "a"'] }, "stored"],
  ["no-store", "RFC 9111 5.2.2.5", { fields: ["cache-control: max-age=60, no-store"] }, "no-store"],
  ["NO-STORE", "RFC 9111 5.2", { fields: ["cache-control: max-age=60, NO-STORE"] }, "no-store"],
  ["no-store with a senseless argument", "RFC 9111 5.2", { fields: ['cache-control: max-age=60, no-store="x"'] }, "no-store"],
  ["no-store on a second line", "RFC 9110 5.3", { fields: [FRESH, "cache-control: no-store"] }, "no-store"],
  ["no-store inside a quoted string", "RFC 9111 5.2", { fields: ['cache-control: max-age=60, x="no-store"'] }, "stored"],
  ["private", "RFC 9111 5.2.2.7", { fields: ["cache-control: max-age=60, private"] }, "private"],
  ["private with fields", "RFC 9111 5.2.2.7", { fields: ['cache-control: max-age=60, private="x-user"'] }, "stored"],
  ["private with an empty list", "RFC 9111 5.2.2.7", { fields: ['cache-control: max-age=60, private=""'] }, "private"],
  ["private with a broken list", "RFC 9111 4.2.1", { fields: ['cache-control: max-age=60, private="x'] }, "private"],
  ["no-cache, no validator", "RFC 9111 5.2.2.4", { fields: ["cache-control: no-cache, max-age=60"] }, "expired"],
  ["no-cache with a validator", "RFC 9111 5.2.2.4", { fields: ["cache-control: no-cache", 'etag: "a"'] }, "stored"],
  ["must-understand, known status, no-store", "RFC 9111 5.2.2.3", { fields: ["cache-control: must-understand, no-store, max-age=60"] }, "stored"],
  ["must-understand, unknown status", "RFC 9111 5.2.2.3", { status: 599, fields: ["cache-control: must-understand, max-age=60"] }, "not-understood"],
  ["with Authorization", "RFC 9111 3.5", { request: WITH_TOKEN, fields: [FRESH] }, "authorization"],
  ["with Authorization, public", "RFC 9111 3.5", { request: WITH_TOKEN, fields: ["cache-control: public, max-age=60"] }, "stored"],
  ["with Authorization, s-maxage", "RFC 9111 3.5", { request: WITH_TOKEN, fields: ["cache-control: s-maxage=60"] }, "stored"],
  ["with Authorization, must-revalidate", "RFC 9111 3.5", { request: WITH_TOKEN, fields: ["cache-control: max-age=60, must-revalidate"] }, "stored"],
  ["request says no-store", "RFC 9111 5.2.1.5", { request: request("cache-control: no-store"), fields: [FRESH] }, "request-no-store"],
  ["Vary: *", "RFC 9111 4.1", { fields: [FRESH, "vary: *"] }, "vary-any"],
  ["Vary: a, * on several lines", "RFC 9111 4.1", { fields: [FRESH, "vary: a", "vary: , *"] }, "vary-any"],
  ["Set-Cookie", "RFC 9111 7.3, stricter", { fields: [FRESH, "set-cookie: a=b"] }, "set-cookie"],
  ["Set-Cookie, public", "RFC 9111 7.3", { fields: ["cache-control: public, max-age=60", "set-cookie: a=b"] }, "stored"],
  ["Set-Cookie, s-maxage", "RFC 9111 7.3", { fields: ["cache-control: s-maxage=60", "set-cookie: a=b"] }, "stored"],
  ["Set-Cookie where config allows it", "RFC 9111 7.3", { options: { setCookie: "store" }, fields: [FRESH, "set-cookie: a=b"] }, "stored"],
  ["Pragma in an answer means nothing", "RFC 9111 5.4", { fields: [FRESH, "pragma: no-cache"] }, "stored"],
  ["404 without lifetime where config gives one", "negative caching", { status: 404, options: { statusMs: new Map([[404, 1000]]) }, fields: [] }, "stored"],
  ["500 without lifetime", "RFC 9111 4.2.2", { status: 500, fields: ["last-modified: @-86400"] }, "no-lifetime"],
  ["a rule says no", "cacheability", { options: { cacheability: "no" }, fields: [FRESH] }, "rule"],
  ["a rule says yes in spite of private", "cacheability", { options: { cacheability: "yes", lifetimeMs: 1000 }, fields: ["cache-control: private"] }, "stored"],
  ["a rule says yes to a 206", "cacheability", { status: 206, options: { cacheability: "yes", lifetimeMs: 1000 }, fields: [] }, "status"],
  ["a rule says yes to Vary: *", "cacheability", { options: { cacheability: "yes", lifetimeMs: 1000 }, fields: ["vary: *"] }, "vary-any"],
];

for (const [what, section, answer, verdict] of CASES) {
  test(`${what} (${section}): ${verdict}`, () => assert.equal(verdictOn(answer), verdict));
}

test("what one client's request alone causes leaves no marker, so that it can't switch coalescing off for others", () => {
  const marker = (answer: Answer): number => {
    const result = judge(answer);
    assert.ok(!result.store);
    return result.hitForMissMs;
  };
  assert.equal(marker({ request: request("cache-control: no-store"), fields: [FRESH] }), 0);
  assert.equal(marker({ options: { cacheability: "no" }, fields: [FRESH] }), 0);
  assert.equal(marker({ fields: ["cache-control: private"] }), 120_000);
  assert.equal(marker({ options: { cacheability: "uncacheable" }, fields: [FRESH] }), 120_000);
});

test("fields that are not for everybody, or not for storing, are not stored (RFC 9111 sections 3.1, 5.2.2.4, 5.2.2.7)", () => {
  const lines = ['cache-control: max-age=60, no-cache="x-a, X-B", private=x-c', "x-a: 1", "x-b: 2", "x-c: 3", "x-d: 4"];
  const result = stored({ fields: [...lines, "age: 5", "proxy-authenticate: Basic", "connection: close", "date: @0"] });
  assert.deepEqual(
    result.fields.list.filter((_, index) => index % 2 === 0),
    ["cache-control", "x-d", "date"],
  );
});

test("cookies go out of what a rule declared cacheable, unless config stores them", () => {
  const lines = ["set-cookie: sid=1", "date: @0"];
  assert.equal(stored({ options: { cacheability: "yes", lifetimeMs: 1000 }, fields: lines }).fields.has("set-cookie"), false);
  assert.equal(stored({ options: { setCookie: "strip", defaultMs: 1000 }, fields: lines }).fields.has("set-cookie"), false);
  assert.equal(stored({ options: { cacheability: "yes", lifetimeMs: 1000, setCookie: "store" }, fields: lines }).fields.get("set-cookie"), "sid=1");
});

test("an answer without a Date that can be read gets one (RFC 9110 section 6.6.1)", () => {
  for (const lines of [[FRESH], [FRESH, "date: foo"]]) assert.equal(stored({ fields: lines }).fields.get("date"), "Mon, 01 Jun 2026 12:00:00 GMT");
  assert.equal(stored({ fields: [FRESH, "date: @-3"] }).fields.get("date"), "Mon, 01 Jun 2026 11:59:57 GMT");
});

test("Vary names are one sorted set, however they are written", () => {
  assert.deepEqual(stored({ fields: [FRESH, "vary: Foo, ,bar", "vary: foo"] }).varyNames, ["bar", "foo"]);
  assert.deepEqual(stored({ fields: [FRESH, "vary: "] }).varyNames, []);
});
