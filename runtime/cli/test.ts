/** `sluice test`: the project's `*.test.ts` files against real sandboxes, and which lines of the rules they ran. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { glob } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { FileOutcome } from "../testing/session.ts";
import { coverageText, type Coverage } from "./coverage-text.ts";
import type { Terminal } from "./terminal.ts";
import { runFiles } from "./test-runners.ts";

export interface TestOptions {
  readonly config: string;
  readonly coverage: boolean;
  /** Percent of lines, below which the command fails; null: whatever it is. */
  readonly coverageThreshold: number | null;
  readonly files: readonly string[];
}

export async function runTests(options: TestOptions, terminal: Terminal): Promise<number> {
  const { config } = options;
  const since = performance.now();
  const folder = existsSync(config) && path.extname(config) !== "" ? path.dirname(path.resolve(config)) : path.resolve(config);
  const files = options.files.length > 0 ? options.files.map((file) => path.resolve(file)) : await findTests(folder);
  const missing = files.filter((file) => !existsSync(file));
  if (missing.length > 0 || files.length === 0) {
    terminal.problem(missing.length > 0 ? `no such test file: ${missing.join(", ")}` : `no *.test.ts below ${folder}; sluice init writes one to begin with`);
    return 1;
  }
  const covers = options.coverage || options.coverageThreshold !== null;
  // The compiler is loaded for those who want it.
  const tools = covers ? await import("./test-coverage.ts") : null;
  const coverageFolder = covers ? mkdtempSync(path.join(tmpdir(), "sluice-coverage-")) : "";
  try {
    const outcomes = await runFiles(files, {
      env: tools === null ? {} : tools.coverageEnvironment(coverageFolder),
      told: (outcome) => terminal.say(fileText(outcome, folder)),
    });
    const coverage = tools === null ? null : await tools.readCoverage(coverageFolder, config, folder, options.coverageThreshold);
    return report(outcomes, coverage, performance.now() - since, terminal);
  } finally {
    if (covers) rmSync(coverageFolder, { recursive: true, force: true });
  }
}

async function findTests(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const name of glob("**/*.test.ts", {
    cwd: folder,
    exclude: (entry) => path.basename(entry) === "node_modules" || path.basename(entry).startsWith("."),
  }))
    found.push(path.join(folder, name));
  return found.sort();
}

function fileText({ file, tests, failure }: FileOutcome, folder: string): string {
  const lines = [path.relative(folder, file)];
  for (const test of tests) {
    lines.push(`  ${test.failure === null ? "✔" : "✖"} ${test.name} (${test.tookMs.toFixed(test.tookMs < 10 ? 1 : 0)} ms)`);
    if (test.failure !== null) lines.push(indented(test.failure));
  }
  if (failure !== null) lines.push("  ✖ the file", indented(failure));
  return lines.join("\n");
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, "      ");
}

function report(outcomes: readonly FileOutcome[], coverage: Coverage | null, tookMs: number, terminal: Terminal): number {
  const tests = outcomes.flatMap((outcome) => outcome.tests);
  const fail = tests.filter(({ failure }) => failure !== null).length + outcomes.filter(({ failure }) => failure !== null).length;
  const pass = tests.filter(({ failure }) => failure === null).length;
  const isLow = coverage !== null && coverage.threshold !== null && coverage.percent < coverage.threshold;
  terminal.result({ files: outcomes, pass, fail, tookMs: Math.round(tookMs), ...(coverage === null ? {} : { coverage }) }, () => [
    `ℹ tests ${pass + fail}`,
    `ℹ pass ${pass}`,
    `ℹ fail ${fail}`,
    `ℹ duration_ms ${Math.round(tookMs)}`,
    ...(coverage === null ? [] : ["", ...coverageText(coverage)]),
  ]);
  if (isLow && !terminal.json) terminal.problem(`the tests run ${coverage.percent} % of the rules' lines, expected at least ${coverage.threshold} %`);
  return fail > 0 || isLow ? 1 : 0;
}
