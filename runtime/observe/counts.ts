/** What a worker counts: every family of `families.ts`, fed by the observer, read by `snapshot`. */
import { ERRORS } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import type { SandboxEvents } from "../sandbox/sandbox.ts";
import { COUNTERS, CUSTOM_LABELS_LIMIT, CUSTOM_METRICS_LIMIT, CUSTOM_SERIES_LIMIT, HISTOGRAMS, LABEL_VALUE_LIMIT, OTHER } from "./families.ts";
import type { CounterName, HistogramName } from "./families.ts";
import type { ExchangeRecord } from "./record.ts";
import { type Count, Counter, Histogram } from "./series.ts";
import type { CounterSnapshot, CustomSeries } from "./snapshot.ts";

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const STATUS_CLASSES = [OTHER, "1xx", "2xx", "3xx", "4xx", "5xx"];

interface RuleCells {
  readonly calls: Count;
  readonly cpuSeconds: Count;
  readonly recalls: Count;
}

/** Client-chosen values never become labels: methods and statuses fall into closed classes, hosts and paths stay out. */
export class Counts {
  readonly #counters: Readonly<Record<CounterName, Counter>>;
  readonly #histograms: Readonly<Record<HistogramName, Histogram>>;
  readonly #custom = new Map<string, { name: string; labels: Record<string, string>; value: number }>();
  readonly #customNames = new Set<string>();
  readonly #routeLabels: string[] = [];
  readonly #ruleCells = new Map<string, Map<string, RuleCells>>();
  readonly #received: { value: number };
  readonly #sent: { value: number };

  constructor() {
    const overflowOf = (name: string) => () => this.#counters.sluice_metric_series_dropped_total.add(1, name);
    const counters = {} as Record<CounterName, Counter>;
    for (const name of Object.keys(COUNTERS) as CounterName[]) counters[name] = new Counter(COUNTERS[name], overflowOf(name));
    const histograms = {} as Record<HistogramName, Histogram>;
    for (const name of Object.keys(HISTOGRAMS) as HistogramName[]) histograms[name] = new Histogram(HISTOGRAMS[name], overflowOf(name));
    this.#counters = counters;
    this.#histograms = histograms;
    this.#received = counters.sluice_received_bytes_total.cell();
    this.#sent = counters.sluice_sent_bytes_total.cell();
  }

  exchange(record: ExchangeRecord): void {
    const route = this.#routeLabel(record.route);
    const method = METHODS.has(record.method) ? record.method : OTHER;
    // 499: nobody was left to answer.
    const status = record.status === 0 ? "4xx" : (STATUS_CLASSES[Math.trunc(record.status / 100)] ?? OTHER);
    this.#counters.sluice_requests_total.add(1, method, status, route, record.from);
    if (record.beside !== undefined && record.beside !== "") this.#counters.sluice_canary_requests_total.add(1, record.beside, record.release, status);
    this.#histograms.sluice_request_duration_seconds.observe(record.durationMs / 1000, route);
    this.#received.value += record.receivedBytes;
    this.#sent.value += record.sentBytes;
    if (record.upstreamTarget !== "") this.#histograms.sluice_upstream_duration_seconds.observe(record.upstreamMs / 1000, record.upstream);
    if (record.code !== "") this.#failed(record);
  }

