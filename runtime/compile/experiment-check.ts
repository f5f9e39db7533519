/** Experiments of a release: what comes out of the sandbox is looked at as a stranger's word, and what config and selectors say of it is told with its place. */
import { z } from "zod";
import { changesOf } from "../../sdk/experiment-changes.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { changedWithoutVersion, layerProblems, planOf } from "../experiments/assign/assign.ts";
import { findEditFaults } from "../experiments/edits/edits.ts";
import type { ExperimentData } from "../experiments/experiment-data.ts";
import { nearest } from "../nearest.ts";
import { type MatchProblem, validateMatchSpec } from "../proxy/match/validate.ts";
import { isHtmlEdit } from "../sandbox/html-words.ts";
import type { DefinitionPath } from "./definition-places.ts";
import { overlapsOf } from "./experiment-overlaps.ts";
import { canonicalJson } from "./identity.ts";
import type { Release, RuleModule } from "./release.ts";

/** What is wrong, and a word near which it stands in the source. */
export interface Fault {
  readonly text: string;
  readonly near: string;
  /** Of an experiment: where in its definition, which says it better. */
  readonly path?: DefinitionPath;
  /** So many characters into the text that stands there. */
  readonly offset?: number;
}

/** Goals that are named where `ctx.track` is called. What a context is called otherwise is found out when it runs. */
const TRACKS = /\bctx\.track\(\s*(["'`])([\w.-]{1,64})\1/g;

const name = z.string().regex(/^[\w.-]{1,64}$/);
const share = z.number().min(0).max(1);
const whole = z.number().int().min(0).max(1e9);
const specs = z.record(z.string(), z.unknown());
const texts = z.union([z.string(), z.array(z.string()).max(32)]);
const place = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("cookie"), name: z.string().min(1).max(256) }),
  z.strictObject({ kind: z.literal("header"), name: z.string().regex(/^[!#$%&'*+\-.^_`|~0-9a-z]{1,256}$/) }),
  z.strictObject({
    kind: z.literal("claim"),
    name: z.string().min(1).max(256),
    verify: z.strictObject({
      secret: z.string().optional(),
      jwksUrl: z.string().max(2048).optional(),
      issuer: texts.optional(),
      audience: texts.optional(),
      algorithms: z.array(z.string()).max(32).optional(),
      from: z.record(z.string(), z.string()).optional(),
    }),
  }),
]);
const variant = z.strictObject({ key: name, weight: z.number().gt(0).max(1), changes: specs.refine(areChanges) });
const goal = z.strictObject({
  name,
  kind: z.enum(["conversion", "value"]),
  better: z.enum(["higher", "lower"]),
  windowMs: z.number().min(0),
  prePeriodMs: z
    .int()
    .min(3_600_000)
    .max(90 * 86_400_000)
    .exactOptional(),
  traffic: z
    .strictObject({
      when: specs,
      status: z.array(z.union([z.number(), z.string()])).max(100),
      value: z.union([z.strictObject({ header: z.string() }), z.strictObject({ json: z.string() })]).nullable(),
    })
    .nullable(),
});
const experiment = z.strictObject({
  kind: z.literal("experiment"),
  key: name,
  when: z.array(specs).max(1000),
  devices: z.array(z.enum(["mobile", "tablet", "desktop"])).max(3),
  audience: z.boolean(),
  variants: z.array(variant).min(2).max(16),
  traffic: share,
  layer: z.strictObject({ name, range: z.strictObject({ from: share, to: share }).nullable() }).nullable(),
  holdout: z.strictObject({ name, share }).nullable(),
  unit: z.union([z.literal("visitor"), place, z.strictObject({ kind: z.literal("function") })]),
  fallbackUnit: z.union([z.literal("visitor"), place]).nullable(),
  sticky: z.boolean(),
  seed: z.string().min(1).max(1024),
  hashVersion: z.union([z.literal(1), z.literal(2)]),
  bucketVersion: whole,
  minBucketVersion: whole,
  consent: z.union([z.enum(["exempt", "stateless"]), z.strictObject({ cookie: specs })]),
  excludeBots: z.boolean(),
  goals: z.array(goal).min(1).max(16),
  guardrails: z.strictObject({
    errors: z.strictObject({ maxIncrease: share }).nullable(),
    latency: z.strictObject({ quantile: share, maxIncrease: z.number().min(0) }).nullable(),
  }),
  alpha: share,
});

/** null: `defineExperiment` did not make it. */
export function readExperiment(value: unknown): ExperimentData | null {
  const { data } = experiment.safeParse(value);
  return data === undefined ? null : (data as unknown as ExperimentData);
}

function areChanges(changes: Readonly<Record<string, unknown>>): boolean {
  const edits = changes["html"];
  if (Array.isArray(edits) && !edits.every(isHtmlEdit)) return false;
  try {
    changesOf(changes, "");
    return true;
  } catch (thrown) {
    if (thrown instanceof TypeError) return false;
    throw thrown;
  }
}

/** What config, selectors and patterns say of one experiment. Its `when` is looked at like a rule's. */
export function experimentFaults(config: ResolvedConfig, data: ExperimentData): Fault[] {
  const faults: Fault[] = [];
  const upstreams = Object.keys(config.upstreams);
  for (const { key, changes } of data.variants) {
    const { upstream, html = [] } = changes;
    if (upstream !== undefined && !upstreams.includes(upstream))
      faults.push({
        text: `apply.${key}.upstream: "${upstream}" is not in config; ${meant(upstream, upstreams)}`,
        near: upstream,
        path: ["apply", key, "upstream"],
      });
    for (const { edit, selector, at, message } of findEditFaults(html))
      faults.push({
        text: `apply.${key}.html[${edit}]: the selector ${JSON.stringify(selector)} at character ${at + 1}: ${message}`,
        near: selector,
        path: ["apply", key, "html", edit, 0],
        offset: at,
      });
  }
  for (const { name: goalName, traffic } of data.goals)
    if (traffic !== null)
      for (const problem of validateMatchSpec(traffic.when)) {
        const { text, near } = matchFault(`goals.${goalName}.when`, problem);
        faults.push({ text, near, path: ["goals", goalName, "when", problem.path.split(/[.[]/)[0]!] });
      }
  if (typeof data.consent === "object") faults.push(...validateMatchSpec({ cookie: data.consent.cookie }).map((problem) => matchFault("consent", problem)));
  for (const unit of [data.unit, data.fallbackUnit]) {
    const secret = unit !== null && typeof unit === "object" && unit.kind === "claim" ? unit.verify.secret : undefined;
    if (secret !== undefined && !Object.hasOwn(config.secrets, secret))
      faults.push({ text: `secret "${secret}" is not in config; ${meant(secret, Object.keys(config.secrets))}`, near: secret });
  }
  return faults;
}

/** Experiments that cannot stand beside each other, by the module that comes later; and rules that speak of experiments that there are none of. */
export function experimentClashes(modules: readonly RuleModule[]): ReadonlyMap<string, Fault[]> {
  const clashes = new Map<string, Fault[]>();
  const say = (module: string, ...faults: readonly Fault[]): void => {
    if (faults.length > 0) clashes.set(module, [...(clashes.get(module) ?? []), ...faults]);
  };
  const byKey = new Map<string, string>();
  for (const { manifest } of modules) {
    const key = manifest.experiment?.key;
    if (key === undefined) continue;
    const first = byKey.get(key);
    if (first === undefined) byKey.set(key, manifest.name);
    else say(manifest.name, { text: `experiment "${key}" is defined in ${first} already; each key stands for one experiment`, near: key, path: ["key"] });
  }
  const experiments = modules.flatMap(({ manifest }) => (manifest.experiment === undefined ? [] : [manifest.experiment]));
  for (const { experiment: key, problem } of layerProblems(experiments.map(planOf)))
    say(byKey.get(key)!, { text: `experiment "${key}": ${problem}`, near: "layer", path: ["layer"] });
  const tracked = [...new Set(experiments.flatMap(({ goals }) => goals.filter(({ traffic }) => traffic === null).map((each) => each.name)))];
  for (const { manifest, code } of modules) {
    const unknown = (manifest.asksExperiments ?? []).filter((key) => key !== "*" && !byKey.has(key));
    say(
      manifest.name,
      ...unknown.map((key) => ({ text: `ctx.experiment: "${key}" is no experiment of this release; ${meant(key, [...byKey.keys()])}`, near: key })),
    );
    const lost = [...new Set([...code.matchAll(TRACKS)].map((match) => match[2]!))].filter((goalName) => !tracked.includes(goalName));
    say(
      manifest.name,
      ...lost.map((goalName) => ({
        text: `ctx.track: no experiment of this release has a tracked goal "${goalName}"; ${meant(goalName, tracked)}`,
        near: goalName,
      })),
    );
  }
  return clashes;
}

/** Experiments that go on from the release that serves, and would not be the same ones. */
export function changedExperiments(serving: Release, modules: readonly RuleModule[]): ReadonlyMap<string, Fault[]> {
  const before = new Map(serving.rules.flatMap(({ manifest: { experiment: data } }) => (data === undefined ? [] : [[data.key, planOf(data)] as const])));
  return new Map(
    modules.flatMap(({ manifest }): [string, Fault[]][] => {
      const data = manifest.experiment;
      const was = data === undefined ? undefined : before.get(data.key);
      const text = data === undefined || was === undefined ? null : changedWithoutVersion(was, planOf(data));
      return text === null ? [] : [[manifest.name, [{ text, near: "variants", path: [placeOfChange(text)] }]]];
    }),
  );
}

/** The first thing that `changedWithoutVersion` names. */
function placeOfChange(text: string): string {
  return /: (variants|seed|hashVersion|unit) was /.exec(text)?.[1] ?? "key";
}

/** What may be meant, and does the numbers no good: two experiments on the same elements, and one that goes on under its old version as something else. */
export function experimentWarnings(serving: Release, modules: readonly RuleModule[]): ReadonlyMap<string, readonly Fault[]> {
  const overlaps = experimentOverlaps(modules);
  const before = new Map(serving.rules.flatMap(({ manifest: { experiment: data } }) => (data === undefined ? [] : [[data.key, data] as const])));
  return new Map(
    modules.map(({ manifest: { name: module, experiment: data } }) => {
      const was = data === undefined ? undefined : before.get(data.key);
      const mixed = data === undefined || was === undefined || was.bucketVersion !== data.bucketVersion ? [] : mixedCounts(was, data);
      return [module, [...(overlaps.get(module) ?? []), ...mixed]] as const;
    }),
  );
}

function mixedCounts(was: ExperimentData, is: ExperimentData): Fault[] {
  const said = (path: DefinitionPath, what: string): Fault => ({
    text: `experiment ${JSON.stringify(is.key)}: ${what} than in the release that serves, and its counts go on, so that the report mixes both. Raise bucketVersion above ${is.bucketVersion} to count anew`,
    near: is.key,
    path,
  });
  const changes = new Map(was.variants.map((variant) => [variant.key, canonicalJson(variant.changes)]));
  const goals = new Map(was.goals.map((goal) => [goal.name, countedBy(goal)]));
  return [
    ...is.variants
      .filter((variant) => changes.has(variant.key) && changes.get(variant.key) !== canonicalJson(variant.changes))
      .map((variant) => said(["apply", variant.key], `variant ${variant.key} changes something else`)),
    ...is.goals
      .filter((goal) => goals.has(goal.name) && goals.get(goal.name) !== countedBy(goal))
      .map((goal) => said(["goals", goal.name], `goal ${goal.name} is counted otherwise`)),
  ];
}

/** Which way is good is a matter of reading the counts; a past of whatever length comes from no variant, and favours none. */
function countedBy(goal: ExperimentData["goals"][number]): string {
  return canonicalJson({ ...goal, better: "", prePeriodMs: 0 });
}

/** Edits of the same elements, by the module that comes later. */
function experimentOverlaps(modules: readonly RuleModule[]): ReadonlyMap<string, Fault[]> {
  const seen: ExperimentData[] = [];
  const overlaps = new Map<string, Fault[]>();
  for (const { manifest } of modules) {
    const data = manifest.experiment;
    if (data === undefined) continue;
    const found = seen.flatMap((earlier) => overlapsOf(data, earlier));
    if (found.length > 0)
      overlaps.set(
        manifest.name,
        found.map(({ text, path }) => ({ text, near: data.key, path })),
      );
    seen.push(data);
  }
  return overlaps;
}

function meant(found: string, known: readonly string[]): string {
  const near = nearest(found, known);
  return near === "" ? (known.length === 0 ? "there are none" : `known: ${known.join(", ")}`) : `did you mean "${near}"?`;
}

export function matchFault(where: string, { path, value, expected, nearest: near }: MatchProblem): Fault {
  const text = `${where}${path === "" ? "" : `.${path}`}: found ${JSON.stringify(value)}, expected ${expected}${near === "" ? "" : `; did you mean "${near}"?`}`;
  return { text, near: typeof value === "string" ? value : where.split(".")[0]! };
}
