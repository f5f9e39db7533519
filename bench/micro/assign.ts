/**
 * What an experiment adds to a request that meets it and is not changed by it: at most 2 µs (Assigner.assign), and once per new visitor or
 * cookie the seals (readVisitor, visitorCookie).
 * Run: node --conditions=sluice-source bench/micro/assign.ts
 */
import { bench, do_not_optimize, group, run } from "mitata";
import type { AssignFacts, SealKeys } from "../../runtime/experiments/assign/assign.ts";
import { Assigner, readVisitor, visitorCookie, visitorIdOf, VisitorReader } from "../../runtime/experiments/assign/assign.ts";
import { plan } from "../../test/experiments/assign/given.ts";

const inLayer = { layer: { name: "homepage", range: null } };
const assigner = new Assigner([plan("hero-copy", inLayer), plan("hero-image", inLayer), plan("checkout-steps")]);
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
