/** Coverage of rules, for people and machines. A line counts where a statement begins on it, as covered when all that begin there have run. */
import path from "node:path";
import type { CoverageBook } from "../testing/coverage.ts";
import { table } from "./rollout-progress.ts";

export interface FileCoverage {
  /** From the project's folder. */
  readonly file: string;
  readonly lines: number;
  readonly covered: number;
  /** With one decimal; rounded down, so that 100 means all. */
  readonly percent: number;
  /** First and last line of what never ran. */
  readonly uncovered: readonly (readonly [from: number, to: number])[];
}

export interface Coverage {
  readonly files: readonly FileCoverage[];
  readonly lines: number;
  readonly covered: number;
  readonly percent: number;
  readonly threshold: number | null;
}

export function coverageOf(book: CoverageBook, folder: string, threshold: number | null): Coverage {
  const files = [...book.files].map(([file, statements]): FileCoverage => {
    const lines = new Map<number, boolean>();
    const missed: [number, number][] = [];
    for (const [line, , endLine, hit] of statements) {
      lines.set(line, (lines.get(line) ?? true) && hit === 1);
      if (hit === 0) missed.push([line, endLine]);
    }
    const covered = [...lines.values()].filter((hit) => hit).length;
    return { file: path.relative(folder, file), lines: lines.size, covered, percent: percentOf(covered, lines.size), uncovered: joined(missed) };
  });
  const sum = (name: "lines" | "covered"): number => files.reduce((total, file) => total + file[name], 0);
  return { files, lines: sum("lines"), covered: sum("covered"), percent: percentOf(sum("covered"), sum("lines")), threshold };
}

export function coverageText({ files, lines, covered, percent }: Coverage): string[] {
  const rows = files.map((file) => [
    file.file,
    `${file.covered}/${file.lines}`,
    `${file.percent.toFixed(1)} %`,
    file.uncovered.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(" "),
  ]);
  return table(["rule", "lines", "covered", "never ran"], [...rows, ["all", `${covered}/${lines}`, `${percent.toFixed(1)} %`, ""]]);
}

function percentOf(covered: number, lines: number): number {
  return lines === 0 ? 100 : Math.floor((covered / lines) * 1000) / 10;
}

function joined(ranges: readonly (readonly [number, number])[]): [number, number][] {
  const merged: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}
