/** The plots of a report, as SVG that takes its colours from the page. */
import type { Report, ReportMoment } from "../../experiments/study/report.ts";
import { count, edge, moment, signed } from "../experiment-words.ts";
import { escaped, path, type Scale, scale, ticks, timeTicks } from "./svg.ts";

const WIDTH = 720;
const HEIGHT = 260;
const LEFT = 56;
const RIGHT = 14;
const TOP = 12;
const BOTTOM = 28;

/** Of an arm, by its place; control's is the first. */
export const colour = (arm: number): string => `var(--arm-${arm % 6})`;

interface Frame {
  readonly x: Scale;
  readonly y: Scale;
  readonly grid: string;
}

/** Lift of each variant and what it may be, as it became known. "": nothing to draw yet. */
export function liftPlot(report: Report): string {
  const known = report.history.filter(({ change }) => change.some((one) => isKnown(one?.lift)));
  if (known.length === 0) return "";
  const reach = reachOf(known);
  const frame = frameOf(known, -reach, reach, (value) => signed(value).replace("+0.0 %", "0"));
  const parts = report.arms.slice(1).map(({ variant }, i) => bandOf(known, i, frame, variant));
  const zero = frame.y(0);
  return figure(
    `The change of ${report.goals[0]!.name} compared with control, over time`,
    `${frame.grid}<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${zero}" y2="${zero}" class="zero"/>${parts.join("")}`,
  );
}

function isKnown<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}

/** As far as the later bounds reach: the first ones know nothing, and would flatten all others. */
function reachOf(known: readonly ReportMoment[]): number {
  const ends = known
    .slice(Math.floor(known.length / 5))
    .flatMap(({ change }) => change.flatMap((one) => (one === null ? [] : [one.low, one.high, one.lift])))
    .filter((end): end is number => end !== null && Number.isFinite(end))
    .map(Math.abs)
    .sort((a, b) => a - b);
  const most = ends[Math.floor(ends.length * 0.9)] ?? 0.1;
  return Math.min(2, Math.max(0.02, most * 1.15));
}

function bandOf(known: readonly ReportMoment[], variant: number, { x, y }: Frame, name: string): string {
  const clipped = (value: number): number => y(Math.max(y.from, Math.min(y.to, value)));
  const band = known.flatMap(({ atUnixMs, change }) => {
    const one = change[variant];
    return isKnown(one?.low) && isKnown(one.high) ? [{ x: x(atUnixMs), low: clipped(one.low), high: clipped(one.high) }] : [];
  });
  const line = known.flatMap(({ atUnixMs, change }) => {
    const lift = change[variant]?.lift;
    return isKnown(lift) ? [[x(atUnixMs), clipped(lift)] as const] : [];
  });
  const area =
    band.length < 2 ? "" : `${path(band.map((one) => [one.x, one.high]))}${path(band.toReversed().map((one) => [one.x, one.low])).replace("M", "L")}Z`;
  const [lastX, lastY] = line.at(-1) ?? [0, 0];
  const last = known.at(-1)!.change[variant];
  const title = isKnown(last) ? `${name}: ${signed(last.lift)} (${edge(last.low)} to ${edge(last.high)})` : name;
  return `<g style="--own:${colour(variant + 1)}"><path d="${area}" class="band"/><path d="${path(line)}" class="line"/><circle cx="${lastX}" cy="${lastY}" r="4" class="dot"><title>${escaped(title)}</title></circle></g>`;
}

/** Units of each arm, as they came. */
export function exposurePlot(report: Report): string {
  const { history, arms } = report;
  if (history.length === 0) return "";
  const most = Math.max(1, ...history.flatMap(({ units }) => units));
  const frame = frameOf(history, 0, most, count);
  const lines = arms.map(({ variant, units }, arm) => {
    const points = history.map((one) => [frame.x(one.atUnixMs), frame.y(one.units[arm] ?? 0)] as const);
    const [lastX, lastY] = points.at(-1)!;
    return `<g style="--own:${colour(arm)}"><path d="${path(points)}" class="line"/><circle cx="${lastX}" cy="${lastY}" r="4" class="dot"><title>${escaped(`${variant}: ${count(units)} visitors`)}</title></circle></g>`;
  });
  return figure("Visitors of each variant, over time", `${frame.grid}${lines.join("")}`);
}

function frameOf(moments: readonly ReportMoment[], low: number, high: number, text: (value: number) => string): Frame {
  const [from, to] = [moments[0]!.atUnixMs, moments.at(-1)!.atUnixMs];
  const x = scale(from, Math.max(to, from + 1000), LEFT, WIDTH - RIGHT);
  const y = scale(low, high, HEIGHT - BOTTOM, TOP);
  const rows = ticks(low, high, 5).map(
    (tick) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(tick)}" y2="${y(tick)}" class="grid"/><text x="${LEFT - 8}" y="${y(tick) + 4}" class="tick end">${escaped(text(tick))}</text>`,
  );
  const columns = timeTicks(from, x.to, 6).map(
    ({ atMs, text: time }) => `<text x="${x(atMs)}" y="${HEIGHT - 8}" class="tick middle"><title>${escaped(moment(atMs))}</title>${time}</text>`,
  );
  return { x, y, grid: rows.join("") + columns.join("") };
}

function figure(title: string, inner: string): string {
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}"><title>${escaped(title)}</title>${inner}</svg>`;
}

/** What a number may be, around what must not be crossed (nothing, or a limit). */
export function intervalPlot(
  { low, high, estimate }: { readonly low: number; readonly high: number; readonly estimate: number | null },
  { limit, reach, own, title }: { readonly limit: number; readonly reach: number; readonly own: string; readonly title: string },
): string {
  const x = scale(-reach, reach, 4, 236);
  const held = (value: number): number => x(Math.max(-reach, Math.min(reach, value)));
  const ends = [held(low), held(high)] as const;
  const dot = estimate === null ? "" : `<circle cx="${held(estimate)}" cy="14" r="4.5" class="dot"/>`;
  const line = `<line x1="${x(limit)}" x2="${x(limit)}" y1="2" y2="26" class="limit"/>`;
  return `<svg viewBox="0 0 240 28" class="interval" role="img" aria-label="${escaped(title)}" style="--own:${own}"><title>${escaped(title)}</title><line x1="4" x2="236" y1="14" y2="14" class="grid"/>${line}<rect x="${ends[0]}" y="10" width="${Math.max(2, ends[1] - ends[0])}" height="8" rx="4" class="range"/>${dot}</svg>`;
}
