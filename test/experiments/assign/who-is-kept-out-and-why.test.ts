import assert from "node:assert/strict";
import { test } from "node:test";
import type { AssignPlan, LiveState } from "../../../runtime/experiments/assign/assign.ts";
import { Assigner } from "../../../runtime/experiments/assign/assign.ts";
import { facts, plan } from "./given.ts";

const UNITS = Array.from({ length: 20_000 }, (_, i) => `unit-${i}`);
const of = (change: Partial<AssignPlan>, live?: LiveState) => {
  const assigner = new Assigner([plan("x", change)]);
  if (live) assigner.setLive(new Map([["x", live]]));
  return (given: Parameters<typeof facts>[0]) => {
    const { variant, reason, counted } = assigner.assign("x", facts(given))!;
    return { variant, reason, counted };
  };
};
const inBold = UNITS.find((visitor) => of({})({ visitor }).variant === "bold")!;
const control = (reason: string) => ({ variant: "control", reason, counted: false });

test("bots, those who did not consent, those without a unit and strangers to the audience see control and are not counted", () => {
  assert.deepEqual(of({})({ visitor: inBold }), { variant: "bold", reason: "bucketed", counted: true });
  assert.deepEqual(of({})({ visitor: inBold, bot: true }), control("bot"));
  assert.deepEqual(of({ excludeBots: false })({ visitor: inBold, bot: true }).variant, "bold");
  assert.deepEqual(of({ consent: "required" })({ visitor: inBold }), control("consent"));
  assert.deepEqual(of({ consent: "required" })({ visitor: inBold, consent: true }).variant, "bold");
  assert.deepEqual(of({})({}), control("no-unit"));
  assert.deepEqual(of({})({ visitor: "" }), control("no-unit"));
  assert.deepEqual(of({})({ visitor: inBold, audience: false }), control("audience"));
  assert.deepEqual(of({})({ visitor: inBold, matches: false }), control("no-match"));
});

test("stateless leaves nothing behind", () => {
  const assigner = new Assigner([plan("x", { consent: "stateless" })]);
  assert.equal(assigner.assign("x", facts({ visitor: inBold }))!.stick, null);
});

test("the kill switch shows control to everyone at once, the sticky ones too, and running again brings all back", () => {
  const assigner = new Assigner([plan("x")]);
  const before = assigner.assign("x", facts({ visitor: inBold }))!;
  assigner.setLive(new Map([["x", { kind: "stopped" }]]));
  const stopped = assigner.assign("x", facts({ visitor: inBold, sticky: [before.stick!] }))!;
  assert.deepEqual([stopped.variant, stopped.reason, stopped.counted], ["control", "stopped", false]);
  assigner.setLive(new Map());
  assert.equal(assigner.assign("x", facts({ visitor: inBold }))!.variant, "bold");
});

test("a shipped variant is for everyone in the audience, and no longer counted", () => {
  const shipped = of({ traffic: 0.01, consent: "required" }, { kind: "shipped", variant: "bold" });
  for (const visitor of UNITS.slice(0, 100)) assert.deepEqual(shipped({ visitor }), { variant: "bold", reason: "shipped", counted: false });
  assert.equal(shipped({ visitor: inBold, audience: false }).variant, "control");
});

test("a forced variant is shown whatever else holds, and never counted; one that does not exist is nothing", () => {
  for (const live of [undefined, { kind: "stopped" } as const]) {
    assert.deepEqual(of({}, live)({ bot: true, audience: false, forced: { x: "bold" } }), { variant: "bold", reason: "forced", counted: false });
  }
  assert.deepEqual(of({})({ visitor: inBold, forced: { x: "blod" } }).reason, "bucketed");
  assert.deepEqual(of({})({ matches: false, forced: { x: "bold" } }), control("no-match"), "another page is not changed");
});

test("a holdout is the same units for every experiment that names it", () => {
  const holdout = { name: "2026-h1", share: 0.1 };
  const assigner = new Assigner([plan("a", { holdout }), plan("b", { holdout })]);
  let out = 0;
  for (const visitor of UNITS) {
    const [a, b] = ["a", "b"].map((key) => assigner.assign(key, facts({ visitor }))!.reason === "holdout");
    assert.equal(a, b);
    if (a) out++;
  }
  assert.ok(Math.abs(out / UNITS.length - 0.1) < 0.01, `${out}`);
});

test("an experiment that the release does not have is null, not control", () => {
  assert.equal(new Assigner([plan("x")]).assign("y", facts({ visitor: "v" })), null);
});
