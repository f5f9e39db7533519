/** `sluice test`: the project's `*.test.ts` files, each in a process of Node's test runner, against real sandboxes. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { glob } from "node:fs/promises";
import path from "node:path";
import { isCheckout } from "./package-root.ts";
import type { Terminal } from "./terminal.ts";

/** A file that hangs is a failed file. */
const FILE_TIMEOUT_MS = 120_000;
const FILES_AT_ONCE = 2;

export async function runTests(
  options: { readonly config: string; readonly coverage: boolean; readonly files: readonly string[] },
  terminal: Terminal,
): Promise<number> {
  const folder = existsSync(options.config) && path.extname(options.config) !== "" ? path.dirname(path.resolve(options.config)) : path.resolve(options.config);
  const files = options.files.length > 0 ? options.files.map((file) => path.resolve(file)) : await findTests(folder);
  const missing = files.filter((file) => !existsSync(file));
  if (missing.length > 0 || files.length === 0) {
    terminal.problem(missing.length > 0 ? `no such test file: ${missing.join(", ")}` : `no *.test.ts below ${folder}; sluice init writes one to begin with`);
    return 1;
  }
  const flags = [
    ...(isCheckout ? ["--conditions=sluice-source"] : []),
    ...(options.coverage ? ["--experimental-test-coverage"] : []),
    ...(terminal.json ? ["--test-reporter=tap"] : []),
    `--test-timeout=${FILE_TIMEOUT_MS}`,
    `--test-concurrency=${FILES_AT_ONCE}`,
  ];
  return new Promise((resolve, reject) => {
    const runner = spawn(process.execPath, [...flags, "--test", ...files], { cwd: folder, stdio: "inherit" });
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => runner.kill(signal));
    runner.on("error", reject);
    runner.on("exit", (code) => resolve(code === 0 ? 0 : 1));
  });
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
