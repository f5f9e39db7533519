import assert from "node:assert/strict";
import { test } from "node:test";
import { Assigner, layerProblems } from "../../../runtime/experiments/assign/assign.ts";
import { chiSquareTail } from "../../../runtime/experiments/statistics/statistics.ts";
import { facts, plan } from "./given.ts";

const UNITS = Array.from({ length: 100_000 }, (_, i) => `visitor/${i * 7919}`);
const layer = (name: string) => ({ name, range: null });

test("100,000 units, two experiments in one layer: none is in both, each has half", () => {
  const assigner = new Assigner([plan("a", { layer: layer("home") }), plan("b", { layer: layer("home") })]);
  const counts = { a: 0, b: 0 };
  for (const visitor of UNITS) {
    const [a, b] = ["a", "b"].map((key) => assigner.assign(key, facts({ visitor }))!.counted);
    assert.equal(a === b, false, visitor);
    if (a) counts.a++;
    else counts.b++;
  }
  const expected = UNITS.length / 2;
  assert.ok(chiSquareTail(((counts.a - expected) ** 2 + (counts.b - expected) ** 2) / expected, 1) > 0.001, JSON.stringify(counts));
});

test("100,000 units, two experiments in different layers, or in none: the variants are independent", () => {
  for (const [one, two] of [
    [layer("home"), layer("checkout")],
    [null, null],
  ]) {
    const assigner = new Assigner([plan("hero-copy", { layer: one! }), plan("checkout-steps", { layer: two! })]);
    const table = [0, 0, 0, 0];
    for (const visitor of UNITS)
      table[assigner.assign("hero-copy", facts({ visitor }))!.index * 2 + assigner.assign("checkout-steps", facts({ visitor }))!.index]!++;
    const [n, rows, columns] = [UNITS.length, [table[0]! + table[1]!, table[2]! + table[3]!], [table[0]! + table[2]!, table[1]! + table[3]!]];
    const statistic = table.reduce((sum, seen, i) => {
      const expected = (rows[i >> 1]! * columns[i & 1]!) / n;
      return sum + (seen - expected) ** 2 / expected;
    }, 0);
    assert.ok(chiSquareTail(statistic, 1) > 0.001, table.join());
  }
});

test("within its experiment a layer's units split as the weights say", () => {
  const keys = ["a", "b", "c"];
  const assigner = new Assigner(keys.map((key) => plan(key, { layer: layer("home") })));
  for (const key of keys) {
    const counts = [0, 0];
    for (const visitor of UNITS) {
      const { counted, index } = assigner.assign(key, facts({ visitor }))!;
      if (counted) counts[index]!++;
    }
    const half = (counts[0]! + counts[1]!) / 2;
    assert.ok(Math.abs(half * 2 - UNITS.length / 3) < 800, `${key} has ${half * 2}`);
    assert.ok(chiSquareTail((2 * (counts[0]! - half) ** 2) / half, 1) > 0.001, `${key}: ${counts.join()}`);
  }
});

test("an experiment that joins takes units from the others and moves none between them; one that is sticky keeps its own", () => {
  const [a, b, c] = ["a", "b", "c"].map((key) => plan(key, { layer: layer("home") }));
  const before = new Assigner([a!, b!]);
  const after = new Assigner([a!, b!, c!]);
  for (const visitor of UNITS.slice(0, 5000)) {
    const owner = ["a", "b"].find((key) => before.assign(key, facts({ visitor }))!.counted)!;
    const other = owner === "a" ? "b" : "a";
    assert.equal(after.assign(other, facts({ visitor }))!.counted, false);
    const sticky = [before.assign(owner, facts({ visitor }))!.stick!];
    assert.deepEqual(
      ["a", "b", "c"].filter((key) => after.assign(key, facts({ visitor, sticky }))!.counted),
      [owner],
    );
  }
});

test("ranges of a layer are GrowthBook's namespaces; who names the layer only takes the rest", () => {
  const assigner = new Assigner([
    plan("first", { layer: { name: "home", range: { from: 0, to: 0.3 } } }),
    plan("second", { layer: { name: "home", range: { from: 0.3, to: 0.6 } } }),
    plan("rest", { layer: layer("home") }),
  ]);
  const counts = new Map<string, number>();
  for (const visitor of UNITS.slice(0, 20_000)) {
    const owners = ["first", "second", "rest"].filter((key) => assigner.assign(key, facts({ visitor }))!.counted);
    assert.equal(owners.length, 1);
    counts.set(owners[0]!, (counts.get(owners[0]!) ?? 0) + 1);
  }
  for (const [key, share] of [
    ["first", 0.3],
    ["second", 0.3],
    ["rest", 0.4],
  ] as const) {
    assert.ok(Math.abs(counts.get(key)! / 20_000 - share) < 0.015, `${key} ${counts.get(key)}`);
  }
});

test("experiments of a layer with different units, or with ranges that overlap, are named", () => {
  const ranged = (key: string, from: number, to: number) => plan(key, { layer: { name: "home", range: { from, to } } });
  assert.deepEqual(
    layerProblems([ranged("a", 0, 0.5), ranged("b", 0.5, 1), plan("c", { layer: layer("home") }), plan("d", { layer: layer("else") }), plan("e")]),
    [],
  );
  assert.deepEqual(layerProblems([ranged("a", 0, 0.5), ranged("b", 0.4, 1)]), [
    { experiment: "b", problem: 'layer "home" is shared with experiment "a", and both take 0.4 to 0.5 of it' },
  ]);
  const [problem] = layerProblems([plan("a", { layer: layer("home") }), plan("b", { layer: layer("home"), unit: { kind: "header", name: "x-user" } })]);
  assert.match(problem!.problem, /shared with experiment "a", which has another unit/);
});
