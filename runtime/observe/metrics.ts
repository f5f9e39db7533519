/**
 * The supervisor's side: adds up what workers counted, those that ended included, and writes the Prometheus text.
 * Rendering happens here, never in a worker.
 */
import { AggregatorRegistry } from "prom-client";
import { COUNTERS, CUSTOM_PREFIX, CUSTOM_SERIES_LIMIT, HISTOGRAMS } from "./families.ts";
import type { CounterName, HistogramName } from "./families.ts";
import type { StoreState } from "../store/store.ts";
import type { WorkerSnapshot } from "./snapshot.ts";

export interface GatewayFacts {
  readonly version: string;
  readonly release: string;
  readonly startedUnixMs: number;
  readonly workersWanted: number;
  readonly workersServing: number;
  /** Why a worker ended without being asked → how often. */
  readonly workerRestarts: ReadonlyMap<string, number>;
  /** Null: Redis is the store. */
  readonly embeddedStore: EmbeddedStoreFacts | null;
}

/** The embedded store's process. */
export interface EmbeddedStoreFacts {
  readonly keys: number;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly evicted: number;
  readonly logBytes: number;
  readonly restarts: number;
}

interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Counters of a worker's store. */
const STORE_HELP = {
  calls: "Calls to the store.",
  failures: "Calls to the store that failed, time-outs included.",
  timeouts: "Calls that the store did not answer within store.timeout.",
  reconnects: "Times that a worker lost the store.",
} as const;
type StoreCount = keyof typeof STORE_HELP;
const STORE_COUNTS = Object.keys(STORE_HELP) as StoreCount[];
const STORE_STATES: readonly StoreState[] = ["connecting", "ready", "unavailable", "refused"];

const HISTOGRAM_SUFFIXES = ["_bucket", "_sum", "_count"];

export class MetricsBook {
  /** Sums of the workers that ended. */
  readonly #ended = new Sums();
  readonly #latest = new Map<number, WorkerSnapshot>();

  /** The newest snapshot of a running worker takes the place of its last one. */
  update(worker: number, snapshot: WorkerSnapshot): void {
    this.#latest.set(worker, snapshot);
  }

  /** The worker is gone: what it counted stays, what it held at the moment does not. */
  ended(worker: number): void {
    const last = this.#latest.get(worker);
    if (!last) return;
    this.#latest.delete(worker);
    this.#ended.add(last);
  }

  latest(worker: number): WorkerSnapshot | undefined {
    return this.#latest.get(worker);
  }

