import assert from "node:assert/strict";
import { test } from "node:test";
import { differenceOf } from "../../runtime/compile/difference.ts";
import type { RuleManifest, RuleModule } from "../../runtime/compile/release.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import type { ExperimentData } from "../../runtime/experiments/experiment-data.ts";
import { defineExperiment, html } from "../../sdk/index.ts";

const PLAIN: RuleManifest = {
  name: "shop.ts",
  order: 0,
  when: [{ path: "/shop/*" }],
  phases: ["onRequest"],
  secrets: [],
  onFailure: "closed",
  services: [],
  hosts: [],
  readsBody: false,
};

function rule(manifest: Partial<RuleManifest>, code = "1"): RuleModule {
  return { manifest: { ...PLAIN, ...manifest }, code };
}

function experiment(init: object, name = "hero.ts"): RuleModule {
  const made = defineExperiment({
    key: "hero",
    variants: { control: 50, bold: 50 },
    apply: { bold: { html: [html.setText("h1", "Buy")] } },
    goals: { purchase: { when: { path: "/checkout" } }, visit: { when: { path: "/cart" } } },
    ...init,
  });
  const data = { ...made, audience: made.audience !== null } as unknown as ExperimentData;
  return rule({ name, when: made.when, phases: [], experiment: data }, JSON.stringify(init));
}

const routesOf = (...routes: readonly object[]) =>
  resolveConfig({ upstreams: { a: { targets: ["http://127.0.0.1:1"] }, b: { targets: ["http://127.0.0.1:2"] } }, routes }, { baseDir: "/", file: "" }).routes;
const ROUTE = { match: { path: "/api/*" }, upstream: "a" };

function changes(before: readonly RuleModule[], after: readonly RuleModule[], routes: readonly [object[], object[]] = [[ROUTE], [ROUTE]]): string[] {
  const content = (rules: readonly RuleModule[], some: object[]) => ({
    release: { id: "0123456789ab", format: 1, rules } as const,
    routes: routesOf(...some),
  });
  return differenceOf(content(before, routes[0]), content(after, routes[1]), (origin) => origin === "https://api.example.com").map(
    ({ about, how, subject, text }) => `${how} ${about} ${subject}: ${text}`,
  );
}

test("the same input is no change", () => {
  const rules = [rule({}), experiment({})];
  assert.deepEqual(changes(rules, structuredClone(rules)), []);
});

test("rules, matches, order, hooks and what becomes of failures", () => {
  const other = rule({ name: "other.ts", order: 5 });
  assert.deepEqual(
    changes([rule({}), other], [other, rule({ order: 9, when: [{ path: "/store/*" }], phases: ["onRequest", "onResponse"], onFailure: "open" }, "2")]),
    [
      "changed rule shop.ts: its code changes",
      'changed match shop.ts: matches [{"path":"/store/*"}] instead of [{"path":"/shop/*"}]',
      "changed order shop.ts: order 9 instead of 0",
      "changed rule shop.ts: hooks +onResponse",
      "changed rule shop.ts: fails open (requests carry on without it)",
      "changed order rules: run in the order other.ts, shop.ts",
    ],
  );
  assert.deepEqual(changes([other], []), ["removed rule other.ts: is taken out"]);
});

test("what a rule may do, in words, when it is new to it and when it is not any more", () => {
  const able = rule({
    services: ["cache", "fetch", "kv", "limit", "requestBody", "responseBody"],
    secrets: ["jwtKey"],
    hosts: ["https://api.example.com", "https://elsewhere.example.com"],
    asksExperiments: ["hero"],
    tracks: true,
  });
  const told = [
    "may call out (ctx.fetch)",
    "reads and writes shared values (ctx.kv)",
    "limits rates (ctx.limit)",
    "decides about the cache (ctx.cache)",
    "may read request bodies",
    "asks for the experiment hero",
    "counts goals (ctx.track)",
    "sees the secret jwtKey",
    "may fetch https://api.example.com",
    "names https://elsewhere.example.com, which config does not allow it to fetch",
  ];
  assert.deepEqual(changes([rule({})], [able]).sort(), told.map((text) => `added capability shop.ts: new: ${text}`).sort());
  assert.deepEqual(changes([able], [rule({})]).sort(), told.map((text) => `removed capability shop.ts: no longer: ${text}`).sort());
  const bodies = changes([rule({ phases: ["onResponse"] })], [rule({ phases: ["onResponse"], services: ["requestBody", "responseBody"] })]);
  assert.deepEqual(bodies, ["added capability shop.ts: new: may read response bodies"], "a hook that never meets a request body reads none");
});

