/** Numbers of experiments as people read them, in the terminal and on the page. */
import type { Report } from "../experiments/study/report.ts";

export const count = (value: number): string => Math.round(value).toLocaleString("en-US");
export const plain = (value: number): string => value.toLocaleString("en-US", { maximumSignificantDigits: 4 });

/** Of a share: one digit, two below 1 %. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(Math.abs(share) < 0.01 && share !== 0 ? 2 : 1)} %`;
}

/** A change, with its sign; what grows without bound is told as such. */
export function signed(share: number | null): string {
  if (share === null) return "?";
  if (!Number.isFinite(share)) return share > 0 ? "+∞" : "−∞";
  const digits = Math.abs(share) < 0.0995 ? 1 : 0;
  return `${share < 0 ? "−" : "+"}${Math.abs(share * 100).toFixed(digits)} %`;
}

/** What a change may be at most, or at least: beyond the ends of what anybody can picture the figure says nothing. */
export function edge(share: number | null): string {
  if (share !== null && share > FAR_UP) return "over +1,000 %";
  return share !== null && share < FAR_DOWN ? "under −100 %" : signed(share);
}
const FAR_UP = 10;
/** Means of values may fall below nothing, or so bounds of them. */
const FAR_DOWN = -1;

export function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function probability(p: number): string {
  return p < 0.0001 ? p.toExponential(1) : p.toPrecision(2);
}

