import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Fields } from "../../../runtime/proxy/fields.ts";
import {
  ageSeconds,
  decide,
  invalidatedTargets,
  merge304,
  notModifiedFields,
  notModifiedFor,
  originFields,
  rangeFor,
  readRequest,
  storable,
  varyKey,
  type StoreOptions,
} from "../../../runtime/cache/policy/policy.ts";
import { DAY_MS, NOW_MS, RFC_ONLY } from "./given.ts";

const NAMES = [
  ..."age cache-control cdn-cache-control sluice-cache-control surrogate-control expires date last-modified etag vary set-cookie via".split(" "),
  ..."accept-encoding accept-language range if-range if-none-match if-modified-since pragma location content-location authorization foo".split(" "),
  ..."content-length transfer-encoding connection content-encoding".split(" "),
];
const PIECES = [
  ..."max-age= s-maxage= no-store no-cache private public stale-while-revalidate= stale-if-error= must-revalidate only-if-cached".split(" "),
  ..."bytes= 0 1 60 99999999999 - + . , ; = * \" \\ ? : ' W/ gzip br;q=0.5 de en".split(" "),
  ..."Mon, 01 Jun 2026 12:00:00 GMT|Mon Jun  1 11:10:00 2026|Monday, 01-Jun-26 11:10:00 GMT| |, |\t|\xff".split("|"),
];

const value = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }).map((pieces) => pieces.join("").trim()),
  fc
    .string({
      unit: fc
        .integer({ min: 0x20, max: 0xff })
        .filter((code) => code < 0x7f || code > 0x9f)
        .map((code) => String.fromCharCode(code)),
      maxLength: 40,
    })
    .map((text) => text.trim()),
);
const anyFields = fc.array(fc.tuple(fc.constantFrom(...NAMES), value), { maxLength: 8 }).map((pairs) => Fields.of(...pairs));
const length = fc.integer({ min: 0, max: 10_000_000 });
const options: fc.Arbitrary<StoreOptions> = fc
  .record({
    defaultMs: length,
    heuristicLimitMs: length,
    maxMs: length,
    staleWhileRevalidateMs: length,
    staleIfErrorMs: length,
    lifetimeMs: fc.oneof(fc.constant(-1), length),
    setCookie: fc.constantFrom("explicit" as const, "strip" as const, "store" as const),
  })
  .map((some) => Object.assign({}, RFC_ONLY, some));
const status = fc.integer({ min: 100, max: 599 });

test("no request and no answer makes the policy throw", () => {
  fc.assert(
    fc.property(anyFields, anyFields, fc.constantFrom("GET", "HEAD", "POST", "x"), status, options, (request, answer, method, code, chosen) => {
      const terms = readRequest(method, request, true);
      const result = storable(terms, code, answer, chosen, { requestAtMs: NOW_MS - 5, responseAtMs: NOW_MS });
      decide(terms, result.store ? result.freshness : null, NOW_MS);
      rangeFor(request, answer, 1000);
      varyKey(["accept-encoding", "accept-language", "foo"], request);
      originFields(request, answer);
      notModifiedFields(answer);
      invalidatedTargets(terms, code, answer, "http", "a.example", "/");
      if (result.store) assert.ok(Number.isFinite(result.freshness.freshUntilMs) && notModifiedFor(request, answer, result.freshness) !== undefined);
    }),
    { numRuns: 2000 },
  );
});

