/** Coverage of a run of `sluice test`: what its processes wrote, and the rules that none of them loaded. */
import { findRules } from "../compile/compile.ts";
import { loadConfig } from "../config/config.ts";
import { COVERAGE_FOLDER, countUntested, CoverageBook } from "../testing/coverage.ts";
import { type Coverage, coverageOf } from "./coverage-text.ts";

/** Tells the processes to count, and where to write. */
export function coverageEnvironment(folder: string): Readonly<Record<string, string>> {
  return { [COVERAGE_FOLDER]: folder };
}

/** `config`: as given to the command. `projectFolder`: file names count from there. */
export async function readCoverage(folder: string, config: string, projectFolder: string, threshold: number | null): Promise<Coverage> {
  const book = new CoverageBook();
  book.read(folder);
  const { rulesDir, baseDir } = await loadConfig(config).then(
    (loaded) => loaded.config,
    // Test files alone, or a config whose secrets are elsewhere: then what was loaded is what there is.
    () => ({ rulesDir: "", baseDir: "" }),
  );
  if (rulesDir !== "") await countUntested(book, await findRules(rulesDir), baseDir);
  return coverageOf(book, projectFolder, threshold);
}
