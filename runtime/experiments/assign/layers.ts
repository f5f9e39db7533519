/** A layer gives each unit to one of its experiments at most. The unit's place depends on nothing but unit and layer, so all requests agree. */
import type { Salt } from "./hash.ts";
import { bucketIn, drawIn, saltOf } from "./hash.ts";
import type { AssignPlan } from "./plan.ts";
import type { Range } from "./ranges.ts";

export interface Layer {
  /** For the ranges. */
  readonly salt: Salt;
  readonly ranged: readonly { readonly key: string; readonly range: Range }[];
  /** Experiments without a range of their own, each with its salt. */
  readonly sharing: readonly { readonly key: string; readonly salt: Salt }[];
}

export function layersOf(plans: readonly AssignPlan[]): ReadonlyMap<string, Layer> {
  const layers = new Map<string, Layer>();
  for (const name of new Set(plans.flatMap(({ layer }) => (layer === null ? [] : [layer.name])))) {
    const members = plans.filter(({ layer }) => layer?.name === name).sort((a, b) => (a.key < b.key ? -1 : 1));
    layers.set(name, {
      salt: saltOf(`__${name}`, 1),
      ranged: members.flatMap(({ key, layer }) => (layer?.range ? [{ key, range: layer.range }] : [])),
      sharing: members.flatMap(({ key, layer }) => (layer?.range ? [] : [{ key, salt: saltOf(`layer:${name}:${key}:`, 2) }])),
    });
  }
  return layers;
}

/** What keeps a layer from holding its promise, for the error when a release is compiled: whose, and a sentence. */
export function layerProblems(plans: readonly AssignPlan[]): readonly { readonly experiment: string; readonly problem: string }[] {
  const problems: { experiment: string; problem: string }[] = [];
  for (const [index, plan] of plans.entries()) {
    for (const earlier of plans.slice(0, index)) {
      if (plan.layer === null || plan.layer.name !== earlier.layer?.name) continue;
      const where = `layer ${JSON.stringify(plan.layer.name)} is shared with experiment ${JSON.stringify(earlier.key)}`;
      // One person would be two units, and could be in both.
      if (JSON.stringify([plan.unit, plan.fallbackUnit]) !== JSON.stringify([earlier.unit, earlier.fallbackUnit])) {
        problems.push({ experiment: plan.key, problem: `${where}, which has another unit; all experiments of a layer need the same` });
      }
      const [own, other] = [plan.layer.range, earlier.layer.range];
      if (own !== null && other !== null && own.from < other.to && other.from < own.to) {
        problems.push({ experiment: plan.key, problem: `${where}, and both take ${Math.max(own.from, other.from)} to ${Math.min(own.to, other.to)} of it` });
      }
    }
  }
  return problems;
}

/**
 * The experiment that owns the unit; null: none. Ranges work as GrowthBook's namespaces (`"__" + name`, hash version 1). Experiments that
 * merely name the layer share the rest by rendezvous hashing (Thaler and Ravishankar 1998): one that is added takes an equal part from each,
 * one that ends gives it back, and no unit moves between two that stay.
 */
export function ownerOf(layer: Layer, unit: string): string | null {
  if (layer.ranged.length > 0) {
    const place = bucketIn(layer.salt, unit);
    for (const { key, range } of layer.ranged) if (place >= range.from && place < range.to) return key;
  }
  if (layer.sharing.length === 1) return layer.sharing[0]!.key;
  let owner: string | null = null;
  let highest = -1;
  for (const { key, salt } of layer.sharing) {
    const weight = drawIn(salt, unit);
    if (weight > highest) {
      highest = weight;
      owner = key;
    }
  }
  return owner;
}
