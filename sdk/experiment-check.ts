/** What `defineExperiment` was given, checked at run time: each sentence names the place in the definition and what was expected there. */
import { changesOf } from "./experiment-changes.ts";
import type { CheckedGoal, Experiment, ExperimentInit, StatusPattern, Unit, UnitPlace } from "./experiment.ts";
import { CONDITIONS, describe, expectKnown, isRecord, specOf, whenOf } from "./spec-check.ts";

const WHO = "defineExperiment";
const OPTIONS = [
  "key",
  "when",
  "device",
  "audience",
  "variants",
  "traffic",
  "layer",
  "holdout",
  "unit",
  "fallbackUnit",
  "sticky",
  "seed",
  "hashVersion",
  "bucketVersion",
  "minBucketVersion",
  "consent",
  "bots",
  "apply",
  "goals",
  "primary",
  "guardrails",
  "prePeriod",
  "confidence",
] as const satisfies readonly (keyof ExperimentInit)[];
const DEVICES = ["mobile", "tablet", "desktop"] as const;
/** Names stand in cookies, URLs, files and tables. A number as a name would move to the front of its object, and so become control. */
const NAME = /^(?!\d+$)[A-Za-z0-9_.-]{1,64}$/;
const MAX_VARIANTS = 16;
const MAX_GOALS = 16;
/** 33.33 three times is meant to be 100. */
const WEIGHTS_WITHIN = 0.05;
const DEFAULT_WINDOW_MS = 14 * 86_400_000;
/** Shorter than that, workers may still differ in what they have told the store; longer, units without an exposure are no longer kept. */
const PRE_PERIOD_MS = { least: 3_600_000, most: 90 * 86_400_000 };
const LATENCIES: Readonly<Record<string, number>> = { latencyP50: 0.5, latencyP90: 0.9, latencyP95: 0.95, latencyP99: 0.99 };

type Given = Readonly<Record<string, unknown>>;

export function checkExperiment(given: unknown): Experiment {
  if (!isRecord(given)) throw new TypeError(`${WHO}: an object is expected, found ${describe(given)}`);
  for (const name of Object.keys(given)) expectKnown(name, OPTIONS, WHO);
  const key = nameOf(given["key"], "key");
  const variants = variantsOf(given["variants"], given["apply"]);
  const unit = given["unit"] === undefined ? "visitor" : unitOf(given["unit"], "unit");
  return Object.freeze({
    kind: "experiment",
    key,
    when: whenOf(given["when"], `${WHO}: when`),
    devices: devicesOf(given["device"]),
    audience: given["audience"] === undefined ? null : functionOf<NonNullable<Experiment["audience"]>>(given["audience"], "audience"),
    variants,
    traffic: shareOf(given["traffic"], "traffic", 1),
    layer: layerOf(given["layer"]),
    holdout: holdoutOf(given["holdout"]),
    unit,
    fallbackUnit: given["fallbackUnit"] === undefined ? null : fallbackOf(given["fallbackUnit"], unit),
    sticky: flagOf(given["sticky"], "sticky", true),
    seed: given["seed"] === undefined ? key : textOf(given["seed"], "seed"),
    hashVersion: given["hashVersion"] === undefined ? 2 : oneOf(given["hashVersion"], [1, 2], "hashVersion"),
    ...versionsOf(given),
    consent: consentOf(given["consent"]),
    excludeBots: given["bots"] === undefined || oneOf(given["bots"], ["control", "include"], "bots") === "control",
    goals: withPrePeriod(goalsOf(given["goals"], given["primary"]), given["prePeriod"]),
    guardrails: guardrailsOf(given["guardrails"]),
    alpha: alphaOf(given["confidence"]),
  });
}

