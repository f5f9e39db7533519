import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import { judge, type Picture } from "../../runtime/control/canary/judgement.ts";
import { Arm, type ArmCounts, type CanaryCounts, NO_COUNTS } from "../../runtime/observe/canary-counts.ts";
import type { ExchangeRecord } from "../../runtime/observe/record.ts";
import { CanaryMeasure } from "../../runtime/proxy/canary-measure.ts";
import { CanaryExchange } from "../../runtime/proxy/release-choice.ts";
import { canaryOf, median, random, simulate } from "./simulated-canary.ts";

interface Made {
  readonly units?: number;
  readonly exceptions?: number;
  readonly timeouts?: number;
  readonly failures?: number;
  readonly latencyMs?: (n: number) => number;
  readonly cpuUs?: (n: number) => number;
}

function arm({ units = 2000, exceptions = 0, timeouts = 0, failures = 0, latencyMs = () => 10, cpuUs }: Made = {}): ArmCounts {
  const made = new Arm();
  for (let n = 0; n < units; n++) {
    made.latency(latencyMs(n));
    if (cpuUs !== undefined) made.cpu("a.ts", cpuUs(n));
  }
  return { ...made.counts(), units, requests: units, exceptions, timeouts, failures };
}

function judged(
  canary: Made | ArmCounts | null,
  current: Made = {},
  more: Partial<{ idleMs: number | null; missing: string[]; elapsedMs: number }> = {},
): Picture {
  const { idleMs = 0, missing = [], elapsedMs = 3_600_000 } = more;
  const side = canary === null ? NO_COUNTS : "cpu" in canary ? canary : arm(canary);
  const counts: CanaryCounts = { step: 1, idleMs, canary: side, current: arm(current) };
  return judge(canaryOf(), { counts, missing, elapsedMs });
}

test("a rule that throws for 3 % of its requests at 5 % is taken back: median within 600 canary requests over 200 runs", () => {
  const runs = Array.from({ length: 200 }, (_, seed) => simulate({ seed, throwing: 0.03, canaryRequests: 5000 }));
  assert.deepEqual([...new Set(runs.map(({ verdict }) => verdict))], ["rollback"]);
  assert.ok(median(runs.map(({ canaryRequests }) => canaryRequests)) <= 600);
  assert.match(runs[0]!.reason, /^exceptions: [\d.]+ % of the clients instead of 0 %, at least [\d.]+ % more \(allowed: 0.25 %\)/);
});

test("one that is no worse is taken back by mistake in 1 % of 500 runs at most", () => {
  // As if a step never ended, so that it is looked at again and again.
  const canary = canaryOf({ stepMs: Number.MAX_SAFE_INTEGER });
  let back = 0;
  for (let seed = 0; seed < 500; seed++) if (simulate({ seed, failing: 0.02, perSecond: 400, canaryRequests: 400, canary }).verdict === "rollback") back++;
  assert.ok(back <= 5, String(back));
});

test("without traffic, without enough of it, and after it has stopped, it holds", () => {
  assert.deepEqual([judged(null).verdict, judged(null).reason], ["hold", "no traffic on the canary"]);
  assert.equal(judge(canaryOf(), { counts: null, missing: [], elapsedMs: 1e9 }).verdict, "hold");
  assert.match(judged({ units: 499 }).reason, /^499 clients on the canary .* of at least 500$/);
  assert.match(judged({}, { units: 300 }).reason, /300 on the release that serves/);
  assert.match(judged({}, {}, { idleMs: 60_001 }).reason, /traffic on the canary has stopped/);
  assert.match(judged({}, {}, { idleMs: null }).reason, /has stopped/);
  assert.match(judged({}, {}, { elapsedMs: 1000 }).reason, /the step lasts 299 s more/);
  assert.equal(judged({}).verdict, "advance");
});

test("whatever is missing or cannot be holds, and never passes", () => {
  assert.deepEqual(judged({}, {}, { missing: ["gateway a has reported nothing"] }).reason, "gateway a has reported nothing");
  const broken: Partial<ArmCounts>[] = [
    { units: Number.NaN },
    { exceptions: -1 },
    { failures: 3000 },
    { latencies: [] },
    { requests: 1 },
    { cpu: { "a.ts": { units: 10, sum: Number.POSITIVE_INFINITY, sumOfSquares: 0 } } },
  ];
  for (const damage of broken) {
    const picture = judged({ ...arm(), ...damage });
    assert.equal(picture.verdict, "hold", JSON.stringify(damage));
  }
  const unmeasured = judged({ ...arm(), latencies: NO_COUNTS.latencies });
  assert.deepEqual([unmeasured.verdict, unmeasured.reason], ["hold", "nothing measured: latencyP95"]);
});

