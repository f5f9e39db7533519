/** What rules and experiments check alike: conditions on requests, known names, and how a wrong value is described. */
import type { MatchSpec } from "./match.ts";

export const CONDITIONS = ["host", "path", "method", "header", "cookie", "query", "country", "not"] as const satisfies readonly (keyof MatchSpec)[];
/** `not` within `not` within …: deeper is a mistake. */
const MAX_DEPTH = 8;

/** `when`: one spec or a list, as a list. `where` begins every sentence: `defineRule: when`. */
export function whenOf(when: unknown, where: string): readonly MatchSpec[] {
  if (when === undefined) return Object.freeze([]);
  const specs = Array.isArray(when) ? (when as unknown[]) : [when];
  // An empty list of matches would read as "nothing" and mean "everything" to the matcher.
  if (specs.length === 0) throw new TypeError(`${where}: an empty list matches nothing; leave it out to match everything`);
  return Object.freeze(specs.map((spec, index) => specOf(spec, Array.isArray(when) ? `${where}[${index}]` : where)));
}

export function specOf(spec: unknown, where: string, depth = 1): MatchSpec {
  if (depth > MAX_DEPTH) throw new TypeError(`${where}: nested more than ${MAX_DEPTH} deep`);
  if (!isRecord(spec)) throw new TypeError(`${where}: an object with conditions is expected, found ${describe(spec)}`);
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(spec)) {
    expectKnown(name, CONDITIONS, where);
    const value = spec[name];
    if (value === undefined) continue;
    copy[name] = conditionOf(name as keyof MatchSpec, value, `${where}.${name}`, depth);
  }
  return Object.freeze(copy) as MatchSpec;
}

function conditionOf(name: keyof MatchSpec, value: unknown, where: string, depth: number): unknown {
  switch (name) {
    case "host":
    case "path":
    case "method":
    case "country":
      return oneOrManyOf(value, where);
    case "header":
    case "cookie":
    case "query": {
      if (!isRecord(value)) throw new TypeError(`${where}: an object of names is expected, found ${describe(value)}`);
      return Object.freeze(
        Object.fromEntries(Object.entries(value).map(([key, wanted]) => [key, typeof wanted === "boolean" ? wanted : oneOrManyOf(wanted, `${where}.${key}`)])),
      );
    }
    case "not":
      return Array.isArray(value) ? Object.freeze(value.map((spec, index) => specOf(spec, `${where}[${index}]`, depth + 1))) : specOf(value, where, depth + 1);
  }
}

function oneOrManyOf(value: unknown, where: string): string | readonly string[] {
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return Object.freeze([...value]);
  throw new TypeError(`${where}: a string or a list of strings is expected, found ${describe(value)}; it must be known when the release is compiled`);
}

export function expectKnown(name: string, known: readonly string[], where: string): void {
  if (known.includes(name)) return;
  const nearest = nearestOf(name, known);
  throw new TypeError(
    `${where}: ${JSON.stringify(name)} is not known here${nearest === "" ? "." : `; did you mean ${JSON.stringify(nearest)}?`} Known: ${known.join(", ")}`,
  );
}

function nearestOf(name: string, known: readonly string[]): string {
  let nearest = "";
  let least = 4;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

/** Levenshtein's distance, over at most 40 characters. */
function editDistance(from: string, to: string): number {
  const source = from.slice(0, 40);
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= source.length; i++) {
    const last = row;
    row = [i];
    for (let j = 1; j <= to.length; j++) {
      row.push(Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (source[i - 1] === to[j - 1] ? 0 : 1)));
    }
  }
  return row[to.length]!;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

export function describe(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object";
  return String(value);
}