function variantsOf(given: unknown, apply: unknown): Experiment["variants"] {
  const weights = recordOf(given, "variants");
  const names = Object.keys(weights);
  if (names.length < 2 || names.length > MAX_VARIANTS) throw wrong("variants", `control and 1 to ${MAX_VARIANTS - 1} others`, `${names.length} in all`);
  let sum = 0;
  for (const name of names) {
    nameOf(name, `variants: the name ${JSON.stringify(name)}`);
    const weight = weights[name];
    if (typeof weight !== "number" || !(weight > 0)) throw wrong(`variants.${name}`, "a weight above 0", describe(weight));
    sum += weight;
  }
  if (Math.abs(sum - 100) > WEIGHTS_WITHIN)
    throw wrong("variants", "weights that add up to 100", `${names.map((name) => String(weights[name])).join(" + ")} = ${sum}`);
  const changes = apply === undefined ? {} : recordOf(apply, "apply");
  for (const name of Object.keys(changes)) expectKnown(name, names, `${WHO}: apply`);
  return Object.freeze(
    names.map((key) => Object.freeze({ key, weight: (weights[key] as number) / sum, changes: changesOf(changes[key], `${WHO}: apply.${key}`) })),
  );
}

function unitOf(given: unknown, where: string): Unit {
  if (typeof given === "function") return given as Unit;
  return given === "visitor" ? given : placeOf(given, where);
}

function fallbackOf(given: unknown, unit: Unit): "visitor" | UnitPlace {
  const fallback = given === "visitor" ? given : placeOf(given, "fallbackUnit");
  if (JSON.stringify(fallback) === JSON.stringify(unit)) throw new TypeError(`${WHO}: fallbackUnit: another unit than unit is expected, found the same`);
  return fallback;
}

function placeOf(given: unknown, where: string): UnitPlace {
  const expected = `"visitor", cookie(…), header(…), claim(…)${where === "unit" ? " or a function" : ""}`;
  if (!isRecord(given)) throw wrong(where, expected, describe(given));
  const { kind, name } = given;
  if ((kind !== "cookie" && kind !== "header" && kind !== "claim") || typeof name !== "string" || name === "") throw wrong(where, expected, describe(given));
  if (kind === "header" && !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) throw wrong(where, "the name of a header", describe(name));
  if (kind === "header") return Object.freeze({ kind, name: name.toLowerCase() });
  if (kind === "cookie") return Object.freeze({ kind, name });
  const verify = recordOf(given["verify"], `${where}: how to verify the claim`);
  if ((typeof verify["secret"] === "string") === (typeof verify["jwksUrl"] === "string"))
    throw wrong(where, "a claim with secret or jwksUrl, one of both", "none, or both");
  return Object.freeze({ kind, name, verify });
}

function layerOf(given: unknown): Experiment["layer"] {
  if (given === undefined) return null;
  if (typeof given === "string") return Object.freeze({ name: nameOf(given, "layer"), range: null });
  const layer = knownOf(given, ["name", "from", "to"], "layer");
  const [from, to] = [shareOf(layer["from"], "layer.from"), shareOf(layer["to"], "layer.to")];
  if (from >= to) throw wrong("layer", "from below to", `${from * 100}% to ${to * 100}%`);
  return Object.freeze({ name: nameOf(layer["name"], "layer.name"), range: Object.freeze({ from, to }) });
}

function holdoutOf(given: unknown): Experiment["holdout"] {
  if (given === undefined) return null;
  const holdout = knownOf(given, ["name", "share"], "holdout");
  return Object.freeze({ name: nameOf(holdout["name"], "holdout.name"), share: shareOf(holdout["share"], "holdout.share") });
}

function consentOf(given: unknown): Experiment["consent"] {
  if (given === undefined) return "exempt";
  if (given === "exempt" || given === "stateless") return given;
  if (!isRecord(given)) throw wrong("consent", '"exempt", "stateless" or { cookie: … }', describe(given));
  const { cookie } = specOf(knownOf(given, ["cookie"], "consent"), `${WHO}: consent`);
  if (cookie === undefined || Object.keys(cookie).length === 0) throw wrong("consent.cookie", "the cookie that says yes", "none");
  return Object.freeze({ cookie });
}

function versionsOf(given: Given): { readonly bucketVersion: number; readonly minBucketVersion: number } {
  const bucketVersion = wholeOf(given["bucketVersion"], "bucketVersion");
  const minBucketVersion = wholeOf(given["minBucketVersion"], "minBucketVersion");
  if (minBucketVersion > bucketVersion) throw wrong("minBucketVersion", `bucketVersion (${bucketVersion}) at most`, String(minBucketVersion));
  return { bucketVersion, minBucketVersion };
}

