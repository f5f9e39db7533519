/**
 * What the counts of a step say: go on, wait, or take it back. Pure. Every comparison is always-valid, so that it may be made every second:
 * what is found worse is taken back at once, and a canary that is no worse is taken back by mistake with a probability below `ALPHA`.
 */
import { oneSidedRates, quantileInterval, sampleOfSums, sequentialMeans } from "../../experiments/statistics/statistics.ts";
import { type ArmCounts, type CanaryCounts, type CpuSums, LATENCY_BOUNDS_MS } from "../../observe/canary-counts.ts";
import { type Canary, CANARY_METRICS, type CanaryMetric, percent, shareOf } from "./canary.ts";

/** Of a whole canary, over all its steps, metrics and rules. */
const ALPHA = 0.005;
/** A canary that breaks something shows within hundreds of clients. */
const TUNED_AT_UNITS = 500;
/** Below it the variance is not worth anything: CPU is measured in lumps. */
const CPU_UNITS = 200;
/** Less than this is nobody's trouble, whatever it is relative to. */
const CPU_FLOOR_US = 500;
const LATENCY_FLOOR_MS = 5;
const P95 = 0.95;
/** Requests for each client that is counted: more look like many clients behind one address. */
const CROWDED = 100;
/** No exchange on the canary for as long as a step lasts: traffic has stopped. Not less than what counts take to come, not more than a minute. */
const IDLE_LEAST_MS = 5000;
const IDLE_MOST_MS = 60_000;

export interface Interval {
  readonly low: number;
  /** Null: without bound. */
  readonly high: number | null;
}

/** `"breach"`: worse by more than allowed. `"suspect"`: it looks so, and is not sure. `"fine"`: it does not look so. `"no-data"`: nothing to compare. `"broken"`: what was measured can't be. */
export type MetricOutcome = "breach" | "suspect" | "fine" | "no-data" | "broken";

export interface MetricPicture {
  readonly metric: CanaryMetric;
  /** "" but for CPU. */
  readonly rule: string;
  /** Shares, milliseconds, microseconds. */
  readonly canary: number | null;
  readonly current: number | null;
  /** Of the increase: a difference of shares, else relative. Null: unknown. */
  readonly increase: Interval | null;
  readonly limit: number;
  readonly outcome: MetricOutcome;
}

export interface Picture {
  readonly share: number;
  readonly canary: { readonly units: number; readonly requests: number };
  readonly current: { readonly units: number; readonly requests: number };
  readonly metrics: readonly MetricPicture[];
  readonly verdict: "advance" | "hold" | "rollback";
  /** Why. */
  readonly reason: string;
}

export interface StepFacts {
  /** Over all gateways; null: nothing was reported. */
  readonly counts: CanaryCounts | null;
  /** What is missing: gateways without a report, and the like. */
  readonly missing: readonly string[];
  /** Since the step began. */
  readonly elapsedMs: number;
}

export function judge(canary: Canary, { counts, missing, elapsedMs }: StepFacts): Picture {
  const metrics = counts === null ? [] : metricsOf(canary, counts);
  const { verdict, reason } = verdictOf(canary, counts, metrics, missing, elapsedMs);
  const sizeOf = (arm: ArmCounts | undefined): { units: number; requests: number } => ({ units: arm?.units ?? 0, requests: arm?.requests ?? 0 });
  return { share: shareOf(canary), canary: sizeOf(counts?.canary), current: sizeOf(counts?.current), metrics, verdict, reason };
}

