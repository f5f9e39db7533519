/** Rules of tests, compiled. One process evaluates the modules of all gateways of a test process. */
import { stop } from "esbuild";
import { compileFiles } from "../compile/compile.ts";
import type { RuleFile } from "../compile/bundle.ts";
import { createDescriber, type Describer } from "../compile/describe.ts";
import { resolveConfig } from "../config/config.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { type Counted, counted, coverageIsOn } from "./coverage.ts";

let describer: Describer | null = null;

/** Starts the process, so that it is there when the first rules come. */
export function warmCompiler(): Describer {
  // Vars and limits come with the rules.
  const anyConfig = (): ResolvedConfig =>
    resolveConfig({ upstreams: { origin: { targets: ["http://127.0.0.1:1"] } }, admin: false }, { baseDir: process.cwd(), file: "" });
  return (describer ??= createDescriber(anyConfig(), "same"));
}

/** Counters take room; the limit is about the rules. */
const COUNTED_SIZE = 8;

export interface Compiled extends Pick<Counted, "release" | "maps"> {
  readonly logged: Counted["logged"];
}

export async function compileRules(config: ResolvedConfig, files: readonly RuleFile[]): Promise<Compiled> {
  const minify = !coverageIsOn;
  const { limits } = config;
  const roomy = minify ? config : { ...config, limits: { ...limits, releaseBytes: limits.releaseBytes * COUNTED_SIZE } };
  const { release, maps, problems } = await compileFiles(roomy, files, warmCompiler(), { minify }).rebuild();
  if (release === null) throw new Error(problems.map(({ file, line, column, text, frame }) => `${file}:${line}:${column}: ${text}\n${frame}`).join("\n\n"));
  return coverageIsOn ? counted(release, maps, config.baseDir) : { release, maps, logged: () => false };
}

export async function closeCompiler(): Promise<void> {
  await describer?.close();
  describer = null;
  // esbuild is a process of its own; it starts again when it is needed.
  await stop();
}
