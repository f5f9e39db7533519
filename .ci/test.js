/**
 * Runs test files with Node's test runner, two files at a time (a file starts whole process trees of its own). Without
 * arguments the whole suite; otherwise the files, patterns or options of Node's runner that are given.
 */
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const FILES_AT_ONCE = 2;
const TEST_TIMEOUT_MS = 120_000;
/** The suite starts some thousand Node processes of the same sources: with what they compiled kept, each takes a fifth less. */
const COMPILE_CACHE = join(dirname(here), "node_modules", ".cache", "node-compile");

const given = process.argv.slice(2);
const files = given.some((argument) => !argument.startsWith("-")) ? given : [...given, "test/**/*.test.ts"];
const flags = [
  "--conditions=sluice-source",
  `--import=${pathToFileURL(join(here, "test-deadline.js")).href}`,
  "--test",
  `--test-concurrency=${FILES_AT_ONCE}`,
  `--test-timeout=${TEST_TIMEOUT_MS}`,
];
const runner = spawn(process.execPath, [...flags, ...files], {
  cwd: dirname(here),
  stdio: "inherit",
  env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...process.env },
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => runner.kill(signal));
runner.on("exit", (code, signal) => {
  process.exitCode = signal ? 1 : code;
});
