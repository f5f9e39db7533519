/** The results as a picture: CPU per request of every server, one panel a piece of work; the same scale in all panels. */
import { CONTENDERS } from "../peers/peers.ts";
import { titleOf } from "./report.ts";
import { cellOf, cpuRatio, type Figure, figure, type Results } from "./results.ts";
import { WORKS } from "./work.ts";

const WIDTH = 960;
const MARGIN = 36;
const LABEL_WIDTH = 104;
const VALUE_WIDTH = 118;
const ROW_HEIGHT = 26;
const BAR_HEIGHT = 16;
const PANEL_TITLE_HEIGHT = 34;
const PANEL_GAP = 18;
const HEADER_HEIGHT = 104;
const FOOTER_HEIGHT = 56;
const CONNECTIONS = 50;
/** Megabytes cost a hundred times as much: they have their table. */
const SMALL_BODY_BYTES = 1_000;
/** A bar longer than this share of the next longest would make all others unreadable; it is cut, and says so. */
const CUT_ABOVE = 2;

const COLOUR = { paper: "#fcfcfa", ink: "#1f2a30", faint: "#66747c", grid: "#e4e6e3", own: "#0b7a75", other: "#b4bec2", spread: "#1f2a30" };
const FONT = "font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\"";

interface Bar {
  readonly contender: string;
  readonly cpuUs: Figure;
  /** Sluice's figure in units of this one; null for its own. */
  readonly ratio: number | null;
}

interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

export function chart(results: Results): string {
  const panels = panelsOf(results);
  const highest = longest(panels);
  const plotWidth = WIDTH - 2 * MARGIN - LABEL_WIDTH - VALUE_WIDTH;
  const scale = (us: number): number => (Math.min(us, highest) / highest) * plotWidth;
  let y = HEADER_HEIGHT;
  const drawn: string[] = [];
  const panelHeight = (panel: Panel): number => PANEL_TITLE_HEIGHT + panel.bars.length * ROW_HEIGHT;
  const bottom = HEADER_HEIGHT + panels.reduce((sum, panel) => sum + panelHeight(panel) + PANEL_GAP, 0) - PANEL_GAP;
  for (const panel of panels) {
    drawn.push(panelOf(panel, y, scale, highest));
    y += panelHeight(panel) + PANEL_GAP;
  }
  const height = bottom + FOOTER_HEIGHT;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title" ${FONT} fill="${COLOUR.ink}">
<title id="title">CPU microseconds per request, by work and server</title>
<rect width="${WIDTH}" height="${height}" rx="10" fill="${COLOUR.paper}"/>
${text(MARGIN, 46, "CPU per request, whole process tree", 'font-size="22" font-weight="650"')}
${text(MARGIN, 72, `µs, lower is better. ${CONNECTIONS} connections, 930-byte bodies. Bars: medians of ${results.rounds}; whiskers: lowest and highest run.`, `font-size="13.5" fill="${COLOUR.faint}"`)}
${axis(scale, highest, bottom)}
${text(WIDTH - MARGIN, HEADER_HEIGHT - 10, "Sluice ÷ it", `font-size="11" fill="${COLOUR.faint}" text-anchor="end"`)}
${drawn.join("\n")}
${text(MARGIN, height - 24, `${results.takenAt.slice(0, 10)} · ${results.machine} · ${results.rounds} alternating rounds of ${results.seconds} s`, `font-size="12" fill="${COLOUR.faint}"`)}
</svg>
`;
}

function panelsOf(results: Results): Panel[] {
  return WORKS.flatMap((work) => {
    const bars = CONTENDERS.flatMap(({ name }): Bar[] => {
      const cell = cellOf(results, work.name, CONNECTIONS, name);
      if (!cell) return [];
      const own = cellOf(results, work.name, CONNECTIONS, "sluice");
      const ratio = own === undefined || own === cell ? null : cpuRatio(own, cell).median;
      return [{ contender: name, cpuUs: figure(cell.runs.map((run) => run.cpuUsPerRequest)), ratio }];
    });
    return bars.length === 0 || work.bodyBytes > SMALL_BODY_BYTES ? [] : [{ title: work.title, bars: bars.sort((a, b) => a.cpuUs.median - b.cpuUs.median) }];
  });
}

function longest(panels: readonly Panel[]): number {
  const medians = [...new Set(panels.flatMap(({ bars }) => bars.map((bar) => bar.cpuUs.highest)))].sort((a, b) => b - a);
  const cut = medians.find((value, i) => value <= (medians[i + 1] ?? value) * CUT_ABOVE) ?? 1;
  return niceCeiling(cut);
}

function niceCeiling(value: number): number {
  const step = stepOf(value);
  return Math.ceil(value / step) * step;
}

/** Four to eight grid lines. */
function stepOf(highest: number): number {
  const power = 10 ** Math.floor(Math.log10(highest / 4));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => highest / step <= 8) ?? power * 10;
}

function axis(scale: (us: number) => number, highest: number, bottom: number): string {
  const lines: string[] = [];
  const step = stepOf(highest);
  for (let i = 0; i * step <= highest * 1.0001; i++) {
    const x = MARGIN + LABEL_WIDTH + scale(i * step);
    lines.push(`<line x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${HEADER_HEIGHT - 4}" y2="${bottom}" stroke="${COLOUR.grid}"/>`);
    lines.push(text(x, HEADER_HEIGHT - 10, `${Number((i * step).toPrecision(6))}`, `font-size="11" fill="${COLOUR.faint}" text-anchor="middle"`));
  }
  return lines.join("\n");
}

