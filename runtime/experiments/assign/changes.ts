/** Is a changed experiment still the same one? Decided when a release is compiled, against the one that serves. */
import type { AssignPlan } from "./plan.ts";

/**
 * What changed in a way that moves units between variants while `bucketVersion` stayed: a sentence for the error; null: nothing.
 * More or less traffic is not among them, for ranges are trimmed at their ends.
 */
export function changedWithoutVersion(before: AssignPlan, after: AssignPlan): string | null {
  if (before.bucketVersion !== after.bucketVersion) return null;
  const what: string[] = [];
  const differs = (name: string, from: unknown, to: unknown) => {
    const [was, is] = [JSON.stringify(from), JSON.stringify(to)];
    if (was !== is) what.push(`${name} was ${was} and is ${is}`);
  };
  // In their order, which the ranges follow.
  const variants = (plan: AssignPlan) => plan.variants.map(({ key, weight }) => `${key} ${weight}`).join(", ");
  differs("variants", variants(before), variants(after));
  differs("seed", before.seed, after.seed);
  differs("hashVersion", before.hashVersion, after.hashVersion);
  differs("unit", before.unit, after.unit);
  if (what.length === 0) return null;
  return `experiment ${JSON.stringify(after.key)}: ${what.join("; ")}. That moves units between variants: raise bucketVersion above ${before.bucketVersion}`;
}
