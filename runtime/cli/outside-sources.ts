/** Modules that rules import from outside the rules folder: saving one of them is a save too. */
import path from "node:path";
import type { CompileResult } from "../compile/compile.ts";
import type { ResolvedConfig } from "../config/resolved.ts";

/**
 * Folder → names of the files in it, of all sources (absolute) that watching the rules folder does not cover. Of what was not compiled: the files that are
 * to be mended. npm packages are left out: they change by an install.
 */
export function outsideSources({ maps, problems }: Pick<CompileResult, "maps" | "problems">, { baseDir, rulesDir }: ResolvedConfig): Map<string, Set<string>> {
  const sources = Object.values(maps).flatMap((map) => (JSON.parse(map) as { sources: readonly string[] }).sources);
  const broken = problems.flatMap(({ file }) => (file === "" ? [] : [file]));
  const folders = new Map<string, Set<string>>();
  for (const source of [...sources, ...broken]) {
    const file = path.resolve(baseDir, source);
    if (file.startsWith(rulesDir + path.sep) || file.split(path.sep).includes("node_modules")) continue;
    const names = folders.get(path.dirname(file)) ?? new Set();
    folders.set(path.dirname(file), names.add(path.basename(file)));
  }
  return folders;
}
