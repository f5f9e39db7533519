/** TypeScript's own verdict: TypeScript 7 has no stable API, so `tsc` runs as a child with a deadline. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import type { ResolvedConfig } from "../config/resolved.ts";
import { located } from "./bundle.ts";
import type { Problem } from "./problem.ts";

const DEADLINE_MS = 120_000;
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
/** `file(line,column): error TS2304: text`; what is indented below belongs to the text. */
const LINE = /^(.+?)\((\d+),(\d+)\): error (TS\d+: .*)$/;

export interface TypecheckOptions {
  /** Ends it, process and all; it rejects then. */
  readonly signal?: AbortSignal;
  /** Nobody waits for it: it gives way to what else runs on the machine. False by default. */
  readonly inBackground?: boolean;
}

/** Checks the project by the nearest tsconfig.json. Without one there is nothing to check by. */
export async function typecheck(config: ResolvedConfig, options: TypecheckOptions = {}): Promise<Problem[]> {
  const project = nearestTsconfig(config.baseDir);
  if (project === "") return [];
  const { output, code } = await run(project, options);
  const problems: Problem[] = [];
  for (const line of output.split("\n")) {
    const match = LINE.exec(line);
    const last = problems.at(-1);
    if (match)
      problems.push(
        located(config.baseDir, path.relative(config.baseDir, path.resolve(path.dirname(project), match[1]!)), Number(match[2]), Number(match[3]), match[4]!),
      );
    else if (/^\s+\S/.test(line) && last) problems[problems.length - 1] = { ...last, text: `${last.text}\n${line}` };
  }
  if (code !== 0 && problems.length === 0)
    problems.push({ file: path.relative(config.baseDir, project), line: 0, column: 0, text: `tsc ended with ${code}: ${output.slice(0, 2000)}`, frame: "" });
  return problems;
}

function nearestTsconfig(folder: string): string {
  for (let at = folder; ; at = path.dirname(at)) {
    const file = path.join(at, "tsconfig.json");
    if (existsSync(file)) return file;
    if (at === path.dirname(at)) return "";
  }
}

function run(project: string, { signal, inBackground = false }: TypecheckOptions): Promise<{ output: string; code: number | null }> {
  const manifest = createRequire(import.meta.url).resolve("typescript/package.json");
  const compiler = path.join(path.dirname(manifest), "bin/tsc");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [compiler, "--noEmit", "--pretty", "false", "-p", project], {
      cwd: path.dirname(project),
      stdio: ["ignore", "pipe", "pipe"],
      timeout: DEADLINE_MS,
      // It goes on for as long as it likes after a TERM.
      killSignal: "SIGKILL",
      ...(signal === undefined ? {} : { signal }),
    });
    if (inBackground && child.pid !== undefined) giveWay(child.pid);
    let output = "";
    const collect = (piece: Buffer): void => {
      if (output.length < MAX_OUTPUT_BYTES) output += piece.toString();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", reject);
    child.on("close", (code) => resolve({ output, code }));
  });
}

function giveWay(pid: number): void {
  try {
    os.setPriority(pid, os.constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It is gone already, or the system does not let it be slowed down: then it runs like anything else.
  }
}
