/** What commands say: sentences and tables for people, one JSON value for machines (`--json`). */
import type { Problem } from "../compile/compile.ts";
import type { ConfigError } from "../config/config.ts";
import { GatewayError } from "../errors.ts";

export class Terminal {
  readonly #out: NodeJS.WritableStream;
  readonly #err: NodeJS.WritableStream;
  readonly json: boolean;

  constructor(out: NodeJS.WritableStream, err: NodeJS.WritableStream, json: boolean) {
    this.#out = out;
    this.#err = err;
    this.json = json;
  }

  /** The outcome of a command. */
  result(value: unknown, lines: () => readonly string[]): void {
    this.#out.write(this.json ? `${JSON.stringify(value)}\n` : `${lines().join("\n")}\n`);
  }
  /** A line while it works; nothing for machines. */
  say(line: string): void {
    if (!this.json) this.#out.write(`${line}\n`);
  }
  warn(line: string): void {
    this.#err.write(`warning: ${line}\n`);
  }
  /** What was compiled all the same. */
  warnings(problems: readonly Problem[] | undefined): void {
    for (const problem of problems ?? []) this.warn(formatProblem(problem));
  }
  problem(line: string): void {
    if (this.json) this.#out.write(`${JSON.stringify({ problems: [{ text: line }] })}\n`);
    else this.#err.write(`${line}\n`);
  }
  problems(problems: readonly Problem[]): void {
    if (this.json) {
      this.#out.write(`${JSON.stringify({ problems })}\n`);
      return;
    }
    for (const problem of problems) this.#err.write(`${formatProblem(problem)}\n\n`);
    this.#err.write(`${problems.length} problem${problems.length === 1 ? "" : "s"}\n`);
  }
  configError(error: ConfigError): void {
    if (this.json) this.#out.write(`${JSON.stringify({ problems: error.problems })}\n`);
    else this.#err.write(`${error.message}\n`);
  }
  /** Something that no command expected. Gateway errors tell what to do; anything else is a defect and shows its stack. */
  failure(thrown: unknown): void {
    if (this.json) {
      const text = thrown instanceof Error ? thrown.message : String(thrown);
      this.#out.write(`${JSON.stringify({ problems: [{ text }] })}\n`);
    } else if (thrown instanceof GatewayError) this.#err.write(`${thrown.message}\n`);
    else this.#err.write(`${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
  }
}

/** In UTC, to the second. */
export function momentText(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(0, 19).replace("T", " ");
}

/** `file:line:column: text`, then the code frame. */
export function formatProblem(problem: Problem): string {
  const where = problem.file === "" ? "" : `${problem.file}${problem.line > 0 ? `:${problem.line}:${problem.column}` : ""}: `;
  return `${where}${problem.text}${problem.frame === "" ? "" : `\n${problem.frame}`}`;
}
