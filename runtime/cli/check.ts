/** `sluice check`: config, rules, types. Everything that is wrong, in one list. */
import { createCompiler } from "../compile/compile.ts";
import { loadConfig } from "../config/config.ts";
import { checkedRules } from "./checked-rules.ts";
import { holding } from "./release-words.ts";
import type { Terminal } from "./terminal.ts";

export async function check(configFile: string, terminal: Terminal): Promise<number> {
  const { config, warnings } = await loadConfig(configFile);
  for (const warning of warnings) terminal.warn(warning);
  await using compiler = createCompiler(config);
  const { release, problems, warnings: doubts } = await checkedRules(compiler, config);
  terminal.warnings(doubts);
  if (release === null) {
    terminal.problems(problems);
    return 1;
  }
  const { id, rules } = release;
  terminal.result({ release: id, rules: rules.map((rule) => rule.manifest), problems: [] }, () => [
    `release ${id}: ${holding(rules)}`,
    ...rules.map(
      ({ manifest }) => `  ${manifest.name}  ${manifest.experiment === undefined ? manifest.phases.join(", ") : `experiment ${manifest.experiment.key}`}`,
    ),
    "no problems",
  ]);
  return 0;
}
