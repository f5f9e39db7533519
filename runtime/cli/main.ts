/** The command line. Each command stands in a file of its own, loaded when it is run; this one knows their names, options and exit codes. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { durationMs, share } from "../config/units.ts";
import { addCanaryCommands, addPreviewCommand, withCanaryOptions } from "./canary-commands.ts";
import type { AuditOptions } from "./audit.ts";
import type { DeployOptions } from "./deploy.ts";
import { addExperimentCommands } from "./experiment-commands.ts";
import type { ExplainOptions } from "./explain.ts";
import { packageRoot } from "./package-root.ts";
import type { PlanOptions } from "./plan.ts";
import type { PurgeOptions } from "./purge.ts";
import type { RecordingsOptions } from "./recordings.ts";
import type { RollbackOptions } from "./rollback.ts";
import type { TailOptions } from "./tail.ts";
import { Terminal } from "./terminal.ts";
import type { TestOptions } from "./test.ts";

/** Exit codes: 0 done, 1 failed, 2 differences or bad usage. */
const FAILED = 1;
const BAD_USAGE = 2;

const AFTER_HELP = `
Exit codes: 0 done, 1 failed, 2 differences or bad usage. Every command takes --json and --help.

Commands that reach a running gateway ask the admin listener of this folder's config, or --admin URL. The token: SLUICE_ADMIN_TOKEN, or the file
admin-token in the config's stateDir. With TLS: SLUICE_ADMIN_CA (whom to trust), SLUICE_ADMIN_CERT and SLUICE_ADMIN_KEY (what to show), files in PEM.
`;

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
    .showHelpAfterError("(sluice --help lists the commands)")
    .addHelpText("after", AFTER_HELP);

  const add = <Options extends object>(child: Command, run: Run<Options>): Command =>
    child
      .showHelpAfterError(`(${pathOf(child)} --help says what it takes)`)
      .addOption(new Option("--json", "print for machines").default(false))
      .action(async () => {
        const values = child.processedArgs as unknown[];
        const options = { ...child.opts<Options & GlobalOptions>(), args: values };
        code = await run(options, new Terminal(process.stdout, process.stderr, options.json));
      });
  const configured = (name: string, about: string): Command =>
    command.command(name).description(about).option("-c, --config <file>", "config file, or the folder that holds it", ".");

  add(
    command
      .command("init")
      .description("make a working project: config, one rule, one experiment, a test of each, tsconfig")
      .argument("[dir]", "folder, made when it is not there", "."),
    async (options: { args: [string] }, terminal) => (await import("./init.ts")).init(options.args[0], terminal),
  );
  add(
    configured("dev", "run in the foreground; a saved rule is live at once, a broken one is shown and the last good release keeps serving").option(
      "-p, --port <port>",
      "listen here instead of on the first listener's port",
      portNumber,
    ),
    async (options: { config: string; port?: number }, terminal) => (await import("./dev.ts")).dev(options, terminal),
  );
  add(
    configured("start", "run for real; prints one line per listener, then `ready`").option(
      "-w, --workers <n>",
      "worker processes, instead of the config's number",
      positive,
    ),
    async (options: { config: string; workers?: number }, terminal) => (await import("./start.ts")).start(options, terminal),
  );
  add(configured("check", "compile, type-check, validate config and rules; exit 1 with located messages"), async (options: { config: string }, terminal) =>
    (await import("./check.ts")).check(options.config, terminal),
  );
  add(
    configured("test", "run *.test.ts rule tests in the same sandbox as production")
      .option("--coverage", "show which lines of the rules' TypeScript the tests run, and which never", false)
      .addOption(new Option("--coverage-threshold <percent>", "the same, and exit 1 when it is less than this (80%)").default(null).argParser(percent))
      .argument("[files...]", "test files; all of the project by default"),
    async (options: Omit<TestOptions, "files"> & { args: [string[]] }, terminal) =>
      (await import("./test.ts")).runTests({ ...options, files: options.args[0] }, terminal),
  );
  addLookingCommands(command, configured, add);
  addReachingCommands(configured, add);
  addExperimentCommands(command, add);
  return { command, code: () => code };
}