test("each metric takes it back when it is worse, holds when it may be, and says by how much", () => {
  for (const metric of ["exceptions", "timeouts", "failures"] as const) {
    assert.equal(judged({ [metric]: 100 }, { [metric]: 2, units: 40_000 }).verdict, "rollback", metric);
    const suspect = judged({ units: 600, [metric]: 3 }, { units: 11_000 });
    assert.deepEqual([suspect.verdict, /not sure yet/.test(suspect.reason)], ["hold", true], metric);
    assert.equal(judged({ [metric]: 40 }, { [metric]: 800, units: 40_000 }).verdict, "advance", metric);
  }
  const slow = judged({ latencyMs: (n) => (n % 10 === 0 ? 80 : 20) }, { latencyMs: (n) => (n % 10 === 0 ? 40 : 20) });
  assert.match(slow.reason, /^latencyP95: [\d.]+ ms instead of [\d.]+ ms, at least [\d.]+ % more \(allowed: 25 %\)$/);
  // Twice as slow, and nobody can tell.
  assert.equal(judged({ latencyMs: () => 2 }, { latencyMs: () => 1 }).verdict, "advance");
  const chance = random(1);
  const hungry = judged({ cpuUs: () => 3000 + 500 * chance() }, { cpuUs: () => 1000 + 500 * chance() });
  assert.match(hungry.reason, /^cpu of a\.ts: [\d.]+ µs instead of [\d.]+ µs, at least [\d.]+ % more \(allowed: 50 %\)$/);
  assert.equal(judged({ cpuUs: () => 200 + 50 * chance() }, { cpuUs: () => 100 + 50 * chance() }).verdict, "advance");
  // A rule that is new has nothing to be compared with.
  assert.equal(judged({ cpuUs: () => 9000 + chance() }).verdict, "advance");
});

test("a metric that is not looked at is not, and the others are", () => {
  const limits = { ...canaryOf().limits, exceptions: null };
  const counts: CanaryCounts = { step: 1, idleMs: 0, canary: arm({ exceptions: 500, timeouts: 400 }), current: arm() };
  assert.match(judge(canaryOf({ limits }), { counts, missing: [], elapsedMs: 1e9 }).reason, /^timeouts:/);
});

function measured(...exchanges: readonly (readonly [unit: number, record: Partial<ExchangeRecord>, failure?: string])[]): ArmCounts {
  const measure = new CanaryMeasure(1, new ManualClock(), true);
  for (const [i, [unit, record, failure]] of exchanges.entries()) {
    const exchange = new CanaryExchange(null as never, true, unit, "");
    measure.began(String(i), exchange);
    if (failure !== undefined)
      measure.hook({
        rule: "a.ts",
        phase: "onRequest",
        cpuUs: 1,
        outcome: "failed-closed",
        failure: { kind: failure, message: "", stack: "" },
        exchange: String(i),
      });
    measure.over(exchange, { id: String(i), status: 200, code: "", completed: true, ...record } as ExchangeRecord);
  }
  return measure.counts().canary;
}
const counted = ({ units, requests, exceptions, timeouts, failures }: ArmCounts): number[] => [units, requests, exceptions, timeouts, failures];

test("a client counts once, however often it meets an error", () => {
  const threw = [7, { status: 503, code: "RULE_THREW" }, "threw"] as const;
  assert.deepEqual(counted(measured(...Array.from({ length: 500 }, () => threw))), [1, 500, 1, 0, 1]);
  assert.deepEqual(
    counted(measured([1, {}], [1, { status: 503, code: "RULE_WALL" }, "wall"], [2, { status: 504, code: "UPSTREAM_TIMEOUT" }])),
    [2, 3, 1, 2, 2],
  );
});

test("what a client causes never counts: 4xx, too large bodies, requests that nobody serves, leaving", () => {
  assert.deepEqual(
    counted(measured([1, { status: 404 }], [2, { status: 413, code: "BODY_TOO_LARGE" }, "body"], [3, { status: 501, code: "METHOD_UNSUPPORTED" }])),
    [3, 3, 0, 0, 0],
  );
  assert.deepEqual(counted(measured([4, { status: 429, code: "RATE_LIMITED" }], [5, { status: 504, code: "NOT_CACHED" }])), [2, 2, 0, 0, 0]);
  assert.deepEqual(counted(measured([6, { status: 499, code: "CLIENT_CLOSED", completed: false }, "threw"])), [0, 0, 0, 0, 0]);
});

test("a failure that a rule passed over, or that a page of its own hides, counts all the same", () => {
  assert.deepEqual(counted(measured([1, {}, "threw"], [2, { status: 200, code: "UPSTREAM_RESET" }])), [2, 2, 1, 0, 1]);
});
