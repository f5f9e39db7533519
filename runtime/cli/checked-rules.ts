/** The rules of this folder as they can be deployed: compiled and type-checked. What check, plan and deploy all ask, so that they say the same. */
import { type Compiler, type CompileResult, typecheck } from "../compile/compile.ts";
import type { Release } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";

/** `serving`: what it is to follow. */
export async function checkedRules(compiler: Compiler, config: ResolvedConfig, serving?: Promise<Release>): Promise<CompileResult> {
  const [compiled, typeProblems] = await Promise.all([compiler.rebuild(serving), typecheck(config)]);
  return typeProblems.length === 0 ? compiled : { ...compiled, release: null, problems: [...compiled.problems, ...typeProblems] };
}
