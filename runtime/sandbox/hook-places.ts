/** Where a rule's hooks stand in TypeScript: their names are looked for in the bundle, and the source map has the rest. */
import type { Phase, RuleModule } from "../compile/release.ts";
import type { StackMapper } from "./stacks.ts";
import { placeOf } from "./trace.ts";

/** A hook that is made elsewhere (`fromFetchHandler`, a helper) has no place of its own: then it is missing here. */
export function hookPlaces({ manifest, code }: RuleModule, stacks: StackMapper): Partial<Record<Phase, string>> {
  const places: Partial<Record<Phase, string>> = {};
  const lines = code.split("\n");
  for (const phase of manifest.phases) {
    const word = new RegExp(`(?<![\\w$."'])${phase}\\b`, "g");
    places: for (const [index, line] of lines.entries()) {
      for (const { index: column } of line.matchAll(word)) {
        const place = placeOf(stacks.map(`    at ${manifest.name}:${index + 1}:${column + 1}`));
        if (!place.split(":")[0]!.endsWith(manifest.name)) continue;
        places[phase] = place;
        break places;
      }
    }
  }
  return places;
}
