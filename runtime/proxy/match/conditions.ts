/** What a spec asks beside host and path: checked for candidates only. Compiled once; a spec without any is null and costs nothing. */
import type { MatchSpec, Matchable, OneOrMany } from "./match.ts";

export type Condition = (request: Matchable) => boolean;

/** `not` is handed in compiled, so that this file needs no tree. */
export function compileConditions(spec: MatchSpec, not: Condition | null): Condition | null {
  const all: Condition[] = [];
  if (spec.method !== undefined) {
    const methods = new Set(listOf(spec.method));
    all.push((request) => methods.has(request.method));
  }
  if (spec.country !== undefined) {
    const countries = new Set(listOf(spec.country));
    all.push((request) => request.country !== "" && countries.has(request.country));
  }
  for (const [name, wanted] of Object.entries(spec.header ?? {})) {
    const lower = name.toLowerCase();
    all.push(named(wanted, (request) => request.fields.getAll(lower)));
  }
  for (const [name, wanted] of Object.entries(spec.cookie ?? {})) all.push(named(wanted, (request) => cookieValues(request, name)));
  for (const [name, wanted] of Object.entries(spec.query ?? {})) {
    all.push(named(wanted, (request) => (request.query === "" ? [] : new URLSearchParams(request.query).getAll(name))));
  }
  if (not) all.push((request) => !not(request));
  if (all.length < 2) return all[0] ?? null;
  return (request) => all.every((condition) => condition(request));
}

export function listOf(value: OneOrMany): readonly string[] {
  return typeof value === "string" ? [value] : value;
}

/** A name given several times matches when one of its values does. */
function named(wanted: boolean | OneOrMany, read: (request: Matchable) => readonly string[]): Condition {
  if (typeof wanted === "boolean") return (request) => read(request).length > 0 === wanted;
  const values = listOf(wanted);
  const exact = new Set(values.filter((value) => !value.endsWith("*")));
  const prefixes = values.filter((value) => value.endsWith("*")).map((value) => value.slice(0, -1));
  return (request) => read(request).some((value) => exact.has(value) || prefixes.some((prefix) => value.startsWith(prefix)));
}

/** RFC 6265 section 5.4 writes pairs divided by "; "; a value in double quotes keeps them. */
function cookieValues(request: Matchable, name: string): string[] {
  const found: string[] = [];
  for (const field of request.fields.getAll("cookie")) {
    for (const pair of field.split(";")) {
      const equals = pair.indexOf("=");
      if (equals > 0 && pair.slice(0, equals).trim() === name) found.push(pair.slice(equals + 1).trim());
    }
  }
  return found;
}