  #failed(record: ExchangeRecord): void {
    const code = Object.hasOwn(ERRORS, record.code) ? record.code : OTHER;
    this.#counters.sluice_errors_total.add(1, code);
    if (code !== OTHER && ERRORS[code as ErrorCode].source === "upstream") {
      this.#counters.sluice_upstream_failures_total.add(1, record.upstream, record.upstreamTarget, code);
    }
  }

  hook(entry: Parameters<SandboxEvents["hook"]>[0]): void {
    const { rule, phase } = entry;
    const counters = this.#counters;
    const cells = this.#ruleCells.get(rule)?.get(phase) ?? this.#cellsOf(rule, phase);
    cells.calls.value++;
    cells.cpuSeconds.value += entry.cpuUs / 1e6;
    if (entry.recalled === true) cells.recalls.value++;
    if (entry.outcome === "next") return;
    if (entry.outcome === "answer") {
      counters.sluice_rule_answers_total.add(1, rule, phase);
      return;
    }
    counters.sluice_rule_failures_total.add(1, rule, phase, entry.failure?.kind ?? OTHER);
    if (entry.outcome === "failed-open") counters.sluice_rule_fail_open_total.add(1, rule, phase);
  }

  /** Kept at hand for as many rules as have series of their own. */
  #cellsOf(rule: string, phase: string): RuleCells {
    const { sluice_rule_calls_total: calls, sluice_rule_cpu_seconds_total: cpuSeconds, sluice_rule_recalls_total: recalls } = this.#counters;
    const cells = { calls: calls.cell(rule, phase), cpuSeconds: cpuSeconds.cell(rule, phase), recalls: recalls.cell(rule, phase) };
    if (cells.calls.labels[0] !== rule) return cells;
    let phases = this.#ruleCells.get(rule);
    if (!phases) this.#ruleCells.set(rule, (phases = new Map()));
    phases.set(phase, cells);
    return cells;
  }

  sandbox(entry: Parameters<SandboxEvents["sandbox"]>[0]): void {
    this.#counters.sluice_sandbox_events_total.add(1, entry.event, entry.by);
    if (entry.event === "lost" || entry.event === "isolate-lost") this.#counters.sluice_sandbox_restarts_total.add(1, entry.reason.slice(0, LABEL_VALUE_LIMIT));
  }

  limit(limit: string, reason: string, by: string): void {
    this.#counters.sluice_limit_checks_total.add(1, limit, reason, by);
  }

  exposure(experiment: string, variant: string): void {
    this.#counters.sluice_experiment_exposures_total.add(1, experiment, variant);
  }

  refused(code: ErrorCode): void {
    this.#counters.sluice_refused_total.add(1, code);
  }

  error(code: ErrorCode): void {
    this.#counters.sluice_errors_total.add(1, code);
  }

  logLineDropped(kind: string): void {
    this.#counters.sluice_log_lines_dropped_total.add(1, kind);
  }

  /** A rule's metric only grows: what is negative or no number is dropped, and counted as dropped. */
  custom(entry: Parameters<SandboxEvents["metric"]>[0]): void {
    const name = nameOf(entry.name);
    const labels = labelsOf(entry.rule, entry.labels);
    const key = `${name}\0${JSON.stringify(labels)}`;
    let series = this.#custom.get(key);
    if (!series && (this.#custom.size >= CUSTOM_SERIES_LIMIT || (!this.#customNames.has(name) && this.#customNames.size >= CUSTOM_METRICS_LIMIT))) {
      this.#counters.sluice_metric_series_dropped_total.add(1, "custom");
      return;
    }
    if (!Number.isFinite(entry.value) || entry.value < 0) {
      this.#counters.sluice_metric_series_dropped_total.add(1, "custom-value");
      return;
    }
    if (!series) {
      series = { name, labels, value: 0 };
      this.#custom.set(key, series);
      this.#customNames.add(name);
    }
    series.value += entry.value;
  }

  snapshot(): CounterSnapshot {
    const all = <S>(families: Readonly<Record<string, { snapshot(): S }>>) =>
      Object.fromEntries(Object.entries(families).map(([name, family]) => [name, family.snapshot()]));
    const custom: CustomSeries[] = Array.from(this.#custom.values(), (series) => ({ ...series }));
    return { counters: all(this.#counters), histograms: all(this.#histograms), custom };
  }

  #routeLabel(route: number): string {
    if (route < 0) return "none";
    return (this.#routeLabels[route] ??= String(route));
  }
}

function nameOf(name: string): string {
  const clean = name.replaceAll(/[^A-Za-z0-9_]/g, "_").slice(0, 64);
  return clean === "" ? "_" : clean;
}

/** Sorted, so that the order in which a rule writes labels makes no new series. `rule` is ours. */
function labelsOf(rule: string, given: Readonly<Record<string, string>>): Record<string, string> {
  const labels: [string, string][] = [];
  for (const name of Object.keys(given).sort().slice(0, CUSTOM_LABELS_LIMIT)) {
    const clean = nameOf(name).replace(/^(?=[0-9])|^__/, "_");
    if (clean !== "rule") labels.push([clean, String(given[name]).slice(0, LABEL_VALUE_LIMIT)]);
  }
  return { ...Object.fromEntries(labels), rule };
}
