/**
 * What an experiment adds to a request that meets it and is not changed by it: at most 2 µs (Assigner.assign), and once per new visitor or
 * cookie the seals (readVisitor, visitorCookie).
 * Run: node --conditions=sluice-source bench/micro/assign.ts
 */
import { bench, do_not_optimize, group, run } from "mitata";
import type { AssignFacts, AssignPlan, SealKeys } from "../../runtime/experiments/assign/assign.ts";
import { Assigner, readVisitor, visitorCookie, visitorIdOf, VisitorReader } from "../../runtime/experiments/assign/assign.ts";

const plan = (key: string, layer: string | null): AssignPlan => ({
  key,
  variants: [
    { key: "control", weight: 0.5 },
    { key: "bold", weight: 0.5 },
  ],
  traffic: 1,
  seed: key,
  hashVersion: 2,
  bucketVersion: 0,
  minBucketVersion: 0,
  unit: { kind: "visitor" },
  fallbackUnit: null,
  sticky: true,
  layer: layer === null ? null : { name: layer, range: null },
  holdout: null,
  consent: "exempt",
  excludeBots: true,
});
const assigner = new Assigner([plan("hero-copy", "homepage"), plan("hero-image", "homepage"), plan("checkout-steps", null)]);
const visitors: AssignFacts[] = Array.from({ length: 1024 }, (_, i) => {
  const id = visitorIdOf(Uint8Array.from({ length: 16 }, (_, k) => (i * 31 + k * 17) & 255));
  return { unit: () => id, matches: () => true, inAudience: () => true, isBot: () => false, hasConsent: () => true, forced: () => null, sticky: () => [] };
});
let next = 0;
const visitor = (): AssignFacts => visitors[next++ & 1023]!;

const keys: SealKeys = [new Uint8Array(32).fill(7)];
const id = visitorIdOf(new Uint8Array(16).fill(9));
const value = visitorCookie(id, keys, true).split(";")[0]!.split("=")[1]!;
const reader = new VisitorReader(keys);
if (readVisitor(value, keys) !== id) throw new Error("expected the visitor back");

group("each request", () => {
  bench("assign", () => do_not_optimize(assigner.assign("checkout-steps", visitor())));
  bench("assign, one of two in a layer", () => do_not_optimize(assigner.assign("hero-copy", visitor())));
  bench("VisitorReader.read: a browser that has been here", () => do_not_optimize(reader.read(value)));
  bench("readVisitor", () => do_not_optimize(readVisitor(value, keys)));
});
group("each new visitor", () => {
  bench("visitorCookie", () => do_not_optimize(visitorCookie(id, keys, true)));
});
await run();
