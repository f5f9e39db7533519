/** A report as one page that stands alone: no script, nothing loaded, light and dark, for a phone too. */
import type { Report } from "../../experiments/study/report.ts";
import {
  count,
  days,
  edge,
  guardrailLines,
  milliseconds,
  moment,
  outcomeText,
  pastLines,
  percent,
  probability,
  qualityLines,
  reachedText,
  signed,
  stateText,
} from "../experiment-words.ts";
import { colour, exposurePlot, intervalPlot, liftPlot } from "./plots.ts";
import { STYLE } from "./style.ts";
import { escaped } from "./svg.ts";

const HEADINGS = {
  winner: "There is a winner",
  loser: "Keep what you have",
  open: "No clear difference yet",
  waiting: "Too early",
  guardrail: "Stop: a guardrail failed",
  mismatch: "Do not trust these numbers",
} as const satisfies Record<Report["verdict"]["outcome"], string>;

export function reportPage(report: Report, nowUnixMs: number): string {
  const { experiment, version, verdict } = report;
  const parts = [
    head(report),
    arms(report),
    lift(report),
    exposures(report),
    funnel(report),
    past(report),
    guardrails(report),
    split(report),
    careful(report),
    numbers(report),
    story(report),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>${escaped(experiment)}: ${escaped(HEADINGS[verdict.outcome])}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${together(parts.filter((part) => part !== "").join("\n"))}
<footer>Version ${version}, as of ${moment(nowUnixMs)}. Bounds hold at every look (${Math.round(report.confidence * 100)} %), so you may stop as soon as they say enough.</footer>
</main>
</body>
</html>
`;
}

/** A number and its sign stay on one line. */
function together(html: string): string {
  return html.replaceAll(/(\d) (?=%|ms\b)/g, "$1\u00a0");
}

function head(report: Report): string {
  const { experiment, verdict, history, traffic } = report;
  const [first, last] = [history[0], history.at(-1)];
  const since = first === undefined ? "" : ` · ${days(last!.atUnixMs - first.atUnixMs)} of data, since ${moment(first.atUnixMs)}`;
  return `<header><p>Experiment</p><h1>${escaped(experiment)}</h1><p>${escaped(stateText(report))}${traffic < 1 ? ` · ${percent(traffic)} of visitors take part` : ""}${since}</p></header>
<div class="verdict ${verdict.outcome}"><b>${escaped(HEADINGS[verdict.outcome])}</b><p>${escaped(verdict.sentence)}</p></div>`;
}

function arms(report: Report): string {
  const cards = report.arms.map((arm, i) => {
    const goal = arm.goals[0];
    const comparison = i === 0 ? null : (report.analysis.variants[i - 1]!.goals[0] ?? null);
    const range = comparison?.sequential?.relative ?? null;
    const change =
      comparison === null
        ? `<p>what the others are compared with</p>`
        : `<p class="change"><b>${signed(comparison.lift)}</b>${range === null ? "" : ` <span>(${edge(range.low)} to ${edge(range.high)})</span>`}</p>`;
    const rate = goal === undefined ? "" : reachedText(report, 0, goal);
    return `<div class="arm" style="--own:${colour(i)}"><h3>${escaped(arm.variant)}</h3><div class="big">${rate}</div><p>${escaped(report.goals[0]?.name ?? "")}, ${count(arm.units)} visitors</p>${change}</div>`;
  });
  return `<div class="arms">${cards.join("")}</div>`;
}

function legend(report: Report, from: number): string {
  return `<ul class="key">${report.arms
    .slice(from)
    .map(({ variant }, i) => `<li style="--own:${colour(i + from)}">${escaped(variant)}</li>`)
    .join("")}</ul>`;
}

function lift(report: Report): string {
  const plot = liftPlot(report);
  if (plot === "") return "";
  return card(
    "The change over time",
    `How much ${report.goals[0]!.name} changed compared with control. The band is where the true change lies with ${Math.round(report.confidence * 100)} % certainty, whenever you look; when it leaves the dashed line behind, the difference is real.`,
    legend(report, 1) + plot,
  );
}

function exposures(report: Report): string {
  const plot = exposurePlot(report);
  return plot === "" ? "" : card("Visitors", "Everyone who met the experiment, each counted once.", legend(report, 0) + plot);
}

function funnel(report: Report): string {
  const most = Math.max(1, ...report.arms.map(({ units }) => units));
  const step = (title: string, of: (arm: Report["arms"][number]) => number): string => {
    const bars = report.arms.map((arm, i) => {
      const units = of(arm);
      const share = arm.units === 0 ? "" : ` · ${percent(units / arm.units)}`;
      return `<div class="bar" style="--own:${colour(i)}"><span>${escaped(arm.variant)}</span><div class="track"><div class="fill" style="width:${((units / most) * 100).toFixed(2)}%"></div></div><span>${count(units)}${share}</span></div>`;
    });
    return `<div class="step"><h3>${escaped(title)}</h3>${bars.join("")}</div>`;
  };
  const goals = report.goals.map(({ name }, goal) => step(name, (arm) => arm.goals[goal]!.units));
  return card("Funnel", "How many of the visitors reached each goal, once each.", step("met the experiment", ({ units }) => units) + goals.join(""));
}

function past(report: Report): string {
  const lines = report.goals.flatMap((_, goal) => pastLines(report, goal));
  if (lines.length === 0) return "";
  return card(
    "What visitors did before",
    "Habits differ more than variants do. What each visitor did before the first exposure cannot come from the experiment, so the part of the spread that it explains is taken out, of all variants alike.",
    `<ul class="plain">${lines.map((line) => `<li>${escaped(line)}</li>`).join("")}</ul>`,
  );
}

function guardrails(report: Report): string {
  const lines = guardrailLines(report);
  if (lines.length === 0) return "";
  const words = { fail: "fails", pass: "passes", hold: "holds" } as const;
  const rows = lines.map(({ name, variant, values, limit, interval, outcome, text }) => {
    const own = colour(report.arms.findIndex((arm) => arm.variant === variant));
    // What JSON could not carry was without bound.
    const bounds =
      interval === null ? null : { low: interval.low ?? Number.NEGATIVE_INFINITY, high: interval.high ?? Number.POSITIVE_INFINITY, estimate: null };
    // What is far beyond the limit is shown where it is.
    const reach = Math.max(limit * 3, bounds === null ? 0 : Math.min(bounds.high, bounds.low * 1.5));
    const title = bounds === null ? "unknown" : `between ${edge(bounds.low)} and ${edge(bounds.high)}, allowed: ${signed(limit)}`;
    const plot = bounds === null ? "" : intervalPlot(bounds, { limit, reach, own, title });
    return `<div class="rail"><div><b>${escaped(name)}</b><br><small>allowed ${signed(limit)}</small></div><div>${escaped(variant)} ${values[1]}<br><small>control ${values[0]}</small></div><div class="plot">${plot}</div><div class="outcome"><span class="mark ${outcome}">${words[outcome]}</span><br><small>${escaped(text)}</small></div></div>`;
  });
  return card(
    "Guardrails",
    "What must not get worse. The bar is where the true increase lies, the dashed line is what you allow: a bar wholly beyond it stops the experiment.",
    rows.join(""),
  );
}

function split({ analysis }: Report): string {
  const total = analysis.units.reduce((sum, { units }) => sum + units, 0);
  if (total === 0) return "";
  const { found, sequentialP, chiSquareP } = analysis.mismatch;
  const bars = analysis.units.map(
    ({ variant, units, expectedShare }, i) =>
      `<div class="bar" style="--own:${colour(i)}"><span>${escaped(variant)}</span><div class="track"><div class="fill" style="width:${((units / total) * 100).toFixed(2)}%"></div></div><span>${percent(units / total)} of ${percent(expectedShare)}</span></div>`,
  );
  return card(
    "Did the variants get their share?",
    found
      ? "No. Chance does not explain this split, so visitors of one variant are being lost or counted twice, and no other number here means anything."
      : "Yes: the visitors are split as promised, as far as can be told.",
    `${bars.join("")}<p class="note" style="margin:10px 0 0"><span class="mark ${found ? "fail" : "pass"}">${found ? "broken" : "as promised"}</span> p ${probability(sequentialP)} at every look (below 0.001 is broken); χ² for one look ${probability(chiSquareP)}</p>`,
  );
}

function careful(report: Report): string {
  const lines = qualityLines(report);
  return lines.length === 0
    ? ""
    : card("What is not in these numbers", "", `<ul class="plain">${lines.map((line) => `<li>${escaped(line)}</li>`).join("")}</ul>`);
}

function numbers(report: Report): string {
  const { analysis, arms: all } = report;
  const rows = analysis.variants.flatMap(({ variant, goals }, i) =>
    goals.map(({ goal, lift: change, sequential, correctedP, fixedHorizon, belief, outcome }, place) => {
      const range = sequential?.relative ?? null;
      const cells = [
        escaped(goal),
        escaped(variant),
        `${reachedText(report, place, all[0]!.goals[place]!)} → ${reachedText(report, place, all[i + 1]!.goals[place]!)}`,
        `${signed(change)}${range === null ? "" : ` (${edge(range.low)} to ${edge(range.high)})`}`,
        correctedP === null ? "exact bounds" : probability(correctedP),
        fixedHorizon === null ? "" : probability(fixedHorizon.p),
        belief === null ? "" : percent(belief.chance),
        belief === null ? "" : probability(belief.expectedLoss),
      ];
      return `<tr>${cells.map((cell, column) => `<td${column < 2 ? ' class="name"' : ""}>${cell}</td>`).join("")}<td><span class="mark ${outcome === "open" ? "hold" : outcome}">${outcomeText(outcome)}</span></td></tr>`;
    }),
  );
  const latency = all.some(({ latencyMs }) => latencyMs !== null)
    ? `<div class="scroll"><table><tr><th>time to the first byte</th><th>p50</th><th>p90</th><th>p95</th><th>p99</th></tr>${all
        .map(
          ({ variant, latencyMs }) =>
            `<tr><td>${escaped(variant)}</td>${(["p50", "p90", "p95", "p99"] as const).map((p) => `<td>${latencyMs === null ? "" : milliseconds(latencyMs[p])}</td>`).join("")}</tr>`,
        )
        .join("")}</table></div>`
    : "";
  return `<section><details><summary>All numbers</summary><p class="note">The first p holds at every look and decides. The others are for reference: a test with one look at the end, and what one believes of the rates beginning from nothing.</p><div class="scroll"><table><tr><th>goal</th><th>variant</th><th>from, to</th><th>change</th><th>p, any look</th><th>p, one look</th><th>chance to win</th><th>expected loss</th><th></th></tr>${rows.join("")}</table></div>${latency}</details></section>`;
}

function story({ story: lines }: Report): string {
  if (lines.length === 0) return "";
  const items = lines.map(
    ({ atUnixMs, what, by, why }) =>
      `<li>${moment(atUnixMs)}: ${escaped(what)}${by === "" ? "" : ` by ${escaped(by)}`}${why === "" ? "" : `: ${escaped(why)}`}</li>`,
  );
  return card("Story", "", `<ul class="plain">${items.join("")}</ul>`);
}

function card(title: string, note: string, inner: string): string {
  return `<section><h2>${escaped(title)}</h2>${note === "" ? "" : `<p class="note">${escaped(note)}</p>`}${inner}</section>`;
}
