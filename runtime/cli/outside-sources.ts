/** Modules that rules import from outside the rules folder: saving one of them is a save too. */
import path from "node:path";
import type { SourceMaps } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";

/** Folder → names of the files in it, of all sources (absolute) that watching the rules folder does not cover. npm packages are left out: they change by an install. */
export function outsideSources(maps: SourceMaps, { baseDir, rulesDir }: ResolvedConfig): Map<string, Set<string>> {
  const folders = new Map<string, Set<string>>();
  for (const map of Object.values(maps)) {
    const { sources } = JSON.parse(map) as { sources: readonly string[] };
    for (const source of sources) {
      const file = path.resolve(baseDir, source);
      if (file.startsWith(rulesDir + path.sep) || file.split(path.sep).includes("node_modules")) continue;
      const names = folders.get(path.dirname(file)) ?? new Set();
      folders.set(path.dirname(file), names.add(path.basename(file)));
    }
  }
  return folders;
}
