/** What a session of the benchmark found, as it is kept in a file, and the figures that are made of it. */
import { cpus, release, totalmem } from "node:os";
import type { Measured } from "./measure.ts";

export interface Cell {
  readonly work: string;
  readonly connections: number;
  readonly contender: string;
  /** One for each round, in order: the n-th runs of two contenders stood beside each other in time. */
  readonly runs: readonly Measured[];
}

export interface Results {
  readonly takenAt: string;
  readonly machine: string;
  readonly pinned: boolean;
  readonly rounds: number;
  readonly seconds: number;
  /** Name → version, of those that took part. */
  readonly versions: Readonly<Record<string, string>>;
  readonly cells: readonly Cell[];
  /** Measurements that could not be taken, and why. */
  readonly failures: readonly string[];
}

/** A figure over several runs. */
export interface Figure {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

export function machine(): string {
  const cores = cpus();
  return `${cores.length} × ${cores[0]?.model.trim() ?? "unknown CPU"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.versions.node}`;
}

export function figure(values: readonly number[]): Figure {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, lowest: sorted[0]!, highest: sorted.at(-1)! };
}

export function cellOf(results: Results, work: string, connections: number, contender: string): Cell | undefined {
  return results.cells.find((cell) => cell.work === work && cell.connections === connections && cell.contender === contender);
}

/** CPU per request of one cell in units of another's, run by run: what drifts on the machine drifts for both. */
export function cpuRatio(cell: Cell, other: Cell): Figure {
  const pairs = Math.min(cell.runs.length, other.runs.length);
  return figure(Array.from({ length: pairs }, (_, i) => cell.runs[i]!.cpuUsPerRequest / other.runs[i]!.cpuUsPerRequest));
}