test("nothing is fresh beyond the operator's bound, nor served past what staleness was allowed", () => {
  fc.assert(
    fc.property(anyFields, status, options, (answer, code, chosen) => {
      const result = storable(readRequest("GET", new Fields(), true), code, answer, chosen, { requestAtMs: NOW_MS, responseAtMs: NOW_MS });
      if (!result.store) return;
      const { freshness } = result;
      const plain = readRequest("GET", new Fields(), true);
      assert.ok(freshness.bornAtMs <= NOW_MS);
      assert.ok(freshness.freshUntilMs - NOW_MS <= chosen.maxMs);
      assert.ok(freshness.freshUntilMs <= freshness.staleWhileRevalidateUntilMs && freshness.staleWhileRevalidateUntilMs <= freshness.staleIfErrorUntilMs);
      assert.notEqual(decide(plain, freshness, freshness.freshUntilMs), "hit");
      assert.equal(decide(plain, freshness, freshness.staleWhileRevalidateUntilMs), "revalidate");
      assert.ok(ageSeconds(freshness, NOW_MS) >= 0);
    }),
    { numRuns: 2000 },
  );
});

test("whatever a client asks for makes the cache no laxer than for a plain request, unless it asks for something stale", () => {
  const directives = fc.subarray(["no-cache", "no-store", "max-age=0", "max-age=30", "min-fresh=30", "only-if-cached"], { minLength: 1 });
  fc.assert(
    fc.property(directives, fc.integer({ min: -100, max: 100 }), (asked, secondsLeft) => {
      const entry = {
        bornAtMs: NOW_MS - DAY_MS,
        freshUntilMs: NOW_MS + secondsLeft * 1000,
        staleWhileRevalidateUntilMs: NOW_MS + secondsLeft * 1000 + 50_000,
        staleIfErrorUntilMs: NOW_MS + DAY_MS,
        staleAllowed: true,
        immutable: false,
      };
      const verdict = decide(readRequest("GET", Fields.of(["cache-control", asked.join(", ")]), true), entry, NOW_MS);
      if (verdict === "hit") assert.equal(decide(readRequest("GET", new Fields(), true), entry, NOW_MS), "hit");
    }),
  );
});

test("a merge with a 304 lets no framing in, and loses nothing that the 304 does not name", () => {
  fc.assert(
    fc.property(anyFields, anyFields, (before, answer) => {
      const clean = new Fields(before.list.slice());
      for (const name of ["content-length", "transfer-encoding", "connection"]) clean.delete(name);
      const merged = merge304(clean, answer, NOW_MS);
      for (const name of ["content-length", "transfer-encoding", "connection"]) assert.equal(merged.has(name), false, name);
      assert.deepEqual(merged.getAll("content-encoding"), clean.getAll("content-encoding"));
      for (const name of NAMES) if (!answer.has(name) && name !== "date") assert.deepEqual(merged.getAll(name), clean.getAll(name));
    }),
    { numRuns: 1000 },
  );
});

test("different selecting fields make different keys, but for what normalisation says is the same", () => {
  const plain = fc.option(fc.string({ unit: fc.constantFrom(...'ab=;"\t '.split("")), maxLength: 6 }), { nil: undefined });
  fc.assert(
    fc.property(fc.tuple(plain, plain), fc.tuple(plain, plain), (one, other) => {
      const fieldsOf = ([a, b]: [string | undefined, string | undefined]): Fields => {
        const result = new Fields();
        if (a !== undefined) result.append("a", a);
        if (b !== undefined) result.append("b", b);
        return result;
      };
      const same = one[0] === other[0] && one[1] === other[1];
      assert.equal(varyKey(["a", "b"], fieldsOf(one)) === varyKey(["a", "b"], fieldsOf(other)), same);
    }),
    { numRuns: 2000 },
  );
});

test("parts never reach outside of an answer, nor add up to more than it", () => {
  const range = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 40 })), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(range, fc.integer({ min: 0, max: 30 }), (specs, lengthBytes) => {
      const answer = rangeFor(Fields.of(["range", `bytes=${specs.map(([a, b]) => `${a}-${b}`).join(",")}`]), new Fields(), lengthBytes);
      if (answer.kind !== "partial") return;
      let total = 0;
      for (const { first, last } of answer.parts) {
        assert.ok(first >= 0 && first <= last && last < lengthBytes);
        total += last - first + 1;
      }
      assert.ok(total <= lengthBytes);
    }),
    { numRuns: 1000 },
  );
});
