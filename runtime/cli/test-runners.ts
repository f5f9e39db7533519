/** The processes that run test files: a few, each one file after the other, so that sandboxes are started once and not for each file. */
import { fork, spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { FromRunner, ToRunner } from "../testing/test-files-main.ts";
import type { FileOutcome } from "../testing/session.ts";
import { isCheckout, packageRoot } from "./package-root.ts";

/** A file that hangs is a failed file. */
const FILE_TIMEOUT_MS = 120_000;
/** A process of its own pays from so many files on: it starts three more. */
const FILES_PER_RUNNER = 6;
const MAX_RUNNERS = 4;
const FLAGS = isCheckout ? ["--conditions=sluice-source"] : [];
const RUNNER = fileURLToPath(new URL(`../testing/test-files-main${path.extname(fileURLToPath(import.meta.url))}`, import.meta.url));
/** Sources whose types are stripped load in half the time when what came of it is kept (485 → 212 ms for a runner). */
const COMPILE_CACHE = path.join(packageRoot, "node_modules", ".cache", "node-compile");
/** Declares its tests to Node's own runner: that needs a process for itself. */
const USES_NODE_TEST = /from\s*["']node:test["']|require\(\s*["']node:test["']\s*\)/;

export interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly told: (outcome: FileOutcome) => void;
}

/** Outcomes in the order of `files`. */
export async function runFiles(files: readonly string[], options: RunOptions): Promise<FileOutcome[]> {
  const outcomes = new Map<string, FileOutcome>();
  const waiting = [...files];
  const count = Math.min(availableParallelism(), MAX_RUNNERS, Math.ceil(files.length / FILES_PER_RUNNER));
  const take = (outcome: FileOutcome): void => {
    outcomes.set(outcome.file, outcome);
    options.told(outcome);
  };
  await Promise.all(Array.from({ length: count }, () => work(waiting, take, options.env)));
  return files.map((file) => outcomes.get(file)!);
}

async function work(waiting: string[], take: (outcome: FileOutcome) => void, env: RunOptions["env"]): Promise<void> {
  let runner: Runner | null = null;
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    if (USES_NODE_TEST.test(readFileSync(file, "utf8"))) {
      take(await runAlone(file, env));
      continue;
    }
    runner ??= new Runner(env);
    const outcome = await runner.run(file);
    take(outcome);
    if (runner.ended) runner = null;
  }
  await runner?.end();
}

function environment(env: RunOptions["env"]): NodeJS.ProcessEnv {
  // Node's runner marks the processes below it, and refuses to run tests in one that carries the mark.
  const { NODE_TEST_CONTEXT: _, ...rest } = process.env;
  return { ...(isCheckout ? { NODE_COMPILE_CACHE: COMPILE_CACHE } : {}), ...rest, ...env };
}

class Runner {
  ended = false;
  readonly #child: ChildProcess;
  readonly #exit: Promise<string>;
  #take: ((outcome: FileOutcome) => void) | null = null;

  constructor(env: RunOptions["env"]) {
    const standardError = process.stderr;
    // What tests print is no part of what machines read.
    this.#child = fork(RUNNER, { execArgv: FLAGS, env: environment(env), stdio: ["ignore", standardError, standardError, "ipc"] });
    forwardSignals(this.#child);
    this.#exit = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve(error.message));
      this.#child.once("exit", (code, signal) => resolve(`the process that ran it ended (${signal ?? code})`));
    });
    void this.#exit.then(() => (this.ended = true));
    this.#child.on("message", (word: FromRunner) => {
      if ("outcome" in word) this.#take?.(word.outcome);
    });
  }

  async run(file: string): Promise<FileOutcome> {
    const since = performance.now();
    const outcome = new Promise<FileOutcome>((resolve) => (this.#take = resolve));
    this.#child.send({ run: file } satisfies ToRunner);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), FILE_TIMEOUT_MS);
    const lost = this.#exit.then((failure): FileOutcome => ({ file, tests: [], failure, tookMs: performance.now() - since }));
    try {
      return await Promise.race([outcome, lost]);
    } finally {
      clearTimeout(timer);
    }
  }

  async end(): Promise<void> {
    this.#child.send({ end: true } satisfies ToRunner);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), FILE_TIMEOUT_MS);
    await this.#exit;
    clearTimeout(timer);
  }
}

async function runAlone(file: string, env: RunOptions["env"]): Promise<FileOutcome> {
  const since = performance.now();
  const child = spawn(process.execPath, [...FLAGS, `--test-timeout=${FILE_TIMEOUT_MS}`, "--test-reporter=spec", file], {
    env: environment(env),
    stdio: ["ignore", "pipe", "inherit"],
    timeout: FILE_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  forwardSignals(child);
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => (printed += more));
  const code = await new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  const tookMs = performance.now() - since;
  return { file, tests: [{ name: "node:test", failure: code === 0 ? null : printed, tookMs }], failure: null, tookMs };
}

function forwardSignals(child: ChildProcess): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const forward = (): void => void child.kill(signal);
    process.once(signal, forward);
    child.once("exit", () => process.off(signal, forward));
  }
}
