/** What a release holds, in words: "2 rules and 1 experiment". */
import type { RuleModule } from "../compile/release.ts";

export function holding(modules: readonly RuleModule[]): string {
  const experiments = modules.filter(({ manifest }) => manifest.experiment !== undefined).length;
  const rules = counted(modules.length - experiments, "rule");
  return experiments === 0 ? rules : `${rules} and ${counted(experiments, "experiment")}`;
}

export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
