/** `sluice experiments …`: what runs, what came of it, and what is to happen with it. */
import { writeFile } from "node:fs/promises";
import { duration, smallestLift } from "../experiments/statistics/statistics.ts";
import type { Report } from "../experiments/study/report.ts";
import type { Summary } from "../experiments/study/summary.ts";
import { nearest } from "../nearest.ts";
import { type AdminPlace, callAdmin, reaching } from "./admin-call.ts";
import { reportPage } from "./experiment-page/page.ts";
import { listLines, reportLines } from "./experiment-text.ts";
import { count, moment, percent, signed } from "./experiment-words.ts";
import type { Terminal } from "./terminal.ts";

const FAILED = 1;
const BAD_USAGE = 2;

export interface ListOptions extends AdminPlace {
  /** Words that are no command: what comes first was meant to be one. */
  readonly args: readonly [readonly string[]];
}

const COMMANDS = ["list", "report", "stop", "start", "ship", "force", "plan"];

export function listExperiments(options: ListOptions, terminal: Terminal): Promise<number> {
  const [[word]] = options.args;
  if (word !== undefined) {
    const near = nearest(word, COMMANDS);
    terminal.problem(`found sluice experiments ${word}, expected ${near === "" ? `one of ${COMMANDS.join(", ")}` : `sluice experiments ${near}`}`);
    return Promise.resolve(BAD_USAGE);
  }
  return reaching(terminal, async () => {
    const answer = await callAdmin(options, "/v1/experiments");
    terminal.result(answer, () => listLines(answer["experiments"] as readonly Summary[]));
    return 0;
  });
}

export interface ReportOptions extends AdminPlace {
  readonly html?: string;
  readonly args: readonly [string];
}

export function reportExperiment(options: ReportOptions, terminal: Terminal): Promise<number> {
  const [key] = options.args;
  return reaching(terminal, async () => {
    const report = (await callAdmin(options, placeOf(key))) as unknown as Report;
    if (options.html === undefined) {
      terminal.result(report, () => reportLines(report));
      return 0;
    }
    try {
      await writeFile(options.html, reportPage(report, Date.now()));
    } catch (thrown) {
      terminal.problem(`${options.html} cannot be written: ${(thrown as Error).message}`);
      return FAILED;
    }
    terminal.result({ written: options.html, verdict: report.verdict }, () => [report.verdict.sentence, `written: ${options.html}`]);
    return 0;
  });
}

export interface DecideOptions extends AdminPlace {
  readonly message: string;
  readonly args: readonly [key: string, variant?: string];
}

export function decideExperiment(what: "stop" | "start" | "ship"): (options: DecideOptions, terminal: Terminal) => Promise<number> {
  const done = { stop: "stopped: everybody sees control", start: "runs again", ship: "shipped: everybody sees" } as const;
  return (options, terminal) =>
    reaching(terminal, async () => {
      const [key, variant] = options.args;
      const body = { ...(options.message === "" ? {} : { reason: options.message }), ...(variant === undefined ? {} : { variant }) };
      const answer = await callAdmin(options, `${placeOf(key)}/${what}`, body);
      terminal.result(answer, () => [`${key} ${done[what]}${variant === undefined ? "" : ` ${variant}`}, on every gateway within two seconds`]);
      return 0;
    });
}

export interface ForceOptions extends AdminPlace {
  readonly url?: string;
  readonly lifetime?: number;
  readonly args: readonly [key: string, variant: string];
}

export function forceExperiment(options: ForceOptions, terminal: Terminal): Promise<number> {
  const [key, variant] = options.args;
  const target = URL.parse(options.url ?? "http://localhost/");
  if (target === null) {
    terminal.problem(`found --url ${options.url}, expected the address of a page, such as https://shop.example.com/`);
    return Promise.resolve(BAD_USAGE);
  }
  return reaching(terminal, async () => {
    const answer = await callAdmin(options, `${placeOf(key)}/force`, { variant, ...(options.lifetime === undefined ? {} : { lifetimeMs: options.lifetime }) });
    const { parameter, token, untilUnixMs } = answer as unknown as { parameter: string; token: string; untilUnixMs: number };
    const pair = `${parameter}=${token}`;
    const link = `${target.origin}${target.pathname}${target.search}${target.search === "" ? "?" : "&"}${pair}${target.hash}`;
    terminal.result({ ...answer, link: options.url === undefined ? null : link }, () => [
      options.url === undefined ? `add to any address of the site: ?${pair}` : link,
      `shows ${variant} of ${key} to whoever opens it, until ${moment(untilUnixMs)}; nothing is counted`,
    ]);
    return 0;
  });
}

export interface PlanOptions extends AdminPlace {
  readonly baseline: number;
  readonly lift?: number;
  readonly visitors?: number;
  readonly days?: number;
  readonly power: number;
  readonly confidence?: number;
  readonly split?: readonly number[];
  readonly args: readonly [key?: string];
}

/** Before the start. Of an experiment that a gateway has, weights, traffic and confidence are known. */
export function planExperiment(options: PlanOptions, terminal: Terminal): Promise<number> {
  const [key] = options.args;
  return reaching(terminal, async () => {
    const report = key === undefined ? null : ((await callAdmin(options, placeOf(key))) as unknown as Report);
    const weights = options.split ?? report?.arms.map(({ weight }) => weight) ?? [0.5, 0.5];
    const alpha = 1 - (options.confidence ?? report?.confidence ?? 0.95);
    const traffic = report?.traffic ?? 1;
    const unitsPerDay = options.visitors === undefined ? null : options.visitors * traffic;
    const { baseline, power, lift, days } = options;
    const question = { baseline, weights, power, alpha };
    if (lift === undefined) {
      if (days === undefined || unitsPerDay === null) {
        terminal.problem("found no --lift, expected the smallest change worth finding; or --days and --visitors, to see what can be found by then");
        return BAD_USAGE;
      }
      const units = Math.floor(days * unitsPerDay);
      const least = smallestLift(question, units);
      terminal.result({ units, smallestLift: least }, () => [
        least === null
          ? `${count(units)} visitors in ${days} days are too few to find any change of ${percent(baseline)}`
          : `within ${days} days and ${count(units)} visitors a change of ${signed(least)} or more (${percent(baseline)} to ${percent(baseline * (1 + least))}) is found with a chance of ${percent(power)}`,
      ]);
      return 0;
    }
    const changed = baseline * (1 + lift);
    if (changed >= 1) {
      terminal.problem(`found a --lift of ${signed(lift)} on ${percent(baseline)}, expected one that stays below 100 %`);
      return BAD_USAGE;
    }
    const answer = duration({ ...question, lift, unitsPerDay });
    terminal.result(answer, () => [
      `to find ${percent(baseline)} becoming ${percent(changed)} (${signed(lift)}) with a chance of ${percent(power)}: ${count(answer.units)} visitors in all ${weights.length} variants`,
      ...(answer.days === null
        ? ["with --visitors N (a day, in the audience) you also see how long that takes"]
        : [`at ${count(unitsPerDay!)} visitors a day that takes ${count(answer.days)} days`]),
      `a larger change shows earlier: you may look every day and stop as soon as the report says so (one look at the end alone would need ${count(answer.fixedHorizonUnits)})`,
    ]);
    return 0;
  });
}

function placeOf(key: string): string {
  return `/v1/experiments/${encodeURIComponent(key)}`;
}