function goalsOf(given: unknown, primary: unknown): readonly CheckedGoal[] {
  const goals = recordOf(given, "goals");
  const names = Object.keys(goals);
  if (names.length === 0 || names.length > MAX_GOALS) throw wrong("goals", `1 to ${MAX_GOALS} goals`, String(names.length));
  const first = primary === undefined ? names[0]! : textOf(primary, "primary");
  expectKnown(first, names, `${WHO}: primary`);
  const ordered = [first, ...names.filter((name) => name !== first)];
  return Object.freeze(ordered.map((name) => goalOf(nameOf(name, `goals: the name ${JSON.stringify(name)}`), goals[name])));
}

function withPrePeriod(goals: readonly CheckedGoal[], given: unknown): readonly CheckedGoal[] {
  if (given === undefined) return goals;
  const prePeriodMs = Math.round(durationMs(given, "prePeriod"));
  const { least, most } = PRE_PERIOD_MS;
  if (!(prePeriodMs >= least && prePeriodMs <= most)) throw wrong("prePeriod", '"1h" to "90d"', describe(given));
  if (!goals.some(({ kind }) => kind === "value")) throw wrong("prePeriod", "a goal with a value, which is what it is for,", "none");
  return Object.freeze(goals.map((goal) => (goal.kind === "value" ? Object.freeze({ ...goal, prePeriodMs }) : goal)));
}

function goalOf(name: string, given: unknown): CheckedGoal {
  const where = `goals.${name}`;
  const goal = knownOf(given, ["when", "value", "tracked", "window", "better"], where);
  if ((goal["when"] === undefined) === (goal["tracked"] === undefined))
    throw wrong(where, "when or tracked, one of both", goal["when"] === undefined ? "none" : "both");
  const better = goal["better"] === undefined ? "higher" : oneOf(goal["better"], ["higher", "lower"], `${where}.better`);
  const windowMs = goal["window"] === undefined ? DEFAULT_WINDOW_MS : durationMs(goal["window"], `${where}.window`);
  if (goal["tracked"] !== undefined) {
    if (goal["value"] !== undefined)
      throw wrong(`${where}.value`, 'nothing beside tracked; tracked: "value" takes the number from ctx.track', describe(goal["value"]));
    return Object.freeze({ name, kind: oneOf(goal["tracked"], ["conversion", "value"], `${where}.tracked`), better, windowMs, traffic: null });
  }
  const value = goal["value"] === undefined ? null : valueOf(goal["value"], `${where}.value`);
  const { status, ...conditions } = knownOf(goal["when"], [...CONDITIONS, "status"], `${where}.when`);
  const when = specOf(conditions, `${WHO}: ${where}.when`);
  return Object.freeze({
    name,
    kind: value === null ? "conversion" : "value",
    better,
    windowMs,
    traffic: Object.freeze({ when, status: statusOf(status, `${where}.when.status`), value }),
  });
}

function valueOf(given: unknown, where: string): { readonly header: string } | { readonly json: string } {
  const { header, json } = knownOf(given, ["header", "json"], where);
  if (typeof header === "string" && header !== "" && json === undefined) return Object.freeze({ header: header.toLowerCase() });
  // RFC 6901 section 3: "" is the whole document, ~ only as ~0 and ~1.
  if (typeof json === "string" && header === undefined && /^(\/([^~/]|~[01])*)*$/.test(json)) return Object.freeze({ json });
  throw wrong(where, 'a header, or a JSON pointer such as "/order/total"', describe(json ?? header));
}

function statusOf(given: unknown, where: string): readonly StatusPattern[] {
  const patterns = given === undefined ? ["2xx"] : Array.isArray(given) ? (given as unknown[]) : [given];
  for (const pattern of patterns) {
    const known = typeof pattern === "number" ? Number.isInteger(pattern) && pattern >= 100 && pattern <= 599 : /^[1-5]xx$/.test(String(pattern));
    if (!known) throw wrong(where, 'a status or a class of them, such as 201 or "2xx"', describe(pattern));
  }
  if (patterns.length === 0) throw wrong(where, "at least one status", "an empty list");
  return Object.freeze([...(patterns as StatusPattern[])]);
}

