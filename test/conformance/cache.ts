/**
 * The public HTTP cache tests (npm `http-cache-tests`) against a whole gateway whose only route has a cache, with all settings as they
 * come; `--workers N` (2): several share what is stored. Prints the table, and what did not pass with its reason; exit code 1 when
 * less passes than is asked, or anything fails outright.
 *
 * The package is installed into a folder of its own, not with ours: it depends on npm 6, whose commands would lie in front of npm's
 * own for every script of this project.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { startGateway } from "../support/running-gateway.ts";

const VERSION = "0.4.5";
const ASKED = { required: 148, optimal: 72 };
const SURROGATE = "surrogate-control";
const DEADLINE_MS = 300_000;

/** Of the package. `depends_on` is honoured by its own judge. */
interface PublicTest {
  readonly id: string;
  readonly name: string;
  readonly kind?: "required" | "optimal" | "check";
  readonly browser_only?: boolean;
}
interface Suite {
  readonly id: string;
  readonly name: string;
  readonly tests: readonly PublicTest[];
}
type Results = Readonly<Record<string, true | readonly [kind: string, message: string]>>;
type Judge = (suites: readonly Suite[], id: string, results: Results) => readonly string[];

interface Row {
  suite: string;
  requiredPassed: number;
  required: number;
  optimalPassed: number;
  optimal: number;
  checksYes: number;
  checks: number;
}

const { values } = parseArgs({ options: { workers: { type: "string", default: "2" } } });
const folder = install();
const module = async (path: string): Promise<Record<string, unknown>> => (await import(pathToFileURL(join(folder, path)).href)) as Record<string, unknown>;
const suites = [...((await module("tests/index.mjs"))["default"] as Suite[]), (await module("tests/surrogate-control.mjs"))["default"] as Suite];
const judge = (await module("lib/display.mjs"))["determineTestResult"] as Judge;
const failed = report(await collect());
process.exitCode = failed ? 1 : 0;

function install(): string {
  const prefix = join(import.meta.dirname, "installed");
  const installed = join(prefix, "node_modules/http-cache-tests");
  if (existsSync(join(installed, "package.json"))) return installed;
  mkdirSync(prefix, { recursive: true });
  execFileSync("npm", ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", prefix, `http-cache-tests@${VERSION}`], {
    stdio: ["ignore", "ignore", "inherit"],
    timeout: DEADLINE_MS,
  });
  return installed;
}

async function collect(): Promise<Results> {
  const origin = spawn(process.execPath, ["server/server.mjs"], {
    cwd: folder,
    env: { PATH: process.env["PATH"], npm_config_protocol: "http", npm_config_port: "0", npm_config_pidfile: "server.pid" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const port = await printed(origin.stdout, /:(\d+)\/\s*$/m);
    const gateway = await startGateway({
      config: {
        workers: Number(values.workers),
        upstreams: { tests: { targets: [`http://127.0.0.1:${port}`] } },
        routes: [{ match: { path: "/*" }, upstream: "tests", cache: {} }],
      },
    });
    try {
      return await runTests(gateway.url);
    } finally {
      await gateway.stop();
    }
  } finally {
    origin.kill();
  }
}

async function runTests(base: string): Promise<Results> {
  const client = spawn(process.execPath, ["--no-warnings", "cli.mjs"], {
    cwd: folder,
    // Both ids empty: all tests. The second is what npm itself would set from the package's own config.
    env: { PATH: process.env["PATH"], npm_config_base: base.replace(/\/$/, ""), npm_config_id: "", npm_package_config_id: "" },
    stdio: ["ignore", "pipe", "inherit"],
    timeout: DEADLINE_MS,
  });
  let text = "";
  for await (const piece of client.stdout.setEncoding("utf8")) text += piece as string;
  return JSON.parse(text.slice(text.indexOf("{"))) as Results;
}

function printed(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    stream.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      const found = pattern.exec(text);
      if (found) resolve(found[1]!);
    });
    stream.on("end", () => reject(new Error(`the tests' server ended: ${text}`)));
  });
}

/** True when less passed than is asked. */
function report(results: Results): boolean {
  const rows: Row[] = [];
  const outright: string[] = [];
  const others: string[] = [];
  for (const suite of suites) {
    const row: Row = { suite: suite.name, requiredPassed: 0, required: 0, optimalPassed: 0, optimal: 0, checksYes: 0, checks: 0 };
    rows.push(row);
    for (const test of suite.tests) {
      if (test.browser_only === true) continue;
      const verdict = judge(suites, test.id, results)[2]!;
      const passed = verdict === "✅" || verdict === "Y";
      const kind = test.kind ?? "required";
      if (kind === "check") {
        row.checks++;
        if (passed) row.checksYes++;
        continue;
      }
      row[kind]++;
      if (passed) row[kind === "required" ? "requiredPassed" : "optimalPassed"]++;
      else (verdict === "⛔️" ? outright : others).push(`${verdict} ${kind} ${test.id}: ${reasonOf(results[test.id])}`);
    }
  }
  for (const line of [...outright, ...others]) console.log(line);
  console.log(["suite", "required", "optimal", "checks that say yes"].map((title, column) => (column === 0 ? title.padEnd(58) : title.padStart(12))).join(""));
  for (const row of rows) console.log(lineOf(row));
  // The tests of Surrogate-Control go past RFC 9111 and are counted apart, as the published tables do.
  const counted = rows.filter((_, index) => suites[index]!.id !== SURROGATE);
  const total = counted.reduce((sum, row) => added(sum, row), { suite: "total, without Surrogate-Control" } as Partial<Row>) as Row;
  console.log(lineOf(total));
  const enough = total.requiredPassed >= ASKED.required && total.optimalPassed >= ASKED.optimal && outright.length === 0;
  console.log(
    `asked: required >= ${ASKED.required} (${total.requiredPassed}), none failing outright (${outright.length}), optimal >= ${ASKED.optimal} (${total.optimalPassed}): ${enough ? "held" : "NOT HELD"}`,
  );
  return !enough;
}

function reasonOf(result: Results[string] | undefined): string {
  if (result === undefined) return "not run";
  return result === true ? "passed, but a test that it depends on did not" : result.join(": ");
}

function added(sum: Partial<Row>, row: Row): Partial<Row> {
  const result: Partial<Row> = { ...sum };
  for (const key of ["requiredPassed", "required", "optimalPassed", "optimal", "checksYes", "checks"] as const) result[key] = (sum[key] ?? 0) + row[key];
  return result;
}

function lineOf(row: Row): string {
  const cells = [`${row.requiredPassed}/${row.required}`, `${row.optimalPassed}/${row.optimal}`, `${row.checksYes}/${row.checks}`];
  return row.suite.padEnd(58) + cells.map((cell) => cell.padStart(12)).join("");
}