/** In UTC: a report is read by people in several places. */
export function moment(unixMs: number): string {
  return `${new Date(unixMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

export function days(ms: number): string {
  const day = 24 * 60 * 60 * 1000;
  if (ms >= 2 * day) return `${Math.round(ms / day)} days`;
  const hour = day / 24;
  if (ms >= 2 * hour) return `${Math.round(ms / hour)} hours`;
  return ms >= 120_000 ? `${Math.round(ms / 60_000)} minutes` : `${Math.round(ms / 1000)} seconds`;
}

/** A goal of one arm: its rate, or the mean of its value. */
export function reachedText(report: Report, goal: number, { mean }: { readonly mean: number }): string {
  return report.goals[goal]!.kind === "conversion" ? percent(mean) : plain(mean);
}

/** What CUPED did to a goal's numbers, for each variant; empty: it has no pre-period. */
export function pastLines({ goals, analysis, quality }: Report, goal: number): readonly string[] {
  const { name, prePeriodMs } = goals[goal]!;
  if (prePeriodMs === null) return [];
  const period = `the ${days(prePeriodMs)} before they met the experiment`;
  return analysis.variants.flatMap(({ variant, goals: compared }) => {
    const { plain: without, varianceSaved } = compared[goal]!;
    if (without === null || varianceSaved === 0) {
      const kept = quality.prePeriod?.remembered ?? 0;
      return [
        `${variant}: too little is known yet of ${name} in ${period}${kept === 0 ? "" : ` (${count(kept)} visitors are remembered who have not met it so far)`}`,
      ];
    }
    const range = without.sequential?.relative ?? null;
    const bounds = range === null ? "" : ` (${signed(range.low)} to ${signed(range.high)})`;
    return [
      `${variant}: ${name} in ${period} explains ${percent(varianceSaved)} of the variance, which is taken out (CUPED); without that the change is ${signed(without.lift)}${bounds}`,
    ];
  });
}

export function stateText({ live }: Report): string {
  const { state, by, reason, atUnixMs } = live;
  const since = atUnixMs === 0 ? "" : ` since ${moment(atUnixMs)}`;
  const who = by === "" ? "" : `, by ${by}`;
  const why = reason === "" ? "" : `: ${reason}`;
  switch (state.kind) {
    case "running":
      return atUnixMs === 0 ? "running" : `running again${since}${who}${why}`;
    case "stopped":
      return `stopped${since}${who}${why}`;
    case "shipped":
      return `shipped: everybody sees ${state.variant}${since}${who}${why}`;
  }
}

const OUTCOMES = { better: "better", worse: "worse", open: "not clear yet" } as const;
export const outcomeText = (outcome: keyof typeof OUTCOMES): string => OUTCOMES[outcome];

export interface GuardrailLine {
  readonly name: string;
  readonly variant: string;
  /** Of control and of the variant. */
  readonly values: readonly [string, string];
  readonly limit: number;
  /** Of the increase; null: unknown. */
  readonly interval: { readonly low: number; readonly high: number } | null;
  readonly outcome: "fail" | "pass" | "hold";
  readonly text: string;
}

/** Every guardrail of every variant, errors first. */
export function guardrailLines({ analysis, arms, limits }: Report): readonly GuardrailLine[] {
  const control = arms[0]!;
  const errorShare = ({ units, unitsWithErrors }: Report["arms"][number]): string => percent(units === 0 ? 0 : unitsWithErrors / units);
  return analysis.variants.flatMap(({ variant, guardrails }) => {
    const arm = arms.find((one) => one.variant === variant)!;
    const lines: GuardrailLine[] = [];
    if (guardrails.errors !== null && limits.errors !== null) {
      lines.push({
        name: "errors",
        variant,
        values: [errorShare(control), errorShare(arm)],
        limit: limits.errors.maxIncrease,
        interval: guardrails.errors.increase,
        outcome: guardrails.errors.outcome,
        text: becauseText(guardrails.errors.because),
      });
    }
    if (guardrails.latency !== null && limits.latency !== null) {
      const { quantile, maxIncrease } = limits.latency;
      const at = ({ latencyMs }: Report["arms"][number]): string => {
        const value = latencyMs === null ? null : latencyMs[`p${Math.round(quantile * 100)}` as "p50" | "p90" | "p95" | "p99"];
        return value === null ? "no data" : milliseconds(value);
      };
      lines.push({
        name: `latency p${Math.round(quantile * 100)}`,
        variant,
        values: [at(control), at(arm)],
        limit: maxIncrease,
        interval: guardrails.latency.increase,
        outcome: guardrails.latency.outcome,
        text: becauseText(guardrails.latency.because),
      });
    }
    return lines;
  });
}

const BECAUSE = { worse: "worse than allowed", within: "within what is allowed", inconclusive: "not known yet", "no-data": "no data yet" } as const;
const becauseText = (because: keyof typeof BECAUSE): string => BECAUSE[because];

/** So many and nobody at the goal: it may ask for something that never happens. */
const TELLING_UNITS = 100;

/** What should make a reader careful; empty: nothing. */
export function qualityLines({ quality, arms, goals }: Report): readonly string[] {
  const { lost, full, crossed, late, repeated, prePeriod } = quality;
  const lines: string[] = [];
  const units = arms.reduce((sum, arm) => sum + arm.units, 0);
  if (units === 0)
    lines.push(
      "bots (curl and other programs are taken for such), visitors without the consent that it asks for, pages on which no variant has anything to edit; sluice explain URL says what a request would be shown, and why",
    );
  const missed = goals.flatMap(({ name }, i) => (arms.every((arm) => arm.goals[i]!.units === 0) ? [name] : []));
  if (units >= TELLING_UNITS && missed.length > 0)
    lines.push(
      `nobody of ${count(units)} visitors has reached ${missed.join(", ")}: is that the path, method and status (2xx unless it names one) that the site answers, the place of the value (the gateway's log tells if there is none), a goal that a rule tracks?`,
    );
  const dropped = lost.exposures + lost.goals + lost.errors;
  if (dropped > 0)
    lines.push(`${count(lost.exposures)} exposures, ${count(lost.goals)} goals and ${count(lost.errors)} errors were lost before they could be counted`);
  if (full > 0) lines.push(`${count(full)} exposures of visitors beyond the bound of experiments.maxUnits, or of the store's memory, were not counted`);
  if (prePeriod !== null && prePeriod.lost > 0)
    lines.push(
      `${count(prePeriod.lost)} goals before an exposure were not remembered (the bound of experiments.maxUnits, or the store's memory); they count as no past`,
    );
  if (crossed > 0) lines.push(`${count(crossed)} visitors saw a second variant; they are counted with their first`);
  if (late > 0) lines.push(`${count(late)} goals came after their window and do not count`);
  if (repeated > 0) lines.push(`${count(repeated)} goals were told again (retries, refreshes, a second purchase of a goal that counts once) and count once`);
  return lines;
}
