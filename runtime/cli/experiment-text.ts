/** A report in the terminal: the verdict first, then what it stands on. */
import type { Report } from "../experiments/study/report.ts";
import type { Summary } from "../experiments/study/summary.ts";
import {
  count,
  edge,
  guardrailLines,
  moment,
  outcomeText,
  pastLines,
  percent,
  probability,
  qualityLines,
  reachedText,
  signed,
  stateText,
} from "./experiment-words.ts";
import { table } from "./rollout-progress.ts";

const BAR_CELLS = 24;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const WIDTH = 96;

export function listLines(experiments: readonly Summary[]): string[] {
  if (experiments.length === 0) return ["the release that serves has no experiments"];
  const rows = experiments.map(({ key, version, live, traffic, arms, verdict }) => [
    key,
    String(version),
    live.state.kind === "shipped" ? `shipped ${live.state.variant}` : live.state.kind,
    percent(traffic),
    arms.map(({ variant, units }) => `${variant} ${count(units)}`).join(", "),
    verdict.outcome,
  ]);
  return table(["experiment", "version", "state", "traffic", "visitors", "verdict"], rows);
}

export function reportLines(report: Report): string[] {
  return [
    `${report.experiment}, version ${report.version}: ${spelled(stateText(report))}`,
    "",
    ...wrapped(report.verdict.sentence, WIDTH - 2).map((line) => `  ${line}`),
    "",
    ...report.goals.flatMap((_, goal) => [...goalLines(report, goal), ""]),
    ...guardrails(report),
    ...split(report),
    ...chances(report),
    ...section("Not counted", qualityLines(report)),
    ...section(
      "Story",
      report.story.map(({ atUnixMs, what, by, why }) => `${moment(atUnixMs)}  ${what}${by === "" ? "" : ` by ${by}`}${why === "" ? "" : `: ${spelled(why)}`}`),
    ),
  ].slice(0, -1);
}

function goalLines(report: Report, goal: number): string[] {
  const { name, kind } = report.goals[goal]!;
  const most = Math.max(...report.arms.map((arm) => arm.goals[goal]!.mean), Number.MIN_VALUE);
  const rows = report.arms.map((arm, i) => {
    const own = arm.goals[goal]!;
    const comparison = i === 0 ? null : report.analysis.variants[i - 1]!.goals[goal]!;
    const range = comparison?.sequential?.relative ?? null;
    return [
      `  ${arm.variant}`,
      count(arm.units),
      count(own.units),
      reachedText(report, goal, own),
      bar(own.mean / most),
      comparison === null ? "" : signed(comparison.lift),
      range === null ? "" : `${edge(range.low)} to ${edge(range.high)}`,
      comparison === null ? "" : outcomeText(comparison.outcome),
    ];
  });
  const head = [
    "",
    "visitors",
    "reached",
    kind === "conversion" ? "rate" : "a visitor",
    "",
    "change",
    `${Math.round(report.confidence * 100)} % sure: between`,
    "",
  ];
  const past = pastLines(report, goal).flatMap((line) => wrapped(line, WIDTH - 2).map((part, i) => `${i === 0 ? "  " : "    "}${part}`));
  return [`${name}${goal === 0 ? " (decides)" : ""}`, ...table(head, rows), ...past];
}

function guardrails(report: Report): string[] {
  const lines = guardrailLines(report);
  if (lines.length === 0) return [];
  const marks = { fail: "FAILS", pass: "passes", hold: "holds" } as const;
  const rows = lines.map(({ name, variant, values, limit, outcome, text }) => [
    `  ${name}`,
    `control ${values[0]}`,
    `${variant} ${values[1]}`,
    `at most ${signed(limit)}`,
    marks[outcome],
    text,
  ]);
  return ["Guardrails", ...table(["", "", "", "allowed", "", ""], rows).slice(1), ""];
}

function split({ analysis }: Report): string[] {
  const total = analysis.units.reduce((sum, { units }) => sum + units, 0);
  if (total === 0) return [];
  const { found, sequentialP, chiSquareP } = analysis.mismatch;
  const shares = analysis.units.map(({ variant, units, expectedShare }) => `${variant} ${percent(units / total)} of ${percent(expectedShare)} promised`);
  return [
    `Split: ${found ? "BROKEN" : "as promised"} (${shares.join(", ")}; p ${probability(sequentialP)} at every look, χ² ${probability(chiSquareP)} for one look)`,
    "",
  ];
}

function chances({ analysis, arms }: Report): string[] {
  if (analysis.chancesOfBest === null || arms.every(({ units }) => units === 0)) return [];
  return [
    `Chance to be the best: ${arms.map(({ variant }, i) => `${variant} ${percent(analysis.chancesOfBest![i]!)}`).join(", ")} (shown, decides nothing)`,
    "",
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`), ""];
}

function bar(share: number): string {
  const eighths = Math.round(Math.max(0, Math.min(1, share)) * BAR_CELLS * 8);
  return `${"█".repeat(Math.floor(eighths / 8))}${EIGHTHS[eighths % 8]}`.padEnd(BAR_CELLS);
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + word.length >= width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** What operators wrote may hold escape sequences. */
function spelled(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, (character) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`);
}
