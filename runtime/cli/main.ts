/** The command line. Each command stands in a file of its own; this one knows their names, options and exit codes. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { ConfigError } from "../config/config.ts";
import { check } from "./check.ts";
import { dev } from "./dev.ts";
import { init } from "./init.ts";
import { packageRoot } from "./package-root.ts";
import { purge, type PurgeOptions } from "./purge.ts";
import { start } from "./start.ts";
import { Terminal } from "./terminal.ts";
import { runTests } from "./test.ts";

/** Exit codes: 0 done, 1 failed, 2 differences or bad usage. */
const FAILED = 1;
const BAD_USAGE = 2;

interface GlobalOptions {
  readonly json: boolean;
}

/** A command ends with an exit code. */
type Run<Options> = (options: Options, terminal: Terminal) => Promise<number>;

function program(): { command: Command; code: () => number } {
  let code = 0;
  const { version } = JSON.parse(readFileSync(path.join(packageRoot, "package.json"), "utf8")) as { version: string };
  const command = new Command("sluice")
    .description("A programmable edge gateway: a reverse proxy whose behaviour you write in TypeScript.")
    .version(version, "-V, --version")
    .exitOverride()
    .configureHelp({ sortSubcommands: false })
    .showHelpAfterError("(sluice --help lists the commands)");

  const add = <Options extends object>(child: Command, run: Run<Options>): Command =>
    child.addOption(new Option("--json", "print for machines").default(false)).action(async () => {
      const values = child.processedArgs as unknown[];
      const options = { ...child.opts<Options & GlobalOptions>(), args: values };
      code = await run(options, new Terminal(process.stdout, process.stderr, options.json));
    });
  const configured = (name: string, about: string): Command =>
    command.command(name).description(about).option("-c, --config <file>", "config file, or the folder that holds it", ".");

  add(
    command
      .command("init")
      .description("make a working project: config, one rule, one rule test, tsconfig")
      .argument("[dir]", "folder, made when it is not there", "."),
    (options: { args: [string] }, terminal) => init(options.args[0], terminal),
  );
  add(
    configured("dev", "run in the foreground; a saved rule is live at once, a broken one is shown and the last good release keeps serving").option(
      "-p, --port <port>",
      "listen here instead of on the first listener's port",
      portNumber,
    ),
    (options: { config: string; port?: number }, terminal) => dev(options, terminal),
  );
  add(
    configured("start", "run for real; prints one line per listener, then `ready`").option(
      "-w, --workers <n>",
      "worker processes, instead of the config's number",
      positive,
    ),
    (options: { config: string; workers?: number }, terminal) => start(options, terminal),
  );
  add(configured("check", "compile, type-check, validate config and rules; exit 1 with located messages"), (options: { config: string }, terminal) =>
    check(options.config, terminal),
  );
  add(
    configured("test", "run *.test.ts rule tests in the same sandbox as production")
      .option("--coverage", "show the coverage of the tests' own process", false)
      .argument("[files...]", "test files; all of the project by default"),
    (options: { config: string; coverage: boolean; args: [string[]] }, terminal) => runTests({ ...options, files: options.args[0] }, terminal),
  );
  add(
    configured("purge", "take answers out of the cache of every gateway")
      .option("--url <url>", "this URL, whatever its variants")
      .option("--prefix <url>", "every URL that begins with this")
      .option("--tag <tag>", "everything with this tag (Cache-Tag, Surrogate-Key, or a rule's)")
      .option("--all", "everything", false)
      .option("--soft", "make it stale instead: still there for stale-while-revalidate, stale-if-error and validation", false)
      .option("--admin <url>", "the admin listener, instead of the config's"),
    (options: PurgeOptions, terminal) => purge(options, terminal),
  );
  return { command, code: () => code };
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new InvalidArgumentError("expected a port from 0 to 65535.");
  return port;
}

function positive(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 1024) throw new InvalidArgumentError("expected a number from 1 to 1024.");
  return count;
}

/** Runs the command line and gives its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const { command, code } = program();
  try {
    await command.parseAsync([...args], { from: "user" });
    return code();
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : BAD_USAGE;
    const terminal = new Terminal(process.stdout, process.stderr, args.includes("--json"));
    if (thrown instanceof ConfigError) {
      terminal.configError(thrown);
      return FAILED;
    }
    terminal.failure(thrown);
    return FAILED;
  }
}

process.exitCode = await main(process.argv.slice(2));
