/** The results as tables. Sluice's losses stand in them like its wins. */
import { CONTENDERS } from "../peers/peers.ts";
import { type Cell, cellOf, cpuRatio, type Figure, figure, type Results } from "./results.ts";
import { type Column, markdownTable, type Row, textTable } from "./text-table.ts";
import { WORKS } from "./work.ts";

const COLUMNS: readonly Column[] = [
  { title: "server", align: "left" },
  { title: "CPU µs/request", align: "right" },
  { title: "(lowest – highest)", align: "right" },
  { title: "Sluice's ÷ its", align: "right" },
  { title: "requests/s", align: "right" },
  { title: "p50 ms", align: "right" },
  { title: "p99 ms", align: "right" },
  { title: "memory MiB", align: "right" },
  { title: "errors", align: "right" },
];

interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
}

export function terminalReport(results: Results): string {
  const tables = sections(results).map(({ title, rows }) => `\n${title}\n${textTable(COLUMNS, rows)}`);
  return `${about(results)}\n${tables.join("")}\n${conclusions(results)
    .map((line) => `${line}\n`)
    .join("")}`;
}

export function markdownReport(results: Results): string {
  const tables = sections(results).map(({ title, rows }) => `\n### ${title[0]!.toUpperCase()}${title.slice(1)}\n\n${markdownTable(COLUMNS, rows)}`);
  const list = conclusions(results).map((line) => `- ${line}\n`);
  return `${about(results)}\n\n${list.join("")}${tables.join("")}`;
}

function about({ takenAt, machine, pinned, rounds, seconds, versions }: Results): string {
  const names = Object.entries(versions).map(([name, version]) => `${titleOf(name)} ${version}`);
  const where = pinned ? "Each server alone on one core, load and origin on the other." : "One core for everything: the servers were not pinned.";
  return `Taken ${takenAt.slice(0, 10)} on ${machine}. ${where} ${rounds} alternating round${rounds === 1 ? "" : "s"} of ${seconds} s; medians. ${names.join(", ")}.`;
}

function sections(results: Results): Section[] {
  return WORKS.flatMap((work) =>
    work.connections.flatMap((connections) => {
      const cells = CONTENDERS.flatMap(({ name }) => cellOf(results, work.name, connections, name) ?? []);
      const own = cellOf(results, work.name, connections, "sluice");
      const title = `${work.title}, ${connections === 1 ? "1 connection" : `${connections.toLocaleString("en")} connections`}`;
      return cells.length === 0 ? [] : [{ title, rows: cells.map((cell) => rowOf(cell, own)) }];
    }),
  );
}

function rowOf(cell: Cell, own: Cell | undefined): Row {
  const over = (pick: (run: Cell["runs"][number]) => number): Figure => figure(cell.runs.map(pick));
  const cpu = over((run) => run.cpuUsPerRequest);
  const ratio = own === undefined || own === cell ? "" : cpuRatio(own, cell).median.toFixed(2);
  return [
    titleOf(cell.contender),
    cpu.median.toFixed(1),
    `${cpu.lowest.toFixed(1)} – ${cpu.highest.toFixed(1)}`,
    ratio,
    over((run) => run.requestsPerSecond).median.toFixed(0),
    over((run) => run.p50Ms).median.toFixed(3),
    over((run) => run.p99Ms).median.toFixed(2),
    over((run) => run.memoryMiB).median.toFixed(0),
    String(cell.runs.reduce((sum, run) => sum + run.errors, 0)),
  ];
}

/** The comparisons that the project measures itself by, as far as they were taken. */
function conclusions(results: Results): string[] {
  return [
    ratioLine(results, "plain", 50, "haproxy"),
    ratioLine(results, "both-hooks", 50, "haproxy"),
    ratioLine(results, "both-hooks", 50, "nginx-lua"),
    ratioLine(results, "both-hooks", 50, "workerd"),
    latencyLine(results, "nginx-lua"),
    growthLine(results),
  ].filter((line) => line !== "");
}

function ratioLine(results: Results, workName: string, connections: number, other: string): string {
  const own = cellOf(results, workName, connections, "sluice");
  const theirs = cellOf(results, workName, connections, other);
  if (!own || !theirs) return "";
  const { median, lowest, highest } = cpuRatio(own, theirs);
  const title = WORKS.find(({ name }) => name === workName)!.title;
  return `CPU per request, ${title}, ${connections} connections: ${median.toFixed(2)} × ${titleOf(other)}'s (${lowest.toFixed(2)} – ${highest.toFixed(2)} over paired rounds)`;
}

function latencyLine(results: Results, other: string): string {
  const own = cellOf(results, "both-hooks", 1, "sluice");
  const theirs = cellOf(results, "both-hooks", 1, other);
  if (!own || !theirs) return "";
  const p50Us = (cell: Cell): number => figure(cell.runs.map((run) => run.p50Ms)).median * 1_000;
  const [ownUs, theirUs] = [p50Us(own), p50Us(theirs)];
  const difference = ownUs - theirUs;
  return `Median latency, request and response hooks, one connection: ${ownUs.toFixed(0)} µs, ${titleOf(other)} ${theirUs.toFixed(0)} µs (${difference < 0 ? "−" : "+"}${Math.abs(difference).toFixed(0)} µs)`;
}

function growthLine(results: Results): string {
  const one = cellOf(results, "both-hooks", 50, "sluice");
  const many = cellOf(results, "ten-thousand-rules", 50, "sluice");
  if (!one || !many) return "";
  const { median, lowest, highest } = cpuRatio(many, one);
  return `Sluice, from 1 to 10,000 rules, 50 connections: ${median.toFixed(2)} × the CPU per request (${lowest.toFixed(2)} – ${highest.toFixed(2)})`;
}

export function titleOf(name: string): string {
  return CONTENDERS.find((contender) => contender.name === name)?.title ?? name;
}