/** As it is typed: `sluice experiments plan`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function collected(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

type Add = <Options extends object>(child: Command, run: Run<Options>) => Command;

/** What happens in a running gateway, live and asked for. */
function addLookingCommands(command: Command, configured: (name: string, about: string) => Command, add: Add): void {
  add(
    configured("tail", "follow live exchanges, console output and exceptions of rules; filters run in the gateway, and errors are never dropped")
      .option("--rule <name>", "exchanges in which this rule ran, and its lines")
      .option("--status <list>", "404, 5xx, 400-499; several with commas between")
      .option("--path <path>", "this path; * stands for anything (/cart/*)")
      .option("--method <list>", "GET,POST")
      .option("--errors", "only what failed: 5xx, exceptions, error lines", false)
      .option("--trace <id>", "the exchange with this request id, also one with a debug header that is over")
      .option("--rate <lines>", "ordinary lines a second of each worker, or all (which slows a busy gateway); errors always come", "100")
      .option("--admin <url>", "the admin listener, instead of the config's; repeat it to follow several gateways", collected, []),
    async (options: TailOptions, terminal) => (await import("./tail.ts")).tail(options, terminal),
  );
  add(
    configured("explain", "what a request would get, and why: route, rules with what they change, limits, cache, upstream; nothing is sent to an origin")
      .argument("[url]", "as a client would ask for it")
      .option("--debug-header", "print a header instead, good for ten minutes: answers to requests with it tell times and an id for tail --trace", false)
      .option("-H, --header <line>", "a request header, name: value; repeat it for more", collected, [])
      .option("-X, --method <method>", "the request's method", "GET")
      .option("--client <address>", "the client's address", "127.0.0.1")
      .option("--country <code>", "the country that the client is in, such as DE; by default where the config's geo database finds its address")
      .option("--admin <url>", "the admin listener, instead of the config's"),
    async (options: ExplainOptions, terminal) => (await import("./explain.ts")).explain(options, terminal),
  );
  const audit = command.command("audit").description("the log of who asked for which change, and what came of it (audit.log in stateDir)");
  add(
    audit
      .command("verify")
      .description("is it whole? exit 1 when an entry was changed, taken out or put in")
      .option("-c, --config <file>", "config file, or the folder that holds it", ".")
      .option("--anchor <number:hash>", "an entry that must be there, as an earlier run told it: shows what was cut off at the end", anchorOf),
    async (options: AuditOptions, terminal) => (await import("./audit.ts")).verifyAuditLog(options, terminal),
  );
}

