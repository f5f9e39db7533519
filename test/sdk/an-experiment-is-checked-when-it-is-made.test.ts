import assert from "node:assert/strict";
import { test } from "node:test";
import { planOf } from "../../runtime/experiments/assign/assign.ts";
import { claim, cookie, defineExperiment, type ExperimentInit, header } from "../../sdk/experiment.ts";

/** As plain JavaScript would call it. */
const define = (experiment: unknown) => defineExperiment(experiment as ExperimentInit);
const usual = {
  key: "hero-copy",
  variants: { control: 50, bold: 50 },
  goals: { purchase: { when: { method: "POST", path: "/checkout" } } },
} as const;

test("an experiment is frozen data with everything filled in", () => {
  const experiment = define(usual);
  assert.deepEqual(experiment, {
    kind: "experiment",
    key: "hero-copy",
    when: [],
    devices: [],
    audience: null,
    variants: [
      { key: "control", weight: 0.5, changes: {} },
      { key: "bold", weight: 0.5, changes: {} },
    ],
    traffic: 1,
    layer: null,
    holdout: null,
    unit: "visitor",
    fallbackUnit: null,
    sticky: true,
    seed: "hero-copy",
    hashVersion: 2,
    bucketVersion: 0,
    minBucketVersion: 0,
    consent: "exempt",
    excludeBots: true,
    goals: [
      {
        name: "purchase",
        kind: "conversion",
        better: "higher",
        windowMs: 14 * 86_400_000,
        traffic: { when: { method: "POST", path: "/checkout" }, status: ["2xx"], value: null },
      },
    ],
    guardrails: { errors: null, latency: null },
    alpha: 0.05,
  });
  for (const part of [experiment, experiment.variants, experiment.variants[0], experiment.goals[0]!.traffic]) assert.ok(Object.isFrozen(part));
});

test("everything that can be said arrives, shares as numbers and the primary goal first", () => {
  const isStaff = () => true;
  const experiment = define({
    ...usual,
    when: { host: "shop.example.com", path: "/" },
    device: "mobile",
    audience: isStaff,
    variants: { control: 33.33, bold: 33.33, loud: 33.33 },
    traffic: "12.5%",
    layer: { name: "homepage", from: "0%", to: "50%" },
    holdout: { name: "2026-h1", share: "5%" },
    unit: header("X-User"),
    fallbackUnit: cookie("sid"),
    sticky: false,
    seed: "salt",
    hashVersion: 1,
    bucketVersion: 3,
    minBucketVersion: 2,
    consent: { cookie: { consent: ["yes", "all"] } },
    bots: "include",
    apply: {
      bold: { headers: { "X-Variant": "bold", server: null }, cookies: { look: "b" }, originHeaders: { "x-look": "bold" }, path: "/bold", upstream: "next" },
      loud: { redirect: "/loud?a=1" },
    },
    goals: {
      bounce: { tracked: "conversion", better: "lower", window: "30m" },
      revenue: { when: { path: "/checkout", status: [200, "3xx"] }, value: { json: "/order/total" } },
      items: { when: { path: "/checkout" }, value: { header: "X-Items" } },
    },
    primary: "revenue",
    guardrails: { errors: { maxIncrease: "1%" }, latencyP95: { maxIncrease: "20%" } },
    confidence: "99%",
  });
  assert.deepEqual(
    experiment.variants.map(({ weight }) => weight.toFixed(6)),
    ["0.333333", "0.333333", "0.333333"],
  );
  assert.deepEqual(experiment.variants[1]!.changes.headers, { "x-variant": "bold", server: null });
  assert.equal(experiment.variants[2]!.changes.redirect, "/loud?a=1");
  assert.deepEqual([experiment.traffic, experiment.alpha, experiment.audience, experiment.devices], [0.125, 0.01, isStaff, ["mobile"]]);
  assert.deepEqual(
    experiment.goals.map(({ name, kind, better, windowMs }) => [name, kind, better, windowMs]),
    [
      ["revenue", "value", "higher", 1_209_600_000],
      ["bounce", "conversion", "lower", 1_800_000],
      ["items", "value", "higher", 1_209_600_000],
    ],
  );
  assert.deepEqual(experiment.goals[0]!.traffic, { when: { path: "/checkout" }, status: [200, "3xx"], value: { json: "/order/total" } });
  assert.deepEqual(experiment.guardrails, { errors: { maxIncrease: 0.01 }, latency: { quantile: 0.95, maxIncrease: 0.2 } });
  const { variants, ...plan } = planOf(experiment);
  assert.deepEqual(Object.keys(variants[0]!), ["key", "weight"]);
  assert.deepEqual(plan, {
    key: "hero-copy",
    traffic: 0.125,
    seed: "salt",
    hashVersion: 1,
    bucketVersion: 3,
    minBucketVersion: 2,
    unit: { kind: "header", name: "x-user" },
    fallbackUnit: { kind: "cookie", name: "sid" },
    sticky: false,
    layer: { name: "homepage", range: { from: 0, to: 0.5 } },
    holdout: { name: "2026-h1", share: 0.05 },
    consent: "required",
    excludeBots: false,
  });
});

