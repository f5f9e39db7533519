/**
 * `npm run bench`: what a request costs in Sluice and beside it in every other server that is installed. README.md says how to
 * read it, `--help` what can be chosen.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chart } from "./load/chart.ts";
import { isPinned, moveAside } from "./load/processes.ts";
import { markdownReport, terminalReport } from "./load/report.ts";
import type { Results } from "./load/results.ts";
import { runSession } from "./load/session.ts";
import { QUICK, type Work, WORKS } from "./load/work.ts";
import { WRK_MISSING, wrkInstalled } from "./load/wrk.ts";
import type { Contender } from "./peers/contender.ts";
import { CONTENDERS } from "./peers/peers.ts";
import { writeBetweenMarkers } from "./load/readme-section.ts";

const HELP = `npm run bench -- [options]

  --quick            four rows, one round of 2 s: under two minutes
  --only NAMES       some servers (${CONTENDERS.map(({ name }) => name).join(", ")})
                     or some works (${WORKS.map(({ name }) => name).join(", ")}), with commas between
  --connections NS   only these numbers of connections (1,50,1000)
  --runs N           rounds; 5 by default
  --seconds N        of load in each; 5 by default
  --json             print the results as JSON
  --write-readme     put tables and chart into bench/README.md
  --from FILE        run nothing; show the results kept in FILE (bench/results/bench.json)
`;

const FULL = { rounds: 5, seconds: 5, warmUpSeconds: 2 };
const SHORT = { rounds: 1, seconds: 2, warmUpSeconds: 1 };
const RESULTS_FOLDER = join(import.meta.dirname, "results");
const BAD_USAGE = 2;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    connections: { type: "string", default: "" },
    runs: { type: "string", default: "" },
    seconds: { type: "string", default: "" },
    json: { type: "boolean", default: false },
    "write-readme": { type: "boolean", default: false },
    from: { type: "string", default: "" },
    help: { type: "boolean", default: false },
  },
});

class Usage extends Error {}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

interface Chosen {
  readonly works: readonly Work[];
  readonly contenders: readonly Contender[];
  /** Everything there is was measured at length. */
  readonly whole: boolean;
}

function choose(): Chosen {
  const names = values.only === "" ? [] : values.only.split(",");
  const known = [...CONTENDERS, ...WORKS].map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Usage(`--only: there is no ${unknown.join(", ")}; there are ${known.join(", ")}.`);
  const chosen = <Named extends { readonly name: string }>(all: readonly Named[], pool: readonly Named[] = all): readonly Named[] =>
    names.some((name) => all.some((each) => each.name === name)) ? all.filter(({ name }) => names.includes(name)) : pool;
  const wanted = values.connections === "" ? [] : values.connections.split(",").map((each) => count("connections", each, 0));
  const works = chosen(WORKS, values.quick ? QUICK : WORKS).flatMap((work) => {
    const connections = wanted.length === 0 ? work.connections : work.connections.filter((each) => wanted.includes(each));
    return connections.length === 0 ? [] : [{ ...work, connections }];
  });
  const contenders = chosen(CONTENDERS).filter((contender) => {
    if (!contender.installed()) say(`${contender.title} is not installed and takes no part: ${contender.install}`);
    return contender.installed();
  });
  return { works, contenders, whole: !values.quick && names.length === 0 && wanted.length === 0 };
}

function count(option: string, text: string, otherwise: number): number {
  if (text === "") return otherwise;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 3_600) throw new Usage(`--${option}: expected a whole number from 1 to 3600, found ${text}.`);
  return number;
}

async function take(): Promise<{ results: Results; whole: boolean }> {
  const { works, contenders, whole } = choose();
  const defaults = values.quick ? SHORT : FULL;
  const rounds = count("runs", values.runs, defaults.rounds);
  const seconds = count("seconds", values.seconds, defaults.seconds);
  if (!isPinned) say("This machine has one core: servers, load and origin share it, and only CPU per request says anything.");
  moveAside();
  const results = await runSession({ works, contenders, rounds, seconds, warmUpSeconds: defaults.warmUpSeconds, say });
  return { results, whole };
}

/** Only a whole run replaces the results that are kept with the sources. */
function keep(results: Results, whole: boolean): void {
  const folder = whole ? RESULTS_FOLDER : join(RESULTS_FOLDER, "tmp");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "bench.json"), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(folder, "bench.svg"), chart(results));
  say(`written: ${folder}/bench.json, bench.svg`);
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (values.from === "" && !wrkInstalled()) {
    say(WRK_MISSING);
    return 1;
  }
  const stored = values.from === "" ? null : (JSON.parse(readFileSync(values.from, "utf8")) as Results);
  const { results, whole } = stored ? { results: stored, whole: values["write-readme"] } : await take();
  keep(results, whole);
  process.stdout.write(values.json ? `${JSON.stringify(results, null, 1)}\n` : terminalReport(results));
  if (values["write-readme"]) writeBetweenMarkers(join(import.meta.dirname, "README.md"), markdownReport(results));
  const failed = results.cells.filter(({ contender, runs }) => contender === "sluice" && runs.some((run) => run.errors > 0));
  if (failed.length > 0) say(`Sluice failed requests in ${failed.length} row${failed.length === 1 ? "" : "s"}: its figures there are worth nothing.`);
  if (results.failures.length > 0) say(`Not measured:\n${results.failures.join("\n")}`);
  return failed.length + results.failures.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Usage)) throw error;
  say(error.message);
  process.exitCode = BAD_USAGE;
}
