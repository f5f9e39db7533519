import assert from "node:assert/strict";
import { test } from "node:test";
import type { StickyEntry } from "../../../runtime/experiments/assign/assign.ts";
import { Assigner, changedWithoutVersion } from "../../../runtime/experiments/assign/assign.ts";
import { facts, plan } from "./given.ts";

const UNITS = Array.from({ length: 20_000 }, (_, i) => `unit-${i}`);
const user = { kind: "header", name: "x-user" } as const;

test("through 5, 10, 50 and 100 % whoever is in stays in, with the variant it has; nothing is remembered for that", () => {
  const steps = [0.05, 0.1, 0.5, 1].map((traffic) => new Assigner([plan("ramp", { traffic, sticky: false })]));
  const counts = steps.map(() => 0);
  for (const visitor of UNITS) {
    let had: string | null = null;
    for (const [i, step] of steps.entries()) {
      const { counted, variant, stick } = step.assign("ramp", facts({ visitor }))!;
      assert.equal(stick, null);
      if (had !== null) assert.deepEqual([counted, variant], [true, had]);
      if (counted) {
        had = variant;
        counts[i]!++;
      }
    }
  }
  for (const [i, share] of [0.05, 0.1, 0.5, 1].entries()) assert.ok(Math.abs(counts[i]! / UNITS.length - share) < 0.01, `${counts[i]} at ${share}`);
});

test("a ramp down keeps those who are in, when they are sticky, and lets no one new in", () => {
  const wide = new Assigner([plan("ramp")]);
  const narrow = new Assigner([plan("ramp", { traffic: 0.1 })]);
  for (const visitor of UNITS.slice(0, 2000)) {
    const first = wide.assign("ramp", facts({ visitor }))!;
    const then = narrow.assign("ramp", facts({ visitor, sticky: [first.stick!] }))!;
    assert.deepEqual([then.variant, then.counted, then.reason], [first.variant, true, "sticky"]);
  }
  const fresh = UNITS.slice(0, 2000).filter((visitor) => narrow.assign("ramp", facts({ visitor }))!.counted);
  assert.ok(fresh.length > 140 && fresh.length < 260, `${fresh.length}`);
});

test("two assigners made from the same release agree on everyone: gateways and restarts share nothing else", () => {
  const plans = [plan("one", { traffic: 0.4 }), plan("two", { layer: { name: "l", range: null } }), plan("three", { layer: { name: "l", range: null } })];
  const here = new Assigner(plans);
  const there = new Assigner(structuredClone(plans).reverse());
  for (const visitor of UNITS.slice(0, 3000)) {
    for (const { key } of plans) assert.deepEqual(here.assign(key, facts({ visitor })), there.assign(key, facts({ visitor })));
  }
});

test("after a login the visitor's variant goes with the user, and is written down under the user", () => {
  const assigner = new Assigner([plan("login", { unit: user, fallbackUnit: { kind: "visitor" } })]);
  let wouldHaveMoved = 0;
  for (const visitor of UNITS.slice(0, 500)) {
    const before = assigner.assign("login", facts({ visitor }))!;
    assert.equal(before.unit, visitor);
    const name = `user of ${visitor}`;
    const after = assigner.assign("login", facts({ visitor, user: name, sticky: [before.stick!] }))!;
    assert.deepEqual([after.variant, after.reason, after.unit], [before.variant, "sticky", name]);
    // The same person, with one history, is one unit: then, and when the cookie says both.
    assert.equal(before.countAs, `visitor::${visitor}`);
    assert.equal(after.countAs, before.countAs);
    const known = assigner.assign("login", facts({ visitor, user: name, sticky: [before.stick!, after.stick!] }))!;
    assert.deepEqual([known.countAs, known.stick], [before.countAs, null]);
    if (assigner.assign("login", facts({ user: name }))!.variant !== before.variant) wouldHaveMoved++;
    // On a browser where only the user's entry is left.
    const later = assigner.assign("login", facts({ user: name, sticky: [after.stick!] }))!;
    assert.deepEqual([later.variant, later.stick, later.countAs], [before.variant, null, `header:x-user:${name}`]);
  }
  assert.ok(wouldHaveMoved > 200, "the hash alone would have moved about half");
});

test("a sticky entry of another unit, experiment or version is not followed", () => {
  const assigner = new Assigner([plan("x", { bucketVersion: 2 })]);
  const own = assigner.assign("x", facts({ visitor: "v" }))!;
  const other = own.variant === "bold" ? "control" : "bold";
  const entry: StickyEntry = { ...own.stick!, variant: other };
  const seen = (sticky: StickyEntry) => assigner.assign("x", facts({ visitor: "v", sticky: [sticky] }))!.variant;
  assert.equal(seen(entry), other);
  for (const change of [{ unitTag: "zz" }, { experiment: "y" }, { bucketVersion: 1 }, { variant: "gone" }])
    assert.equal(seen({ ...entry, ...change }), own.variant);
});

test("minBucketVersion keeps out who has seen the experiment as it was", () => {
  const before = new Assigner([plan("x", { bucketVersion: 1 })]).assign("x", facts({ visitor: "v" }))!;
  const assigner = new Assigner([plan("x", { bucketVersion: 2, minBucketVersion: 2 })]);
  const seen = assigner.assign("x", facts({ visitor: "v", sticky: [before.stick!] }))!;
  assert.deepEqual([seen.variant, seen.counted, seen.reason], ["control", false, "earlier-version"]);
  assert.equal(assigner.assign("x", facts({ visitor: "v" }))!.counted, true);
});

test("a change that moves units without a new bucketVersion is named; more traffic is none", () => {
  const before = plan("x");
  assert.equal(changedWithoutVersion(before, { ...before, traffic: 0.1 }), null);
  const variants = [
    { key: "control", weight: 0.4 },
    { key: "bold", weight: 0.6 },
  ];
  assert.match(
    changedWithoutVersion(before, { ...before, variants })!,
    /"x": variants was "control 0\.5, bold 0\.5" and is "control 0\.4, bold 0\.6".*raise bucketVersion above 0/,
  );
  assert.match(changedWithoutVersion(before, { ...before, variants: before.variants.toReversed() })!, /variants was/);
  assert.match(changedWithoutVersion(before, { ...before, seed: "y", unit: user })!, /seed was "x" and is "y"; unit was/);
  assert.equal(changedWithoutVersion(before, { ...before, variants, bucketVersion: 1 }), null);
});
