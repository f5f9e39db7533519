import assert from "node:assert/strict";
import { test } from "node:test";
import type { WorkerSnapshot } from "../../runtime/observe/snapshot.ts";
import { MetricsBook } from "../../runtime/observe/metrics.ts";
import { createObserver, type Observer } from "../../runtime/observe/observe.ts";
import { ALL, MemorySink, record, workerSnapshot } from "./records.ts";

const FACTS = {
  version: "1.2.3",
  release: "abc",
  startedUnixMs: 1_700_000_000_000,
  workersWanted: 2,
  embeddedStore: null,
  workersServing: 2,
  workerRestarts: new Map([["killed", 1]]),
};

function observing(): Observer {
  return createObserver({ log: { ...ALL, off: true }, sink: new MemorySink(), now: () => 0 });
}

/** "name{labels}" → value. */
function samples(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line);
    if (match) found.set(match[1]!, Number(match[2]));
  }
  return found;
}

test("two workers are one gateway in the metrics", async () => {
  const [a, b] = [observing(), observing()];
  for (let i = 0; i < 3; i++) a.exchange(record());
  b.exchange(record({ durationMs: 300 }));
  b.exchange(record({ method: "POST", status: 502, code: "UPSTREAM_RESET", from: "gateway" }));
  b.exchange(record({ method: "BREW", status: 0, code: "CLIENT_CLOSED" }));
  const book = new MetricsBook();
  const upstreams = [{ upstream: "shop", target: "http://127.0.0.1:9001", active: 2, idle: 3, requests: 10, connectFailures: 1, connects: 4, resolved: true }];
  book.update(1, workerSnapshot(a.snapshot(), { inFlight: 1, upstreams, connections: { open: 5, accepted: 50 } }));
  book.update(2, workerSnapshot(b.snapshot(), { inFlight: 2, upstreams, connections: { open: 6, accepted: 60 } }));
  const text = await book.render(FACTS);
  const found = samples(text);
  const expected: [string, number][] = [
    ['sluice_requests_total{method="GET",status="2xx",route="0",from="upstream"}', 4],
    ['sluice_requests_total{method="POST",status="5xx",route="0",from="gateway"}', 1],
    ['sluice_requests_total{method="other",status="4xx",route="0",from="upstream"}', 1],
    ['sluice_errors_total{code="CLIENT_CLOSED"}', 1],
    ['sluice_upstream_failures_total{upstream="shop",target="http://127.0.0.1:9001",code="UPSTREAM_RESET"}', 1],
    ['sluice_request_duration_seconds_bucket{route="0",le="0.0025"}', 0],
    ['sluice_request_duration_seconds_bucket{route="0",le="0.005"}', 5],
    ['sluice_request_duration_seconds_bucket{route="0",le="+Inf"}', 6],
    ['sluice_request_duration_seconds_count{route="0"}', 6],
    ["sluice_sent_bytes_total", 600],
    ["sluice_requests_in_flight", 3],
    ["sluice_connections", 11],
    ["sluice_connections_total", 110],
    ['sluice_upstream_requests_total{upstream="shop",target="http://127.0.0.1:9001"}', 20],
    ['sluice_upstream_connects_total{upstream="shop",target="http://127.0.0.1:9001"}', 8],
    ['sluice_upstream_connections{upstream="shop",target="http://127.0.0.1:9001",state="idle"}', 6],
    ['sluice_worker_restarts_total{reason="killed"}', 1],
    [`sluice_build_info{version="1.2.3",node="${process.version}",release="abc"}`, 1],
  ];
  for (const [name, value] of expected) assert.equal(found.get(name), value, name);
  assert.match(text, /^# TYPE sluice_request_duration_seconds histogram$/m);
  assert.match(text, /^# HELP sluice_requests_total Exchanges that are over\.$/m);
});

test("counters never go backwards when a worker ends; what it held at the moment goes with it", async () => {
  const book = new MetricsBook();
  const first = observing();
  for (let i = 0; i < 5; i++) first.exchange(record());
  book.update(1, workerSnapshot(first.snapshot(), { inFlight: 4, connections: { open: 4, accepted: 9 } }));
  book.ended(1);
  const second = observing();
  second.exchange(record());
  book.update(2, workerSnapshot(second.snapshot(), { inFlight: 1, connections: { open: 1, accepted: 1 } }));
  const name = 'sluice_requests_total{method="GET",status="2xx",route="0",from="upstream"}';
  for (let scrape = 0; scrape < 2; scrape++) {
    const found = samples(await book.render(FACTS));
    assert.deepEqual(
      [
        found.get(name),
        found.get("sluice_requests_in_flight"),
        found.get("sluice_connections_total"),
        found.get('sluice_request_duration_seconds_count{route="0"}'),
      ],
      [6, 1, 10, 6],
    );
  }
});

test("rules: calls, CPU, failures, fail-opens, answers, and their own metrics", async () => {
  const observer = observing();
  const hook = { rule: "auth/login.ts", release: "0123456789ab", phase: "onRequest", cpuUs: 1500, failure: null, exchange: "a-1" } as const;
  observer.rule({ ...hook, outcome: "next" });
  observer.rule({ ...hook, outcome: "answer" });
  const failure = { kind: "cpu", message: "", stack: "" };
  observer.rule({ ...hook, outcome: "failed-closed", failure });
  observer.rule({ ...hook, outcome: "failed-open", failure });
  observer.ruleMetric({ rule: "auth/login.ts", name: "logins", value: 2, labels: { plan: "free" } });
  observer.ruleMetric({ rule: "auth/login.ts", name: "logins", value: 3, labels: { plan: "free", rule: "forged.ts" } });
  observer.ruleMetric({ rule: "auth/login.ts", name: "evil name\n}", value: 1, labels: { 'a"b': 'c"\nd' } });
  observer.ruleMetric({ rule: "auth/login.ts", name: "logins", value: -1, labels: {} });
  observer.sandbox({ event: "lost", by: "sluice", reason: "memory", rule: "auth/login.ts", pid: 5 });
  const book = new MetricsBook();
  book.update(1, workerSnapshot(observer.snapshot(), { sandbox: { activePid: 1, sparePid: 2, restarts: 1, outstanding: 0, quarantined: ["auth/login.ts"] } }));
  const found = samples(await book.render(FACTS));
  const of = 'rule="auth/login.ts",phase="onRequest"';
  const expected: [string, number][] = [
    [`sluice_rule_calls_total{${of}}`, 4],
    [`sluice_rule_cpu_seconds_total{${of}}`, 0.006],
    [`sluice_rule_answers_total{${of}}`, 1],
    [`sluice_rule_failures_total{${of},kind="cpu"}`, 2],
    [`sluice_rule_fail_open_total{${of}}`, 1],
    ['sluice_rule_custom_logins_total{plan="free",rule="auth/login.ts"}', 5],
    ['sluice_rule_custom_evil_name___total{a_b="c\\"\\nd",rule="auth/login.ts"}', 1],
    ['sluice_sandbox_restarts_total{reason="memory"}', 1],
    ['sluice_rule_quarantined{rule="auth/login.ts"}', 1],
    ['sluice_metric_series_dropped_total{family="custom-value"}', 1],
  ];
  for (const [name, value] of expected) assert.equal(found.get(name), value, name);
});

test('label sets are bounded: what comes after falls under "other", and is counted as such', () => {
  const observer = observing();
  for (let i = 0; i < 3000; i++)
    observer.rule({ rule: `r${i}.ts`, release: "0123456789ab", phase: "onRequest", cpuUs: 1, outcome: "next", failure: null, exchange: "" });
  for (let i = 0; i < 5000; i++) observer.ruleMetric({ rule: "a.ts", name: "m", value: 1, labels: { user: `${i}` } });
  for (let i = 0; i < 500; i++) observer.exchange(record({ route: i }));
  const { counters, histograms, custom } = observer.snapshot();
  const calls = counters["sluice_rule_calls_total"]!;
  assert.equal(calls.length, 2001);
  assert.deepEqual(calls.at(-1), [["other", "other"], 1000]);
  assert.equal(histograms["sluice_request_duration_seconds"]!.length, 201);
  assert.equal(custom.length, 1000);
  const dropped = new Map(counters["sluice_metric_series_dropped_total"]!.map(([labels, value]) => [labels[0], value]));
  assert.deepEqual([dropped.get("sluice_rule_calls_total"), dropped.get("sluice_request_duration_seconds"), dropped.get("custom")], [1000, 300, 4000]);
});

test("a name of JavaScript's own as label is a label like another", () => {
  const observer = observing();
  observer.ruleMetric({ rule: "a.ts", name: "__proto__", value: 1, labels: JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string> });
  assert.equal(observer.snapshot().custom.length, 1);
  assert.equal(({} as Record<string, unknown>)["x"], undefined);
});

test("the store shows how its workers find it, and what the embedded one holds", async () => {
  const book = new MetricsBook();
  const store = workerSnapshot(observing().snapshot()).store;
  const of = (more: Partial<WorkerSnapshot["store"]>) => workerSnapshot(observing().snapshot(), { store: { ...store, kind: "redis", ...more } });
  book.update(1, of({ calls: 10, failures: 3, timeouts: 1, outstanding: 2, roundTripMs: 4, liveGateways: 3 }));
  book.update(2, of({ state: "unavailable", calls: 5, failures: 5, reconnects: 1, roundTripMs: 250, liveGateways: 2 }));
  book.update(3, of({ calls: 100 }));
  book.ended(3);
  const embeddedStore = { keys: 7, bytes: 900, limitBytes: 1000, evicted: 4, logBytes: 50, restarts: 1 };
  const found = samples(await book.render({ ...FACTS, embeddedStore }));
  const expected: [string, number][] = [
    ["sluice_store_calls_total", 115],
    ["sluice_store_failures_total", 8],
    ["sluice_store_timeouts_total", 1],
    ["sluice_store_reconnects_total", 1],
    ["sluice_store_outstanding", 2],
    ["sluice_store_round_trip_seconds", 0.25],
    ["sluice_store_live_gateways", 3],
    ['sluice_store_workers{kind="redis",state="ready"}', 1],
    ['sluice_store_workers{kind="redis",state="unavailable"}', 1],
    ['sluice_store_workers{kind="redis",state="refused"}', 0],
    ["sluice_store_keys", 7],
    ["sluice_store_bytes", 900],
    ["sluice_store_limit_bytes", 1000],
    ["sluice_store_evicted_total", 4],
    ["sluice_store_restarts_total", 1],
  ];
  for (const [name, value] of expected) assert.equal(found.get(name), value, name);
});