function panelOf({ title, bars }: Panel, top: number, scale: (us: number) => number, highest: number): string {
  const head = `<rect x="${MARGIN}" y="${top + 4}" width="${WIDTH - 2 * MARGIN}" height="24" fill="${COLOUR.paper}"/>${text(MARGIN, top + 21, `${title[0]!.toUpperCase()}${title.slice(1)}`, 'font-size="14.5" font-weight="600"')}`;
  return [head, ...bars.map((bar, i) => barOf(bar, top + PANEL_TITLE_HEIGHT + i * ROW_HEIGHT, scale, highest))].join("\n");
}

function barOf(bar: Bar, top: number, scale: (us: number) => number, highest: number): string {
  const { median, lowest, highest: most } = bar.cpuUs;
  const isOwn = bar.contender === "sluice";
  const left = MARGIN + LABEL_WIDTH;
  const middle = top + BAR_HEIGHT / 2;
  const isCut = median > highest;
  const width = Math.max(scale(median), 1);
  const parts = [
    text(left - 10, top + 12.5, titleOf(bar.contender), `font-size="13" text-anchor="end"${isOwn ? ' font-weight="650"' : ""}`),
    `<rect x="${left}" y="${top}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2" fill="${isOwn ? COLOUR.own : COLOUR.other}"/>`,
  ];
  if (isCut)
    parts.push(
      `<path d="M${left + width - 26} ${top - 2} l6 ${BAR_HEIGHT + 4} m5 0 l-6 ${-(BAR_HEIGHT + 4)}" stroke="${COLOUR.paper}" stroke-width="3" fill="none"/>`,
    );
  else if (most > lowest) {
    const [from, to] = [left + scale(lowest), left + scale(most)];
    parts.push(
      `<path d="M${from.toFixed(1)} ${middle} H${to.toFixed(1)} M${from.toFixed(1)} ${middle - 4} v8 M${to.toFixed(1)} ${middle - 4} v8" stroke="${COLOUR.spread}" stroke-opacity="0.55" fill="none"/>`,
    );
  }
  const end = left + Math.max(width, isCut ? 0 : scale(most)) + 8;
  parts.push(text(end, top + 12.5, median.toFixed(median < 100 ? 1 : 0), `font-size="13"${isOwn ? ' font-weight="650"' : ""}`));
  if (bar.ratio !== null) parts.push(text(WIDTH - MARGIN, top + 12.5, `${bar.ratio.toFixed(2)} ×`, `font-size="13" fill="${COLOUR.faint}" text-anchor="end"`));
  return parts.join("");
}

function text(x: number, y: number, content: string, attributes: string): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  // The outline keeps grid lines out of the letters.
  return `<text x="${x.toFixed(1)}" y="${y}" stroke="${COLOUR.paper}" stroke-width="4" paint-order="stroke" ${attributes}>${escaped}</text>`;
}
