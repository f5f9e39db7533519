/** The part of bench/README.md that is written by a run. */
import { readFileSync, writeFileSync } from "node:fs";

const BEGIN = "<!-- results: begin -->";
const END = "<!-- results: end -->";

export function writeBetweenMarkers(file: string, markdown: string): void {
  const text = readFileSync(file, "utf8");
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${file} holds no "${BEGIN}" … "${END}"`);
  const chart = "![CPU per request of every server, by work](results/bench.svg)";
  writeFileSync(file, `${text.slice(0, from + BEGIN.length)}\n\n${chart}\n\n${markdown.trim()}\n\n${text.slice(to)}`);
}