function guardrailsOf(given: unknown): Experiment["guardrails"] {
  if (given === undefined) return Object.freeze({ errors: null, latency: null });
  const guardrails = knownOf(given, ["errors", ...Object.keys(LATENCIES)], "guardrails");
  const limitOf = (name: string, most: number) =>
    shareOf(knownOf(guardrails[name], ["maxIncrease"], `guardrails.${name}`)["maxIncrease"], `guardrails.${name}.maxIncrease`, undefined, most);
  const latencies = Object.keys(LATENCIES).filter((name) => guardrails[name] !== undefined);
  if (latencies.length > 1) throw wrong("guardrails", "one latency at most", latencies.join(" and "));
  const [latency] = latencies;
  return Object.freeze({
    errors: guardrails["errors"] === undefined ? null : Object.freeze({ maxIncrease: limitOf("errors", 1) }),
    // Ten times as slow is no guardrail any more.
    latency: latency === undefined ? null : Object.freeze({ quantile: LATENCIES[latency]!, maxIncrease: limitOf(latency, 10) }),
  });
}

function alphaOf(given: unknown): number {
  const confidence = shareOf(given, "confidence", 0.95);
  if (!(confidence >= 0.5 && confidence <= 0.9999)) throw wrong("confidence", '"50%" to "99.99%"', describe(given));
  return Number((1 - confidence).toFixed(10));
}

function devicesOf(given: unknown): Experiment["devices"] {
  const devices = given === undefined ? [] : Array.isArray(given) ? (given as unknown[]) : [given];
  if (given !== undefined && devices.length === 0) throw wrong("device", "at least one device; leave it out for all", "an empty list");
  return Object.freeze(devices.map((device) => oneOf(device, DEVICES, "device")));
}

function nameOf(given: unknown, where: string): string {
  if (typeof given === "string" && NAME.test(given)) return given;
  throw wrong(where, "letters, digits, -, _ and ., up to 64 and not digits alone", describe(given));
}

function textOf(given: unknown, where: string): string {
  if (typeof given === "string" && given !== "") return given;
  throw wrong(where, "a string", describe(given));
}

function flagOf(given: unknown, where: string, otherwise: boolean): boolean {
  if (given === undefined) return otherwise;
  if (typeof given === "boolean") return given;
  throw wrong(where, "true or false", describe(given));
}

function wholeOf(given: unknown, where: string): number {
  if (given === undefined) return 0;
  if (typeof given === "number" && Number.isInteger(given) && given >= 0 && given < 1e9) return given;
  throw wrong(where, "a whole number from 0", describe(given));
}

function functionOf<Shape>(given: unknown, where: string): Shape {
  if (typeof given === "function") return given as Shape;
  throw wrong(where, "a function", describe(given));
}

function shareOf(given: unknown, where: string, otherwise?: number, most = 1): number {
  if (given === undefined && otherwise !== undefined) return otherwise;
  const match = typeof given === "string" ? /^(\d+(?:\.\d+)?)%$/.exec(given) : null;
  const share = match === null ? Number.NaN : Number(match[1]) / 100;
  if (share <= most) return share;
  throw wrong(where, `a share from "0%" to "${most * 100}%"`, describe(given));
}

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function durationMs(given: unknown, where: string): number {
  const match = typeof given === "string" ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(given) : null;
  if (match !== null) return Number(match[1]) * MS[match[2]!]!;
  throw wrong(where, 'a duration such as "14d"', describe(given));
}

function oneOf<const Value extends string | number>(given: unknown, values: readonly Value[], where: string): Value {
  const found = values.find((value) => value === given);
  if (found !== undefined) return found;
  throw wrong(where, values.map((value) => JSON.stringify(value)).join(" or "), describe(given));
}

function recordOf(given: unknown, where: string): Given {
  if (isRecord(given)) return given;
  throw wrong(where, "an object", describe(given));
}

function knownOf(given: unknown, known: readonly string[], where: string): Given {
  const record = recordOf(given, where);
  for (const name of Object.keys(record)) expectKnown(name, known, `${WHO}: ${where}`);
  return record;
}

function wrong(where: string, expected: string, found: string): TypeError {
  return new TypeError(`${WHO}: ${where}: ${expected} expected, found ${found}`);
}
