/** The metric families: names, labels, help. Public names; docs and dashboards hang on them. */

export interface Family {
  readonly help: string;
  readonly labels: readonly string[];
  /** Label sets kept by one worker; what comes after that is counted under the label "other". */
  readonly seriesLimit: number;
}
export interface HistogramFamily extends Family {
  /** Upper bounds in seconds, ascending. */
  readonly bounds: readonly number[];
}

/** The label value that stands for everything beyond a family's bound. */
export const OTHER = "other";

const LATENCY_BOUNDS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export const COUNTERS = {
  sluice_requests_total: { help: "Exchanges that are over.", labels: ["method", "status", "route", "from"], seriesLimit: 4000 },
  sluice_canary_requests_total: {
    help: "Exchanges on a release that runs beside the one that serves: as canary, or as preview.",
    labels: ["as", "release", "status"],
    seriesLimit: 500,
  },
  sluice_errors_total: { help: "Exchanges that ended with a code of the gateway's error table.", labels: ["code"], seriesLimit: 100 },
  sluice_refused_total: { help: "Inputs on the wire that were no request and were refused.", labels: ["code"], seriesLimit: 100 },
  sluice_received_bytes_total: { help: "Request body bytes received from clients.", labels: [], seriesLimit: 1 },
  sluice_sent_bytes_total: { help: "Response body bytes sent to clients.", labels: [], seriesLimit: 1 },
  sluice_upstream_failures_total: { help: "Exchanges that failed because of an upstream.", labels: ["upstream", "target", "code"], seriesLimit: 1000 },
  sluice_rule_calls_total: { help: "Hooks run.", labels: ["rule", "phase"], seriesLimit: 2000 },
  sluice_rule_recalls_total: {
    help: "Of them, those whose outcome was known from before, so that the sandbox was not entered.",
    labels: ["rule", "phase"],
    seriesLimit: 2000,
  },
  sluice_rule_cpu_seconds_total: { help: "CPU that hooks used.", labels: ["rule", "phase"], seriesLimit: 2000 },
  sluice_rule_answers_total: { help: "Hooks that answered the exchange themselves.", labels: ["rule", "phase"], seriesLimit: 2000 },
  sluice_rule_failures_total: { help: "Hooks that failed, passed over or not.", labels: ["rule", "phase", "kind"], seriesLimit: 2000 },
  sluice_rule_fail_open_total: { help: 'Failures passed over because of onFailure "open".', labels: ["rule", "phase"], seriesLimit: 2000 },
  sluice_sandbox_events_total: { help: "Sandbox processes and isolates: started, lost, swapped, quarantined.", labels: ["event", "by"], seriesLimit: 50 },
  sluice_sandbox_restarts_total: { help: "Sandboxes or isolates lost and made anew, by reason.", labels: ["reason"], seriesLimit: 50 },
  sluice_limit_checks_total: {
    help: "Charges of rate limits, by what came of them and where it was decided (store, lease, known; local, open, closed without the store).",
    labels: ["limit", "reason", "by"],
    seriesLimit: 1000,
  },
  sluice_experiment_events_total: {
    help: "What was counted of experiments: exposures, goals and errors of units as far as the worker tells repetitions; goals whose value could not be read; events left by a lost worker.",
    labels: ["kind"],
    seriesLimit: 10,
  },
  sluice_experiment_lost_total: {
    help: "Of experiments, what was dropped before it could be counted: the buffer was full, or the journal could not be written.",
    labels: ["kind"],
    seriesLimit: 10,
  },
  sluice_experiment_raw_lines_total: {
    help: "Raw lines of experiments (experiments.raw): written, dropped, and batches that failed.",
    labels: ["outcome"],
    seriesLimit: 10,
  },
  sluice_experiment_exposures_total: {
    help: "Responses delivered whose content depends on the variant of an experiment, to units that count, each request once (the report counts each unit once).",
    labels: ["experiment", "variant"],
    seriesLimit: 500,
  },
  sluice_log_lines_dropped_total: {
    help: "Access log and rule log lines dropped because the reader of the log did not keep up, or a rule logged too fast.",
    labels: ["kind"],
    seriesLimit: 10,
  },
  sluice_cache_requests_total: {
    help: "Requests that the cache was asked about, by what came of them: hit, stale, miss, revalidated, collapsed (another's fetch), bypass, uncacheable, stale-on-error.",
    labels: ["outcome"],
    seriesLimit: 20,
  },
  sluice_cache_events_total: {
    help: "What happened in the memory of the cache: fetches from origins, answers stored, evicted, torn, too large, kept out as personal, leaders replaced, purges.",
    labels: ["event"],
    seriesLimit: 20,
  },
  sluice_cache_shared_total: {
    help: "What happened between the cache and the store: hits, misses, writes, entries with a wrong signature (forged), failures.",
    labels: ["event"],
    seriesLimit: 20,
  },
  sluice_metric_series_dropped_total: { help: 'Observations counted under "other" because their family is full.', labels: ["family"], seriesLimit: 50 },
} as const satisfies Record<string, Family>;

export const HISTOGRAMS = {
  sluice_request_duration_seconds: {
    help: "From the last byte of the request head to the last byte of the response.",
    labels: ["route"],
    seriesLimit: 200,
    bounds: LATENCY_BOUNDS,
  },
  sluice_upstream_duration_seconds: {
    help: "From sending to an upstream to the first byte of its response.",
    labels: ["upstream"],
    seriesLimit: 200,
    bounds: LATENCY_BOUNDS,
  },
} as const satisfies Record<string, HistogramFamily>;

export type CounterName = keyof typeof COUNTERS;
export type HistogramName = keyof typeof HISTOGRAMS;

/** Metrics that rules make are called `sluice_rule_custom_<name>_total`. */
export const CUSTOM_PREFIX = "sluice_rule_custom_";
export const CUSTOM_METRICS_LIMIT = 100;
export const CUSTOM_SERIES_LIMIT = 1000;
export const CUSTOM_LABELS_LIMIT = 8;
export const LABEL_VALUE_LIMIT = 128;
