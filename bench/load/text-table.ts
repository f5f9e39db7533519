/** Tables for the terminal and for Markdown. */

export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
}

export type Row = readonly string[];

export function textTable(columns: readonly Column[], rows: readonly Row[]): string {
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: Row): string =>
    cells
      .map((cell, i) => (columns[i]!.align === "left" ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd();
  const titles = columns.map(({ title }) => title);
  return [line(titles), line(widths.map((width) => "─".repeat(width))), ...rows.map((row) => line(row))].map((each) => `${each}\n`).join("");
}

export function markdownTable(columns: readonly Column[], rows: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.join(" | ")} |\n`;
  return line(columns.map(({ title }) => title)) + line(columns.map(({ align }) => (align === "left" ? "---" : "--:"))) + rows.map((row) => line(row)).join("");
}

/** Text in lines of at most `width` units, broken between words; a longer word stands alone. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines;
}