  async render(facts: GatewayFacts): Promise<string> {
    const sums = this.#ended.copy();
    for (const snapshot of this.#latest.values()) sums.add(snapshot);
    const families = [...sums.families(), ...momentFamilies([...this.#latest.values()]), ...gatewayFamilies(facts)];
    return AggregatorRegistry.aggregate([families]).metrics();
  }
}

interface Distribution {
  readonly labels: readonly string[];
  readonly counts: number[];
  sum: number;
}

/** Snapshots added up. */
class Sums {
  readonly #counters = new Map<string, Map<string, { labels: readonly string[]; value: number }>>();
  readonly #histograms = new Map<string, Map<string, Distribution>>();
  readonly #custom = new Map<string, { name: string; labels: Readonly<Record<string, string>>; value: number }>();
  readonly #targets = new Map<string, { upstream: string; target: string; requests: number; connects: number; connectFailures: number }>();
  readonly #store = new Map<StoreCount, number>();
  #accepted = 0;

  copy(): Sums {
    const copy = new Sums();
    for (const [name, series] of this.#counters) copy.#counters.set(name, new Map(Array.from(series, ([key, cell]) => [key, { ...cell }])));
    for (const [name, series] of this.#histograms)
      copy.#histograms.set(name, new Map(Array.from(series, ([key, cell]) => [key, { ...cell, counts: [...cell.counts] }])));
    for (const [key, cell] of this.#custom) copy.#custom.set(key, { ...cell });
    for (const [key, cell] of this.#targets) copy.#targets.set(key, { ...cell });
    for (const [name, count] of this.#store) copy.#store.set(name, count);
    copy.#accepted = this.#accepted;
    return copy;
  }

  add(snapshot: WorkerSnapshot): void {
    const { counters, histograms, custom } = snapshot.observed;
    for (const [name, series] of Object.entries(counters)) {
      const cells = at(this.#counters, name, () => new Map<string, { labels: readonly string[]; value: number }>());
      for (const [labels, value] of series) at(cells, labels.join("\0"), () => ({ labels, value: 0 })).value += value;
    }
    for (const [name, series] of Object.entries(histograms)) {
      const cells = at(this.#histograms, name, () => new Map<string, Distribution>());
      for (const [labels, counts, sum] of series) {
        const cell = at(cells, labels.join("\0"), () => ({ labels, counts: counts.map(() => 0), sum: 0 }));
        counts.forEach((count, i) => (cell.counts[i] = (cell.counts[i] ?? 0) + count));
        cell.sum += sum;
      }
    }
    for (const { name, labels, value } of custom) {
      const key = `${name}\0${JSON.stringify(labels)}`;
      if (this.#custom.size < CUSTOM_SERIES_LIMIT || this.#custom.has(key)) at(this.#custom, key, () => ({ name, labels, value: 0 })).value += value;
    }
    for (const status of snapshot.upstreams) {
      const { upstream, target } = status;
      const cell = at(this.#targets, `${upstream}\0${target}`, () => ({ upstream, target, requests: 0, connects: 0, connectFailures: 0 }));
      cell.requests += status.requests;
      cell.connects += status.connects;
      cell.connectFailures += status.connectFailures;
    }
    for (const name of STORE_COUNTS) this.#store.set(name, (this.#store.get(name) ?? 0) + snapshot.store[name]);
    this.#accepted += snapshot.connections.accepted;
  }

  families(): object[] {
    const counters = (Object.keys(COUNTERS) as CounterName[]).map((name) => {
      const { help, labels } = COUNTERS[name];
      const cells = [...(this.#counters.get(name)?.values() ?? [])];
      return family(
        name,
        "counter",
        help,
        cells.map((cell) => sample(name, labelled(labels, cell.labels), cell.value)),
      );
    });
    const histograms = (Object.keys(HISTOGRAMS) as HistogramName[]).map((name) => {
      const cells = [...(this.#histograms.get(name)?.values() ?? [])];
      return family(
        name,
        "histogram",
        HISTOGRAMS[name].help,
        cells.flatMap((cell) => histogramSamples(name, cell)),
      );
    });
    const targets = [...this.#targets.values()];
    const perTarget = (name: string, help: string, count: (cell: (typeof targets)[number]) => number) =>
      family(
        name,
        "counter",
        help,
        targets.map((cell) => sample(name, { upstream: cell.upstream, target: cell.target }, count(cell))),
      );
    return [
      ...counters,
      ...histograms,
      ...this.#customFamilies(),
      perTarget("sluice_upstream_requests_total", "Requests sent to a target.", (cell) => cell.requests),
      perTarget("sluice_upstream_connects_total", "Connections made to a target.", (cell) => cell.connects),
      perTarget("sluice_upstream_connect_failures_total", "Connections to a target that could not be made.", (cell) => cell.connectFailures),
      ...STORE_COUNTS.map((count) => {
        const name = `sluice_store_${count}_total`;
        return family(name, "counter", STORE_HELP[count], [sample(name, {}, this.#store.get(count) ?? 0)]);
      }),
      family("sluice_connections_total", "counter", "Connections accepted from clients.", [sample("sluice_connections_total", {}, this.#accepted)]),
    ];
  }

  #customFamilies(): object[] {
    const byName = new Map<string, Sample[]>();
    for (const { name, labels, value } of this.#custom.values()) {
      const full = `${CUSTOM_PREFIX}${name}${name.endsWith("_total") ? "" : "_total"}`;
      at(byName, full, () => []).push(sample(full, labels, value));
    }
    return Array.from(byName, ([name, samples]) => family(name, "counter", "A rule's own metric.", samples));
  }
}

/** How things stand now: only of workers that run. */
function momentFamilies(snapshots: readonly WorkerSnapshot[]): object[] {
  const total = (count: (snapshot: WorkerSnapshot) => number) => snapshots.reduce((sum, snapshot) => sum + count(snapshot), 0);
  const gauge = (name: string, help: string, value: number) => family(name, "gauge", help, [sample(name, {}, value)]);
  const targets = new Map<string, { upstream: string; target: string; active: number; idle: number }>();
  for (const { upstream, target, active, idle } of snapshots.flatMap((snapshot) => snapshot.upstreams)) {
    const cell = at(targets, `${upstream}\0${target}`, () => ({ upstream, target, active: 0, idle: 0 }));
    cell.active += active;
    cell.idle += idle;
  }
  const connections = Array.from(targets.values()).flatMap(({ upstream, target, active, idle }) => [
    sample("sluice_upstream_connections", { upstream, target, state: "active" }, active),
    sample("sluice_upstream_connections", { upstream, target, state: "idle" }, idle),
  ]);
  const quarantined = [...new Set(snapshots.flatMap((snapshot) => snapshot.sandbox?.quarantined ?? []))];
  return [
    gauge(
      "sluice_requests_in_flight",
      "Exchanges running now.",
      total((snapshot) => snapshot.inFlight),
    ),
    gauge(
      "sluice_connections",
      "Client connections open now.",
      total((snapshot) => snapshot.connections.open),
    ),
    gauge(
      "sluice_limits_degraded",
      "Workers whose rate limits are decided without the store.",
      total((snapshot) => (snapshot.limits?.degraded === true ? 1 : 0)),
    ),
    gauge(
      "sluice_limits_in_flight",
      'Units held under rate limits with algorithm "concurrency".',
      total((snapshot) => snapshot.limits?.inFlight ?? 0),
    ),
    gauge(
      "sluice_cache_entries",
      "Answers in the memory of the workers.",
      total((snapshot) => snapshot.cache?.entries ?? 0),
    ),
    gauge(
      "sluice_cache_bytes",
      "What they take, bodies included, counted against cache.memory.",
      total((snapshot) => snapshot.cache?.bytes ?? 0),
    ),
    gauge(
      "sluice_cache_limit_bytes",
      "cache.memory.",
      total((snapshot) => snapshot.cache?.limitBytes ?? 0),
    ),
    family("sluice_upstream_connections", "gauge", "Connections to a target now.", connections),
    ...storeFamilies(snapshots),
    family(
      "sluice_rule_quarantined",
      "gauge",
      "1 for each rule that is not run any more because it killed its sandbox repeatedly.",
      quarantined.map((rule) => sample("sluice_rule_quarantined", { rule }, 1)),
    ),
  ];
}

/** The store as the workers that run see it. */
function storeFamilies(snapshots: readonly WorkerSnapshot[]): object[] {
  const stores = snapshots.map(({ store }) => store);
  const kinds = [...new Set(stores.map(({ kind }) => kind))];
  const byState = kinds.flatMap((kind) =>
    STORE_STATES.map((state) => sample("sluice_store_workers", { kind, state }, stores.filter((store) => store.kind === kind && store.state === state).length)),
  );
  const gauge = (name: string, help: string, value: number) => family(name, "gauge", help, [sample(name, {}, value)]);
  return [
    family(
      "sluice_store_workers",
      "gauge",
      "Workers by how they find the store: connecting, ready, unavailable, or refused (its version, rights or password).",
      byState,
    ),
    gauge(
      "sluice_store_outstanding",
      "Calls that wait for the store now.",
      stores.reduce((sum, store) => sum + store.outstanding, 0),
    ),
    gauge(
      "sluice_store_round_trip_seconds",
      "Round trip of the last answered calls, of the slowest worker.",
      Math.max(0, ...stores.map((store) => store.roundTripMs)) / 1000,
    ),
    gauge("sluice_store_live_gateways", "Gateways that use the store.", Math.max(0, ...stores.map((store) => store.liveGateways))),
  ];
}

function embeddedStoreFamilies(facts: EmbeddedStoreFacts): object[] {
  const one = (name: string, type: "counter" | "gauge", help: string, value: number) => family(name, type, help, [sample(name, {}, value)]);
  return [
    one("sluice_store_keys", "gauge", "Keys in the embedded store.", facts.keys),
    one("sluice_store_bytes", "gauge", "What they take, counted against store.memory.", facts.bytes),
    one("sluice_store_limit_bytes", "gauge", "store.memory.", facts.limitBytes),
    one("sluice_store_log_bytes", "gauge", "The file of what survives a restart.", facts.logBytes),
    one("sluice_store_evicted_total", "counter", "Keys given up for store.memory, since the store's process started.", facts.evicted),
    one("sluice_store_restarts_total", "counter", "Times that the embedded store's process was lost and started again.", facts.restarts),
  ];
}

function gatewayFamilies(facts: GatewayFacts): object[] {
  const restarts = Array.from(facts.workerRestarts, ([reason, count]) => sample("sluice_worker_restarts_total", { reason }, count));
  return [
    ...(facts.embeddedStore === null ? [] : embeddedStoreFamilies(facts.embeddedStore)),
    family("sluice_worker_restarts_total", "counter", "Workers that ended unasked and were started again.", restarts),
    family("sluice_workers", "gauge", "Workers wanted, and serving now.", [
      sample("sluice_workers", { state: "wanted" }, facts.workersWanted),
      sample("sluice_workers", { state: "serving" }, facts.workersServing),
    ]),
    family("sluice_build_info", "gauge", "1; the labels say what runs.", [
      sample("sluice_build_info", { version: facts.version, node: process.version, release: facts.release }, 1),
    ]),
    family("sluice_start_time_seconds", "gauge", "When the supervisor started, Unix time.", [
      sample("sluice_start_time_seconds", {}, facts.startedUnixMs / 1000),
    ]),
  ];
}

function histogramSamples(name: HistogramName, cell: Distribution): Sample[] {
  const { bounds, labels: names } = HISTOGRAMS[name];
  const labels = labelled(names, cell.labels);
  const [bucket, sum, count] = HISTOGRAM_SUFFIXES.map((suffix) => name + suffix) as [string, string, string];
  let below = 0;
  const buckets = cell.counts.map((inBucket, i) => {
    below += inBucket;
    return sample(bucket, { ...labels, le: i < bounds.length ? String(bounds[i]) : "+Inf" }, below);
  });
  return [...buckets, sample(sum, labels, cell.sum), sample(count, labels, below)];
}

function labelled(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, i) => [name, values[i] ?? ""]));
}

function sample(metricName: string, labels: Readonly<Record<string, string>>, value: number): Sample {
  return { metricName, labels, value };
}

function family(name: string, type: "counter" | "gauge" | "histogram", help: string, values: Sample[]): object {
  return { name, type, help, values, aggregator: "sum" };
}

function at<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
