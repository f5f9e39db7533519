/** What another release would change about experiments, by key, in the operator's words. Pure. */
import type { ExperimentData } from "../experiments/experiment-data.ts";
import { canonicalJson } from "./identity.ts";
import type { Change } from "./difference.ts";
import type { Release, RuleModule } from "./release.ts";

interface Running {
  readonly data: ExperimentData;
  readonly module: RuleModule;
}

/** Told in words of their own, or nobody's to change. */
const TOLD: ReadonlySet<keyof ExperimentData> = new Set(["kind", "key", "variants", "traffic", "goals", "bucketVersion", "guardrails"]);

export function experimentsChanged(before: Release, after: Release): Change[] {
  const [old, now] = [experimentsOf(before), experimentsOf(after)];
  const changes: Change[] = [];
  for (const [key, is] of now) {
    const was = old.get(key);
    const say = (how: Change["how"], text: string): void => void changes.push({ about: "experiment", how, subject: key, text });
    if (was === undefined) say("added", begun(is.data));
    else for (const text of changed(was, is)) say("changed", text);
  }
  for (const key of old.keys())
    if (!now.has(key)) changes.push({ about: "experiment", how: "removed", subject: key, text: "ends: everybody gets what there was before" });
  return changes;
}

function experimentsOf({ rules }: Release): Map<string, Running> {
  return new Map(
    rules.flatMap((module) =>
      module.manifest.experiment === undefined ? [] : [[module.manifest.experiment.key, { data: module.manifest.experiment, module }] as const],
    ),
  );
}

function begun(data: ExperimentData): string {
  const where = data.when.length === 0 ? "every request" : JSON.stringify(data.when.length === 1 ? data.when[0] : data.when);
  const goals = data.goals.length === 0 ? "without a goal" : `goals ${data.goals.map(({ name }) => name).join(", ")}`;
  const past = prePeriodOf(data) === "none" ? "" : `; prePeriod ${prePeriodOf(data)}`;
  return `begins on ${where}: ${weightsOf(data)}; traffic ${percent(data.traffic)}; ${goals}${past}`;
}

function changed(was: Running, is: Running): string[] {
  const [a, b] = [was.data, is.data];
  const same = (one: unknown, other: unknown): boolean => canonicalJson(one) === canonicalJson(other);
  const told = [
    ...(weightsOf(a) === weightsOf(b) ? [] : [`weights ${weightsOf(b)} instead of ${weightsOf(a)}`]),
    ...variantsChanged(a, b),
    ...(a.traffic === b.traffic ? [] : [`traffic ${percent(b.traffic)} instead of ${percent(a.traffic)}`]),
    ...(a.bucketVersion === b.bucketVersion
      ? []
      : [`bucketVersion ${b.bucketVersion} instead of ${a.bucketVersion}: counts begin anew, and cookies of the versions before are not followed`]),
    ...goalsChanged(a, b),
    ...(prePeriodOf(a) === prePeriodOf(b) ? [] : [`prePeriod ${prePeriodOf(b)} instead of ${prePeriodOf(a)}`]),
    ...(["errors", "latency"] as const)
      .filter((name) => !same(a.guardrails[name], b.guardrails[name]))
      .map((name) => `guardrail ${name} ${guardrail(b, name)} instead of ${guardrail(a, name)}`),
    ...(Object.keys(b) as (keyof ExperimentData)[])
      .filter((name) => !TOLD.has(name) && !same(a[name], b[name]))
      .map((name) => `${name} ${JSON.stringify(b[name])} instead of ${JSON.stringify(a[name])}`),
  ];
  if (was.module.manifest.name !== is.module.manifest.name) told.push(`stands in ${is.module.manifest.name} instead of ${was.module.manifest.name}`);
  return told.length === 0 && was.module.code !== is.module.code ? ["its code changes"] : told;
}

/** Beside their weights. */
function variantsChanged(a: ExperimentData, b: ExperimentData): string[] {
  const before = new Map(a.variants.map(({ key, changes }) => [key, canonicalJson(changes)]));
  return b.variants.flatMap(({ key, changes }) => {
    const was = before.get(key);
    return was === undefined || was === canonicalJson(changes) ? [] : [`variant ${key} changes something else`];
  });
}

function goalsChanged(a: ExperimentData, b: ExperimentData): string[] {
  const [old, now] = [a.goals, b.goals].map((goals) => new Map(goals.map((goal) => [goal.name, canonicalJson({ ...goal, prePeriodMs: 0 })]))) as [
    Map<string, string>,
    Map<string, string>,
  ];
  const [primary, last] = [b.goals[0]?.name, a.goals[0]?.name];
  return [
    ...[...now.keys()].filter((name) => !old.has(name)).map((name) => `goal ${name}: new`),
    ...[...old.keys()].filter((name) => !now.has(name)).map((name) => `goal ${name}: no longer counted`),
    ...[...now].filter(([name, json]) => old.has(name) && old.get(name) !== json).map(([name]) => `goal ${name} is counted otherwise`),
    ...(primary !== last && primary !== undefined ? [`the primary goal is ${primary} instead of ${last ?? "none"}`] : []),
  ];
}

/** Of all goals with a value alike. */
function prePeriodOf({ goals }: ExperimentData): string {
  const ms = Math.max(0, ...goals.map(({ prePeriodMs }) => prePeriodMs ?? 0));
  if (ms === 0) return "none";
  const hours = ms / 3_600_000;
  return hours % 24 === 0 ? `${hours / 24}d` : `${Number(hours.toFixed(2))}h`;
}

function guardrail({ guardrails }: ExperimentData, name: "errors" | "latency"): string {
  const rail = guardrails[name];
  if (rail === null) return "none";
  const quantile = "quantile" in rail ? `p${rail.quantile * 100} ` : "";
  return `${quantile}+${percent(rail.maxIncrease)}`;
}

function weightsOf({ variants }: ExperimentData): string {
  return variants.map(({ key, weight }) => `${key} ${percent(weight)}`).join(", ");
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(4))}%`;
}