function verdictOf(
  canary: Canary,
  counts: CanaryCounts | null,
  metrics: readonly MetricPicture[],
  missing: readonly string[],
  elapsedMs: number,
): Pick<Picture, "verdict" | "reason"> {
  const hold = (reason: string): Pick<Picture, "verdict" | "reason"> => ({ verdict: "hold", reason });
  const breach = metrics.filter(({ outcome }) => outcome === "breach");
  // Whatever else is not known: this is.
  if (breach.length > 0) return { verdict: "rollback", reason: breach.map(told).join("; ") };
  if (missing.length > 0) return hold(missing.join("; "));
  if (counts === null || counts.canary.units === 0) return hold("no traffic on the canary");
  const idleLimitMs = Math.min(IDLE_MOST_MS, Math.max(IDLE_LEAST_MS, canary.stepMs));
  if (counts.idleMs === null || counts.idleMs > idleLimitMs) return hold("traffic on the canary has stopped");
  const broken = metrics.filter(({ outcome }) => outcome === "broken");
  if (broken.length > 0) return hold(`cannot be measured: ${broken.map(nameOf).join(", ")}`);
  const { minimumUnits, stepMs } = canary;
  const fewest = Math.min(counts.canary.units, counts.current.units);
  if (fewest < minimumUnits) return hold(tooFew(counts, minimumUnits));
  const unknown = metrics.filter(({ outcome, metric }) => outcome === "no-data" && metric !== "cpu");
  if (unknown.length > 0) return hold(`nothing measured: ${unknown.map(nameOf).join(", ")}`);
  const suspect = metrics.filter(({ outcome }) => outcome === "suspect");
  if (suspect.length > 0) return hold(`not sure yet: ${suspect.map(told).join("; ")}`);
  if (elapsedMs < stepMs) return hold(`the step lasts ${Math.ceil((stepMs - elapsedMs) / 1000)} s more`);
  return { verdict: "advance", reason: `no worse in ${counts.canary.units} clients` };
}

function tooFew({ canary, current }: CanaryCounts, minimumUnits: number): string {
  const crowded = canary.requests + current.requests > CROWDED * (canary.units + current.units);
  return (
    `${canary.units} clients on the canary and ${current.units} on the release that serves, of at least ${minimumUnits}` +
    (crowded ? "; all clients of one address count as one: are proxies in front named in trustedProxies?" : "")
  );
}

function metricsOf(canary: Canary, counts: CanaryCounts): MetricPicture[] {
  const steps = canary.steps.filter((share) => share < 10_000).length;
  const alpha = ALPHA / (steps * CANARY_METRICS.length);
  return CANARY_METRICS.flatMap((metric): MetricPicture[] => {
    const limit = canary.limits[metric];
    if (limit === null) return [];
    if (!isSound(counts.canary) || !isSound(counts.current))
      return [{ metric, rule: "", canary: null, current: null, increase: null, limit, outcome: "broken" }];
    switch (metric) {
      case "exceptions":
      case "timeouts":
        return [shares(metric, counts.canary[metric], counts.current[metric], counts, limit, alpha)];
      case "errors":
        return [shares(metric, counts.canary.failures, counts.current.failures, counts, limit, alpha)];
      case "latencyP95":
        return [latency(counts, limit, alpha)];
      case "cpu":
        return cpus(counts, limit, alpha);
    }
  });
}

function shares(metric: CanaryMetric, onCanary: number, onCurrent: number, counts: CanaryCounts, limit: number, alpha: number): MetricPicture {
  const [a, b] = [counts.current.units, counts.canary.units];
  if (a === 0 || b === 0) return { metric, rule: "", canary: null, current: null, increase: null, limit, outcome: "no-data" };
  const increase = oneSidedRates({ units: a, conversions: onCurrent }, { units: b, conversions: onCanary }, alpha, TUNED_AT_UNITS)!;
  const [current, canary] = [onCurrent / a, onCanary / b];
  const outcome = increase.low > limit ? "breach" : canary - current > limit ? "suspect" : "fine";
  return { metric, rule: "", canary, current, increase, limit, outcome };
}

