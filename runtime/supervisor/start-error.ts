/** Why the gateway does not start, or a change was not taken: all reasons at once, for the terminal, the log and the status page. */
export class StartError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[], options?: { cause?: unknown }) {
    super(problems.join("\n"), options);
    this.name = "StartError";
    this.problems = problems;
  }
}

export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
