/** The commands and options of canaries and previews, for `main.ts`. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { durationMs, share } from "../config/units.ts";
import type { PreviewOptions } from "./preview.ts";
import type { PromoteOptions } from "./promote.ts";
import type { Terminal } from "./terminal.ts";

type Add = <Options extends object>(child: Command, run: (options: Options, terminal: Terminal) => Promise<number>) => Command;

export function withCanaryOptions(deploy: Command): Command {
  return deploy
    .addOption(
      new Option("--canary [share]", "first on a share of the clients: 5% by default; it grows or is taken back by itself").preset(true).argParser(canaryShare),
    )
    .addOption(new Option("--steps <shares>", "the canary's shares (5%,25%,100%), instead of the config's").argParser(shares))
    .addOption(new Option("--step-duration <duration>", "a step lasts at least so long").argParser(duration))
    .addOption(new Option("--minimum-sample <clients>", "… and until so many clients were seen on either side").argParser(clients));
}

export function addCanaryCommands(rolling: (name: string, about: string, dryRun: string) => Command, add: Add): void {
  add(
    rolling("promote", "let the canary serve everybody", "show the canary and what would become of it, and change nothing").option(
      "--step",
      "only take its next share",
      false,
    ),
    async (options: Omit<PromoteOptions, "timeoutMs"> & { timeout: number }, terminal) =>
      (await import("./promote.ts")).promote({ ...options, timeoutMs: options.timeout }, terminal),
  );
}

/** Below `sluice releases`. */
export function addPreviewCommand(releases: Command, add: Add): void {
  // So that it keeps its own options, also those that sluice releases has too.
  releases.parent!.enablePositionalOptions();
  releases.enablePositionalOptions();
  const command = releases
    .command("preview")
    .description("a signed header and cookie with which requests run on a stored release, whatever serves")
    .argument("<id>", "as sluice releases lists it; its beginning is enough")
    .addOption(new Option("--for <duration>", "how long they count, at most a week").default(60 * 60_000, "1h").argParser(duration))
    .option("-c, --config <file>", "config file, or the folder that holds it", ".")
    .option("--admin <url>", "the admin listener of any gateway, instead of the config's");
  add(command, async (options: PreviewOptions, terminal) => (await import("./preview.ts")).preview(options, terminal));
}

function canaryShare(text: string | true): number | true {
  if (text === true) return true;
  const value = Math.round(share(text) * 10_000);
  if (!(value >= 1 && value < 10_000)) throw new InvalidArgumentError('expected a share below 100% such as "5%".');
  return value;
}

function shares(text: string): number[] {
  const values = text.split(",").map((one) => Math.round(share(one.trim()) * 10_000));
  if (values.some((value) => !(value >= 1))) throw new InvalidArgumentError('expected shares such as "5%,25%,100%".');
  return values;
}

function duration(text: string): number {
  const ms = durationMs(text);
  if (!(ms >= 1)) throw new InvalidArgumentError('expected a duration such as "10m".');
  return ms;
}

function clients(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError("expected a whole number from 1.");
  return count;
}
