import { Fields } from "../../../runtime/proxy/fields.ts";
import type { Matchable } from "../../../runtime/proxy/match/match.ts";

/** A request as the matcher sees it: GET http://example.com/ unless told otherwise. */
export function requestOf(parts: Partial<Omit<Matchable, "fields">> & { fields?: Record<string, string | string[]> } = {}): Matchable {
  const pairs = Object.entries(parts.fields ?? {}).flatMap(([name, value]) => [value].flat().map((one) => [name, one] as const));
  return { method: "GET", host: "example.com", path: "/", query: "", country: "", ...parts, fields: Fields.of(...pairs) };
}
