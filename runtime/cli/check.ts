/** `sluice check`: config, rules, types. Everything that is wrong, in one list. */
import { createCompiler, typecheck } from "../compile/compile.ts";
import { loadConfig } from "../config/config.ts";
import { holding } from "./release-words.ts";
import type { Terminal } from "./terminal.ts";

export async function check(configFile: string, terminal: Terminal): Promise<number> {
  const { config, warnings } = await loadConfig(configFile);
  for (const warning of warnings) terminal.warn(warning);
  await using compiler = createCompiler(config);
  const [compiled, typeProblems] = await Promise.all([compiler.rebuild(), typecheck(config)]);
  terminal.warnings(compiled.warnings);
  const problems = [...compiled.problems, ...typeProblems];
  if (problems.length > 0 || compiled.release === null) {
    terminal.problems(problems);
    return 1;
  }
  const { id, rules } = compiled.release;
  terminal.result({ release: id, rules: rules.map((rule) => rule.manifest), problems: [] }, () => [
    `release ${id}: ${holding(rules)}`,
    ...rules.map(
      ({ manifest }) => `  ${manifest.name}  ${manifest.experiment === undefined ? manifest.phases.join(", ") : `experiment ${manifest.experiment.key}`}`,
    ),
    "no problems",
  ]);
  return 0;
}
