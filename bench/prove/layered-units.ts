/** A hundred thousand units and two experiments: in one layer nobody is in both, in two layers one says nothing of the other. */
import { Assigner, planOf } from "../../runtime/experiments/assign/assign.ts";
import { chiSquareTail } from "../../runtime/experiments/statistics/statistics.ts";
import { defineExperiment, type ExperimentInit } from "../../sdk/experiment.ts";
import { type Claim, judged } from "./claim.ts";
import { takesPart } from "./experiment-visitors.ts";

const UNITS = 100_000;
const LEAST_P = 0.001;

function definition(key: string, layer: string): ExperimentInit {
  return { key, layer, variants: { control: 50, bold: 50 }, goals: { never: { when: { path: "/never" } } } };
}

/** Of each unit the variant in both experiments; "": it is not in it. */
function pairs(layers: readonly [string, string]): ReadonlyMap<string, number> {
  const keys = ["hero-copy", "hero-image"] as const;
  const assigner = new Assigner(keys.map((key, i) => planOf(defineExperiment(definition(key, layers[i]!)))));
  const counts = new Map<string, number>();
  for (let n = 0; n < UNITS; n++) {
    const facts = takesPart(`unit-${n}`);
    const [a = "", b = ""] = keys.map((key) => {
      const { counted, variant } = assigner.assign(key, facts)!;
      return counted ? variant : "";
    });
    counts.set(`${a}+${b}`, (counts.get(`${a}+${b}`) ?? 0) + 1);
  }
  return counts;
}

/** Pearson's test of a table with two rows and two columns. */
function independence([[a, b], [c, d]]: readonly [readonly [number, number], readonly [number, number]]): number {
  const all = a + b + c + d;
  return chiSquareTail((all * (a * d - b * c) ** 2) / ((a + b) * (c + d) * (a + c) * (b + d)), 1);
}

export const layeredUnits: Claim = {
  name: "layered-units",
  asked: "100,000 units, two experiments in a layer: no unit in both; in different layers: independent (χ² p > 0.001)",
  when: "always",
  async measure() {
    const one = pairs(["homepage", "homepage"]);
    const both = [...one].filter(([pair]) => !pair.startsWith("+") && !pair.endsWith("+")).reduce((sum, [, count]) => sum + count, 0);
    const two = pairs(["homepage", "checkout"]);
    const at = (pair: string): number => two.get(pair) ?? 0;
    const table = [
      [at("control+control"), at("control+bold")],
      [at("bold+control"), at("bold+bold")],
    ] as const;
    const p = independence(table);
    return judged(
      `one layer: ${both} of ${UNITS} units in both (${[...one].map(([pair, count]) => `${pair} ${count}`).join(", ")}); two layers: ${table.map((row) => row.join(" : ")).join(" / ")}, p ${p.toFixed(3)}`,
      [both > 0 && "units in both", p <= LEAST_P && "they depend on each other"],
    );
  },
};
