/** What is wrong, and where. */
export interface Problem {
  /** Relative to the project, or "" when it stands nowhere in particular. */
  readonly file: string;
  /** From 1; 0 when unknown. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  readonly text: string;
  /** The lines around it with a caret, or "". */
  readonly frame: string;
}

const CONTEXT_LINES = 2;
const MAX_LINE_LENGTH = 160;

/** The lines around `line`, numbered, with a caret below `column`. */
export function codeFrame(source: string, line: number, column: number): string {
  const lines = source.split(/\r?\n/);
  if (line < 1 || line > lines.length) return "";
  const first = Math.max(1, line - CONTEXT_LINES);
  const last = Math.min(lines.length, line + CONTEXT_LINES);
  const width = String(last).length;
  const rows: string[] = [];
  for (let number = first; number <= last; number++) {
    const marked = number === line;
    const text = lines[number - 1]!.replaceAll("\t", " ");
    rows.push(`${marked ? ">" : " "} ${String(number).padStart(width)} | ${text.length > MAX_LINE_LENGTH ? `${text.slice(0, MAX_LINE_LENGTH)}…` : text}`);
    if (marked) rows.push(`  ${" ".repeat(width)} | ${" ".repeat(Math.min(Math.max(0, column - 1), MAX_LINE_LENGTH))}^`);
  }
  return rows.join("\n");
}