function latency({ canary, current }: CanaryCounts, limit: number, alpha: number): MetricPicture {
  const [a, b] = [current, canary].map(({ latencies }) => quantileInterval({ boundsMs: LATENCY_BOUNDS_MS, counts: latencies }, P95, alpha / 2));
  const row = { metric: "latencyP95", rule: "", limit } as const;
  if (a === null || b === null || a === undefined || b === undefined) return { ...row, canary: null, current: null, increase: null, outcome: "no-data" };
  const [was, is] = [quantileOf(current.latencies), quantileOf(canary.latencies)];
  const low = a.high > 0 ? b.low / a.high - 1 : 0;
  const high = a.low > 0 && Number.isFinite(b.high) ? b.high / a.low - 1 : null;
  const worse = is / was - 1 > limit && is - was > LATENCY_FLOOR_MS;
  const outcome = low > limit && b.low - a.high > LATENCY_FLOOR_MS ? "breach" : worse ? "suspect" : "fine";
  return { ...row, canary: is, current: was, increase: { low, high }, outcome };
}

/** Of the rules that both have; a new one has nothing to be compared with, and its own limits. */
function cpus({ canary, current }: CanaryCounts, limit: number, alpha: number): MetricPicture[] {
  const rules = Object.keys(canary.cpu).filter((rule) => Object.hasOwn(current.cpu, rule));
  return rules.map((rule) => cpuOf(rule, current.cpu[rule]!, canary.cpu[rule]!, limit, alpha / rules.length));
}

function cpuOf(rule: string, was: CpuSums, is: CpuSums, limit: number, alpha: number): MetricPicture {
  const [a, b] = [sampleOfSums(was), sampleOfSums(is)];
  const row = { metric: "cpu", rule, canary: b.mean, current: a.mean, limit } as const;
  const result = Math.min(a.units, b.units) < CPU_UNITS ? null : sequentialMeans(a, b, alpha);
  const relative = result?.relative ?? null;
  if (result === null || relative === null) return { ...row, increase: null, outcome: "no-data" };
  const worse = b.mean / a.mean - 1 > limit && b.mean - a.mean > CPU_FLOOR_US;
  const outcome = relative.low > limit && result.interval.low > CPU_FLOOR_US ? "breach" : worse ? "suspect" : "fine";
  return { ...row, increase: relative, outcome };
}

function quantileOf(counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let left = total * P95;
  for (let i = 0; i < counts.length; i++) {
    left -= counts[i]!;
    if (left <= 0) return LATENCY_BOUNDS_MS[i] ?? LATENCY_BOUNDS_MS.at(-1)!;
  }
  return LATENCY_BOUNDS_MS.at(-1)!;
}

/** Could it have been counted at all? */
function isSound({ units, requests, exceptions, timeouts, failures, latencies, cpu }: ArmCounts): boolean {
  const isCount = (value: number, most: number): boolean => Number.isSafeInteger(value) && value >= 0 && value <= most;
  return (
    isCount(requests, Number.MAX_SAFE_INTEGER) &&
    isCount(units, requests) &&
    [exceptions, timeouts, failures].every((value) => isCount(value, units)) &&
    latencies.length === LATENCY_BOUNDS_MS.length + 1 &&
    latencies.every((value) => isCount(value, units)) &&
    Object.values(cpu).every((sums) => isCount(sums.units, units) && sums.sum >= 0 && sums.sumOfSquares >= 0 && Number.isFinite(sums.sum + sums.sumOfSquares))
  );
}

function nameOf({ metric, rule }: MetricPicture): string {
  return rule === "" ? metric : `${metric} of ${rule}`;
}

/** "exceptions: 3.1 % of the clients instead of 0 %, at least 1.2 % more (allowed: 0.25 %)". */
export function told(picture: MetricPicture): string {
  const { metric, canary, current, increase, limit } = picture;
  const isShare = metric === "exceptions" || metric === "timeouts" || metric === "errors";
  const value = (one: number | null): string =>
    one === null ? "?" : isShare ? `${round(one * 100)} %` : metric === "cpu" ? `${round(one)} µs` : `${round(one)} ms`;
  const atLeast = increase === null ? "" : `, ${increase.low > 0 ? "at least" : "from"} ${round(increase.low * 100)} % more`;
  return `${nameOf(picture)}: ${value(canary)}${isShare ? " of the clients" : ""} instead of ${value(current)}${atLeast} (allowed: ${percent(limit * 10_000)})`;
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