test("a pre-period is of goals with a value", () => {
  const goals = { paid: { when: {}, value: { header: "x-total" } }, left: { tracked: "conversion" }, points: { tracked: "value" } };
  assert.deepEqual(
    define({ ...usual, goals, prePeriod: "90d" }).goals.map(({ prePeriodMs }) => prePeriodMs),
    [90 * 86_400_000, undefined, 90 * 86_400_000],
  );
  assert.ok(!("prePeriodMs" in define({ ...usual, goals }).goals[0]!));
});

test("the plan says that a unit is a claim or a function, and no more", () => {
  assert.deepEqual(planOf(define({ ...usual, unit: claim("sub", { secret: "jwtKey" }) })).unit, { kind: "claim", name: "sub" });
  assert.deepEqual(planOf(define({ ...usual, unit: () => "x" })).unit, { kind: "function" });
  assert.deepEqual(structuredClone(planOf(define({ ...usual, unit: () => "x" }))), planOf(define({ ...usual, unit: () => "x" })));
});

/** What is wrong → the sentence that has to say where and what. */
const wrong: readonly (readonly [string, Readonly<Record<string, unknown>>, RegExp])[] = [
  ["weights that do not add up", { variants: { control: 50, bold: 40 } }, /variants: weights that add up to 100 expected, found 50 \+ 40 = 90/],
  ["one variant", { variants: { control: 100 } }, /variants: control and 1 to 15 others expected, found 1 in all/],
  ["a weight of nothing", { variants: { control: 100, bold: 0 } }, /variants\.bold: a weight above 0 expected, found 0/],
  ["a number as name, which would become control", { variants: { control: 50, 1: 50 } }, /variants: the name "1": letters.* not digits alone expected/],
  ["changes of an unknown variant", { apply: { blod: {} } }, /apply: "blod" is not known here; did you mean "bold"\?/],
  ["an unknown change", { apply: { bold: { heders: {} } } }, /apply\.bold: "heders" is not known here; did you mean "headers"\?/],
  ["an unknown goal", { primary: "purchas" }, /primary: "purchas" is not known here; did you mean "purchase"\?/],
  ["no goal", { goals: {} }, /goals: 1 to 16 goals expected, found 0/],
  ["a goal of nothing", { goals: { a: {} } }, /goals\.a: when or tracked, one of both expected, found none/],
  ["a goal of both", { goals: { a: { when: {}, tracked: "value" } } }, /goals\.a: when or tracked, one of both expected, found both/],
  ["a status that is none", { goals: { a: { when: { status: "2x" } } } }, /goals\.a\.when\.status: a status or a class.*found "2x"/],
  ["a condition that is none", { goals: { a: { when: { pth: "/" } } } }, /goals\.a\.when: "pth" is not known here; did you mean "path"\?/],
  ["a pointer that is none", { goals: { a: { when: {}, value: { json: "order.total" } } } }, /goals\.a\.value: a header, or a JSON pointer/],
  ["a share without its sign", { traffic: 0.5 }, /traffic: a share from "0%" to "100%" expected, found 0\.5/],
  ["more than all", { traffic: "101%" }, /traffic: a share from "0%" to "100%" expected, found "101%"/],
  ["a layer back to front", { layer: { name: "l", from: "50%", to: "20%" } }, /layer: from below to expected, found 50% to 20%/],
  ["a unit that is none", { unit: "cookie" }, /unit: "visitor", cookie\(…\), header\(…\), claim\(…\) or a function expected, found "cookie"/],
  ["a claim that nobody verifies", { unit: claim("sub", {}) }, /unit: a claim with secret or jwksUrl, one of both expected/],
  ["the same unit twice", { fallbackUnit: "visitor" }, /fallbackUnit: another unit than unit is expected, found the same/],
  ["a version below its least", { minBucketVersion: 1 }, /minBucketVersion: bucketVersion \(0\) at most expected, found 1/],
  ["consent of anything", { consent: { cookie: {} } }, /consent\.cookie: the cookie that says yes expected, found none/],
  ["two latencies", { guardrails: { latencyP50: { maxIncrease: "1%" }, latencyP95: { maxIncrease: "1%" } } }, /guardrails: one latency at most expected/],
  ["a guardrail that is none", { guardrails: { error: { maxIncrease: "1%" } } }, /guardrails: "error" is not known here; did you mean "errors"\?/],
  ["a pre-period without its unit", { prePeriod: 14 }, /prePeriod: a duration such as "14d" expected, found 14/],
  ["a pre-period longer than anything is kept", { prePeriod: "91d" }, /prePeriod: "1h" to "90d" expected, found "91d"/],
  ["a pre-period of nothing", { prePeriod: "1d" }, /prePeriod: a goal with a value, which is what it is for, expected, found none/],
  ["a key that is no name", { key: "hero copy" }, /key: letters, digits/],
  ["a misspelt option", { trafic: "5%" }, /"trafic" is not known here; did you mean "traffic"\?/],
  ["a header with a line break", { apply: { bold: { headers: { a: "b\r\nset-cookie: c" } } } }, /apply\.bold\.headers\.a: a header's value/],
  ["a header that frames", { apply: { bold: { headers: { "Content-Length": "3" } } } }, /"Content-Length" is no header that a variant may change/],
  ["a cookie with attributes", { apply: { bold: { cookies: { a: "b; Domain=x" } } } }, /apply\.bold\.cookies\.a: a cookie's value/],
  ["the gateway's own cookie", { apply: { bold: { cookies: { sluice_visitor: "b" } } } }, /"sluice_visitor" is no cookie that a variant may set/],
  ["a redirect that runs as script", { apply: { bold: { redirect: "javascript:alert(1)" } } }, /apply\.bold\.redirect: an http\(s\) URL/],
  ["a redirect to another host by its path", { apply: { bold: { redirect: "//evil.example" } } }, /apply\.bold\.redirect: an http\(s\) URL/],
  ["a redirect with a page to change", { apply: { bold: { redirect: "/b", html: [] } } }, /apply\.bold\.redirect: nothing beside it is expected.*found html/],
  ["edits that are none", { apply: { bold: { html: ["h1"] } } }, /apply\.bold\.html\[0\]: an edit made with html/],
];

for (const [what, changes, sentence] of wrong) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => define({ ...usual, ...changes }),
      (thrown) => thrown instanceof TypeError && thrown.message.startsWith("defineExperiment: ") && sentence.test(thrown.message),
      sentence.source,
    );
  });
}

test("refused: what is no object", () => {
  for (const given of [null, undefined, 1, "x", [], () => 1]) assert.throws(() => define(given), /defineExperiment: an object is expected/);
});
