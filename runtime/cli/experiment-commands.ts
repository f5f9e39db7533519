/** Names, options and defaults of `sluice experiments …`. */
import { InvalidArgumentError, Option, type Command } from "commander";
import { durationMs } from "../config/units.ts";
import type { DecideOptions, ForceOptions, ListOptions, PlanOptions, ReportOptions } from "./experiments.ts";
import type { Terminal } from "./terminal.ts";

type Add = <Options extends object>(child: Command, run: (options: Options, terminal: Terminal) => Promise<number>) => Command;

export function addExperimentCommands(command: Command, add: Add): void {
  const experiments = command.command("experiments").description("live experiments: what runs, what came of it, stop it, ship it");
  const one = (name: string, about: string, isDefault = false): Command =>
    experiments
      .command(name, { isDefault })
      .description(about)
      .option("-c, --config <file>", "config file, or the folder that holds it", ".")
      .option("--admin <url>", "the admin listener of any gateway, instead of the config's");
  const deciding = (name: string, about: string): Command =>
    one(name, about).argument("<key>", "the experiment").option("-m, --message <text>", "why, for the report and the audit log", "");

  add(
    one("list", "all of the release that serves, and what is known of each (the default)", true).argument("[words...]", "none"),
    async (options: ListOptions, terminal) => (await import("./experiments.ts")).listExperiments(options, terminal),
  );
  add(
    one("report", "what is known of one: the verdict in a sentence, goals, guardrails, how far to trust it")
      .argument("<key>", "the experiment")
      .option("--html <file>", "write it as one page with plots, which needs nothing else"),
    async (options: ReportOptions, terminal) => (await import("./experiments.ts")).reportExperiment(options, terminal),
  );
  add(deciding("stop", "everybody sees control, on every gateway within two seconds"), async (options: DecideOptions, terminal) =>
    (await import("./experiments.ts")).decideExperiment("stop")(options, terminal),
  );
  add(deciding("start", "let one run again that was stopped or shipped, with the counts that it has"), async (options: DecideOptions, terminal) =>
    (await import("./experiments.ts")).decideExperiment("start")(options, terminal),
  );
  add(deciding("ship", "everybody sees this variant").argument("<variant>", "the variant"), async (options: DecideOptions, terminal) =>
    (await import("./experiments.ts")).decideExperiment("ship")(options, terminal),
  );
  add(
    one("force", "print a signed link that shows one variant to whoever opens it, and counts nothing")
      .argument("<key>", "the experiment")
      .argument("<variant>", "the variant")
      .option("--url <url>", "the page that the link is to open")
      .addOption(new Option("--lifetime <duration>", "of the link, a week at most (1h)").argParser(milliseconds)),
    async (options: ForceOptions, terminal) => (await import("./experiments.ts")).forceExperiment(options, terminal),
  );
  add(
    one("plan", "before the start: how many visitors and days a change needs to be found, or what can be found in some days")
      .argument("[key]", "an experiment of the release that serves: takes its weights, traffic and confidence")
      .addOption(new Option("--baseline <share>", "how many of control's visitors reach the goal").makeOptionMandatory().argParser(shareOf))
      .addOption(new Option("--lift <share>", "the smallest change worth finding, relative: 10% is from 5% to 5.5%").argParser(changeOf))
      .addOption(new Option("--visitors <n>", "a day, in the audience").argParser(positive))
      .addOption(new Option("--days <n>", "instead of --lift: what can be found by then").argParser(positive))
      .addOption(new Option("--power <share>", "the chance to find it").default(0.8, "80%").argParser(shareOf))
      .addOption(new Option("--confidence <share>", "how sure a verdict must be (95%)").argParser(shareOf))
      .addOption(new Option("--split <weights>", "control first, commas between: 50,25,25 (50,50)").argParser(weights)),
    async (options: PlanOptions, terminal) => (await import("./experiments.ts")).planExperiment(options, terminal),
  );
}

function milliseconds(text: string): number {
  const ms = durationMs(text);
  if (!(ms >= 1000)) throw new InvalidArgumentError('expected a duration such as "2h".');
  return ms;
}

/** Below the whole. */
function shareOf(text: string): number {
  const value = percentOf(text);
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError('expected a share between 0% and 100%, such as "5%".');
  return value;
}

function changeOf(text: string): number {
  const value = percentOf(text);
  if (!(value > 0 && value <= 100)) throw new InvalidArgumentError('expected a change above 0%, such as "10%".');
  return value;
}

function percentOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)%$/.exec(text);
  return match === null ? Number.NaN : Number(match[1]) / 100;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError("expected a number above 0.");
  return value;
}

function weights(text: string): number[] {
  const all = text.split(",").map(Number);
  if (all.length < 2 || !all.every((weight) => weight > 0)) throw new InvalidArgumentError("expected two weights or more, such as 50,50.");
  return all;
}