test("experiments: variants, weights, traffic, goals and the rest", () => {
  assert.deepEqual(changes([], [experiment({})]), [
    "added experiment hero: begins on every request: control 50%, bold 50%; traffic 100%; goals purchase, visit",
  ]);
  assert.deepEqual(changes([experiment({})], []), ["removed experiment hero: ends: everybody gets what there was before"]);
  assert.deepEqual(
    changes(
      [experiment({})],
      [
        experiment({
          variants: { control: 80, bold: 20 },
          traffic: "25%",
          bucketVersion: 2,
          layer: "home",
          apply: { bold: { html: [html.setText("h1", "Now")] } },
          goals: { visit: { when: { path: "/basket" } }, signup: { when: { path: "/join" } } },
          guardrails: { errors: { maxIncrease: "1%" } },
        }),
      ],
    ),
    [
      "changed experiment hero: weights control 80%, bold 20% instead of control 50%, bold 50%",
      "changed experiment hero: variant bold changes something else",
      "changed experiment hero: traffic 25% instead of 100%",
      "changed experiment hero: bucketVersion 2 instead of 0: counts begin anew, and cookies of the versions before are not followed",
      "changed experiment hero: goal signup: new",
      "changed experiment hero: goal purchase: no longer counted",
      "changed experiment hero: goal visit is counted otherwise",
      "changed experiment hero: the primary goal is visit instead of purchase",
      "changed experiment hero: guardrail errors +1% instead of none",
      'changed experiment hero: layer {"name":"home","range":null} instead of null',
    ],
  );
  const spending = { goals: { spent: { tracked: "value" } } };
  assert.deepEqual(changes([experiment(spending)], [experiment({ ...spending, prePeriod: "14d" })]), [
    "changed experiment hero: prePeriod 14d instead of none",
  ]);
  assert.deepEqual(changes([experiment({ ...spending, prePeriod: "36h" })], [experiment({ ...spending, prePeriod: "2d" })]), [
    "changed experiment hero: prePeriod 2d instead of 36h",
  ]);
  assert.match(changes([], [experiment({ ...spending, prePeriod: "14d" })])[0]!, /; traffic 100%; goals spent; prePeriod 14d$/);
  assert.deepEqual(changes([experiment({})], [experiment({}, "landing/hero.ts")]), ["changed experiment hero: stands in landing/hero.ts instead of hero.ts"]);
});

test("routes, their cache, and their limits by name", () => {
  const limited = (rate: string, more = {}) => ({ ...ROUTE, limits: [{ name: "per-client", rate, ...more }] });
  assert.deepEqual(changes([], [], [[ROUTE], [limited("100/1m")]]), ['added limit {"path":"/api/*"}: per-client: 100 in 60 s']);
  assert.deepEqual(changes([], [], [[limited("100/1m")], [limited("50/1m")]]), [
    'changed limit {"path":"/api/*"}: per-client: 50 in 60 s instead of 100 in 60 s',
  ]);
  assert.deepEqual(changes([], [], [[limited("100/1m")], [limited("100/1m", { shadow: true })]]), [
    'changed limit {"path":"/api/*"}: per-client: shadow true instead of false',
  ]);
  assert.deepEqual(changes([], [], [[limited("100/1m")], [ROUTE]]), ['removed limit {"path":"/api/*"}: per-client: no longer']);
  const cached = (lifetime: string) => ({ ...ROUTE, cache: { default: lifetime } });
  assert.deepEqual(changes([], [], [[cached("1m")], [cached("2m")]]), [
    'changed route {"path":"/api/*"}: is cached otherwise: defaultMs 120000 instead of 60000',
  ]);
  const [first, second] = [ROUTE, { match: { path: "/b" }, upstream: "b" }];
  assert.deepEqual(
    changes(
      [],
      [],
      [
        [first, second],
        [second, { ...first, upstream: "b" }],
      ],
    ),
    ['changed route {"path":"/api/*"}: to b instead of a', "changed order routes: are tried in another order"],
  );
});
