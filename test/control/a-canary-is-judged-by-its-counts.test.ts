import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import { judge, type Picture } from "../../runtime/control/canary/judgement.ts";
import { addCounts, Arm, type ArmCounts, type CanaryCounts, NO_COUNTS } from "../../runtime/observe/canary-counts.ts";
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

type Met = readonly [unit: number, record: Partial<ExchangeRecord>, failure?: string];

function measured(...exchanges: readonly Met[]): ArmCounts {
  return measuredFrom((unit) => `client ${unit}`, exchanges).canary;
}

/** `onCanary`: of which side is a unit? */
function measuredFrom(address: (unit: number) => string, exchanges: readonly Met[], onCanary = (_unit: number): boolean => true): CanaryCounts {
  const measure = new CanaryMeasure(1, new ManualClock(), true);
  for (const [i, [unit, record, failure]] of exchanges.entries()) {
    const exchange = new CanaryExchange(null as never, onCanary(unit), unit, address(unit), "");
    measure.began(String(i), exchange);
    if (failure !== undefined)
      measure.hook({
        rule: "a.ts",
        release: "0123456789ab",
        phase: "onRequest",
        cpuUs: 1,
        outcome: "failed-closed",
        failure: { kind: failure, message: "", stack: "" },
        exchange: String(i),
      });
    measure.over(exchange, { id: String(i), status: 200, code: "", completed: true, ...record } as ExchangeRecord);
  }
  return measure.counts();
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

test("whoever makes many clients of one is still one: an address has one voice, on whichever side it comes first", () => {
  const failing = Array.from({ length: 500 }, (_, unit) => [unit, { status: 500 }] as const);
  assert.deepEqual(counted(measuredFrom(() => "192.0.2.1", failing).canary), [1, 500, 0, 0, 1]);
  // A home has a /64 or more of them, a customer as much as a /48.
  assert.deepEqual(counted(measuredFrom((unit) => `2001:db8:7:${unit.toString(16)}::1`, failing).canary), [1, 500, 0, 0, 1]);
  assert.equal(measuredFrom((unit) => `2001:db8:${unit.toString(16)}::1`, failing).canary.units, 500);
  // What the one that counts meets later counts, what the others meet does not.
  const later = [
    [1, {}],
    [2, { status: 500 }],
    [1, { status: 500 }],
  ] as const;
  assert.deepEqual(counted(measuredFrom(() => "192.0.2.1", later).canary), [1, 3, 0, 0, 1]);

  const both = measuredFrom(
    () => "192.0.2.1",
    failing,
    (unit) => unit % 2 === 1,
  );
  assert.deepEqual([both.canary.units, both.current.units, both.canary.failures], [0, 1, 0]);
});

test("an address that fails on many workers has failed once", () => {
  const worker = (...addresses: string[]): CanaryCounts =>
    measuredFrom(
      (unit) => addresses[unit]!,
      addresses.map((_, unit) => [unit, { status: 503, code: "RULE_THREW" }, "threw"] as const),
    );
  const sum = [worker("192.0.2.1", "192.0.2.2"), worker("192.0.2.1"), worker("192.0.2.3", "192.0.2.1")].reduce(addCounts).canary;
  assert.deepEqual([sum.units, sum.exceptions, sum.failures, sum.timeouts], [5, 3, 3, 0]);
  // An outage is no question of single addresses.
  const many = Array.from({ length: 300 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  const outage = addCounts(worker(...many), worker(...many)).canary;
  assert.deepEqual([outage.units, outage.failures], [600, 400]);
});

test("five thousand clients of one address that all fail end no canary, and as many that all succeed let none pass", () => {
  const others: Met[] = Array.from({ length: 4000 }, (_, unit) => [unit, { status: 200 }]);
  const minted = (status: number): Met[] => Array.from({ length: 5000 }, (_, n) => [10_000 + n, { status }]);
  const judgedFrom = (exchanges: readonly Met[]): Picture => {
    const counts = measuredFrom(
      (unit) => (unit < 10_000 ? `client ${unit}` : "192.0.2.1"),
      exchanges,
      (unit) => unit >= 10_000 || unit % 10 === 0,
    );
    return judge(canaryOf(), { counts, missing: [], elapsedMs: 3_600_000 });
  };
  assert.equal(judgedFrom([...others, ...minted(500)]).verdict, "hold");
  const few = judgedFrom([...others, ...minted(200)]);
  assert.ok(few.verdict === "hold" && few.canary.units <= 401, few.reason);
  assert.match(few.reason, /^\d+ clients on the canary .* of at least 500$/);
  const behindProxy = judgedFrom(minted(200));
  assert.match(behindProxy.reason, /^1 clients on the canary .*; all clients of one address count as one: are proxies in front named in trustedProxies\?$/);
});
