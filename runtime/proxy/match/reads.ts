/** What of a request, beside its URL and method, a match looks at: headers, cookies, the client's country. In the words of `cache/privacy.ts`. */
import type { MatchSpec } from "./match.ts";

export function readsOfMatch(specs: readonly MatchSpec[]): readonly string[] {
  const reads = new Set<string>();
  for (const spec of specs) addReads(spec, reads);
  return [...reads];
}

function addReads(spec: MatchSpec, reads: Set<string>): void {
  for (const name of Object.keys(spec.header ?? {})) reads.add(`header:${name.toLowerCase()}`);
  for (const name of Object.keys(spec.cookie ?? {})) reads.add(`cookie:${name}`);
  if (spec.country !== undefined) reads.add("country");
  const { not } = spec;
  if (not === undefined) return;
  for (const inner of Array.isArray(not) ? (not as readonly MatchSpec[]) : [not as MatchSpec]) addReads(inner, reads);
}