/** Everything that speaks with a running gateway. */
function addReachingCommands(configured: (name: string, about: string) => Command, add: Add): void {
  const reaching = (name: string, about: string): Command =>
    configured(name, about).option("--admin <url>", "the admin listener of any gateway, instead of the config's");
  const rolling = (name: string, about: string, dryRun = "every gateway fetches, checks and loads it, and forgets it again"): Command =>
    reaching(name, about)
      .option("--wait", "end when every live gateway serves it (exit 1 when one does not)", false)
      .option("-m, --message <text>", "why, for sluice releases and the audit log", "")
      .option("--dry-run", dryRun, false)
      .addOption(new Option("--timeout <duration>", "for every gateway to load it").default(60_000, "60s").argParser(duration));
  const run = (options: { timeout: number }): { timeoutMs: number } => ({ timeoutMs: options.timeout });
  add(
    withCanaryOptions(rolling("deploy", "compile, check, hand in, and activate on every gateway or on none"))
      .option("--sign-key <file>", "Ed25519 private key (PKCS #8, PEM) to sign with, instead of SLUICE_SIGNING_KEY")
      .addOption(new Option("--shadow [off]", "only compare it with what serves, on live requests; off ends that").preset(true).argParser(shadowWord))
      .addOption(new Option("--share <share>", "of the requests, with --shadow").argParser(shareOf))
      .option("--base <epoch>", "the epoch that this is meant to follow; refused when another one serves", wholeNumber),
    async (options: DeployOptions & { timeout: number }, terminal) => (await import("./deploy.ts")).deploy({ ...options, ...run(options) }, terminal),
  );
  add(
    reaching("plan", "what a deploy would change; exit 0 nothing, 2 something").addOption(
      new Option("--replay [n]", "play the last n recorded requests to both releases, and list those that are decided differently")
        .preset("1000")
        .argParser(replayCount),
    ),
    async (options: PlanOptions, terminal) => (await import("./plan.ts")).plan(options, terminal),
  );
  add(
    reaching("recordings", "how many requests are recorded for plan --replay; purge forgets them all").argument("[action]", "purge"),
    async (options: RecordingsOptions, terminal) => (await import("./recordings.ts")).recordings(options, terminal),
  );
  const releases = add(reaching("releases", "the releases that are kept, and which served when"), async (options: { config: string }, terminal) =>
    (await import("./releases.ts")).releases(options, terminal),
  );
  addPreviewCommand(releases, add);
  addCanaryCommands(rolling, add);
  add(
    rolling("rollback", "end the canary, or let a release that is kept serve again; nothing is built").argument(
      "[id]",
      "the one before the one that serves, by default",
    ),
    async (options: RollbackOptions & { timeout: number }, terminal) => (await import("./rollback.ts")).rollback({ ...options, ...run(options) }, terminal),
  );
  add(
    reaching("purge", "take answers out of the cache of every gateway")
      .option("--url <url>", "this URL, whatever its variants")
      .option("--prefix <url>", "every URL that begins with this")
      .option("--tag <tag>", "everything with this tag (Cache-Tag, Surrogate-Key, or a rule's)")
      .option("--all", "everything", false)
      .option("--soft", "make it stale instead: still there for stale-while-revalidate, stale-if-error and validation", false),
    async (options: PurgeOptions, terminal) => (await import("./purge.ts")).purge(options, terminal),
  );
  add(reaching("status", "who serves what: gateways, workers, targets, store"), async (options: { config: string }, terminal) =>
    (await import("./releases.ts")).status(options, terminal),
  );
}

function duration(text: string): number {
  const ms = durationMs(text);
  if (!(ms >= 1)) throw new InvalidArgumentError('expected a duration such as "30s".');
  return ms;
}

function anchorOf(text: string): { number: number; hash: string } {
  const match = /^([1-9]\d*):([0-9a-f]{64})$/.exec(text);
  if (match === null) throw new InvalidArgumentError("expected a number and a hash with a colon between, as sluice audit verify prints them.");
  return { number: Number(match[1]), hash: match[2]! };
}

function percent(text: string): number {
  const value = Number(text.replace(/%$/, ""));
  if (!(value >= 0 && value <= 100)) throw new InvalidArgumentError("expected a share from 0% to 100%.");
  return value;
}

function wholeNumber(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 0) throw new InvalidArgumentError("expected a whole number.");
  return count;
}

function shadowWord(text: string | true): true | "off" {
  if (text !== true && text !== "off") throw new InvalidArgumentError("expected nothing, or off.");
  return text;
}

function shareOf(text: string): number {
  const part = share(text);
  if (!(part > 0)) throw new InvalidArgumentError('expected a share above 0, such as "10%".');
  return part;
}

function replayCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 10_000) throw new InvalidArgumentError("expected a number from 1 to 10000.");
  return count;
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
    const { ConfigError } = await import("../config/config.ts");
    if (thrown instanceof ConfigError) {
      terminal.configError(thrown);
      return FAILED;
    }
    terminal.failure(thrown);
    return FAILED;
  }
}

process.exitCode = await main(process.argv.slice(2));
