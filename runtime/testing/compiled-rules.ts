/** Rules of tests, compiled. One process evaluates the modules of all gateways of a test process, and a module that it has seen is not evaluated again. */
import { type Compiler, compileFiles } from "../compile/compile.ts";
import type { RuleFile } from "../compile/bundle.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";

export async function compileRules(config: ResolvedConfig, files: readonly RuleFile[]): Promise<{ release: Release; maps: SourceMaps }> {
  const compiler: Compiler = compileFiles(config, files);
  try {
    const { release, maps, problems } = await compiler.rebuild();
    if (release === null) throw new Error(problems.map(({ file, line, column, text, frame }) => `${file}:${line}:${column}: ${text}\n${frame}`).join("\n\n"));
    return { release, maps };
  } finally {
    await compiler[Symbol.asyncDispose]();
  }
}
