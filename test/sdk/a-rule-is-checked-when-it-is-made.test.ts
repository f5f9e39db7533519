import assert from "node:assert/strict";
import { test } from "node:test";
import { defineConfig, defineRule, fromFetchHandler, type RuleInit } from "sluice";

/** As plain JavaScript would call it. */
const define = (rule: unknown) => defineRule(rule as RuleInit);

test("a rule is frozen data with its hooks apart and everything filled in", () => {
  const rule = define({ when: { path: "/a" }, secrets: ["b", "a", "b"], onRequest: () => undefined });
  assert.deepEqual(
    { ...rule, hooks: Object.keys(rule.hooks) },
    { kind: "rule", when: [{ path: "/a" }], order: 0, secrets: ["a", "b"], onFailure: "closed", hooks: ["onRequest"] },
  );
  for (const part of [rule, rule.when, rule.when[0], rule.secrets, rule.hooks]) assert.ok(Object.isFrozen(part));
  assert.deepEqual(define({}).when, []);
});

test("hooks keep the rule as this", () => {
  const rule = define({
    order: 3,
    onRequest(this: { order: number }) {
      return this.order;
    },
  });
  assert.equal(rule.hooks.onRequest?.(), 3);
});

test("a misspelt name is answered with the nearest one", () => {
  assert.throws(() => define({ onrequest() {} }), /"onrequest" is not known here; did you mean "onRequest"\?/);
  assert.throws(() => define({ when: { pth: "/a" } }), /when: "pth" is not known here; did you mean "path"\?/);
  assert.throws(() => define({ when: [{}, { not: [{ hosts: "a" }] }] }), /when\[1\]\.not\[0\]: "hosts" is not known here; did you mean "host"\?/);
  assert.throws(() => define({ somethingElse: 1 }), /"somethingElse" is not known here. Known: /);
});

const wrong: Readonly<Record<string, unknown>> = {
  "no object": null,
  "a hook that is no function": { onRequest: "x" },
  "an order that is no number": { order: "1" },
  "an endless order": { order: Infinity },
  "secrets that are no list": { secrets: "jwtKey" },
  "an empty secret": { secrets: [""] },
  "a policy of its own": { onFailure: "maybe" },
  "a when that is a function": { when: () => ({}) },
  "an empty list of matches": { when: [] },
  "a path that is a regular expression": { when: { path: /a/ } },
  "a condition that is a number": { when: { header: { a: 1 } } },
  "headers as a list": { when: { header: ["a"] } },
  "a match that contains itself": (() => {
    const spec: { not?: unknown } = {};
    spec.not = spec;
    return { when: spec };
  })(),
};
for (const [what, rule] of Object.entries(wrong)) {
  test(`${what} is a TypeError`, () => assert.throws(() => define(rule), { name: "TypeError", message: /^defineRule: / }));
}

test("changing what was handed in changes nothing", () => {
  const when = { path: ["/a"] };
  const rule = defineRule({ when });
  when.path.push("/b");
  assert.deepEqual(rule.when, [{ path: ["/a"] }]);
});

test("a fetch handler is a hook and a rule at once", () => {
  const handler = { fetch: () => new Response("x") };
  const hook = fromFetchHandler(handler, { when: { path: "/x" }, order: 5 });
  const answer = hook({} as never, {});
  assert.deepEqual(
    [answer.kind, answer.handler === handler, hook.kind, hook.when, hook.order, Object.keys(hook.hooks)],
    ["fetch", true, "rule", [{ path: "/x" }], 5, ["onRequest"]],
  );
  assert.equal(defineRule({ onRequest: hook }).kind, "rule");
  assert.throws(() => fromFetchHandler({} as never), TypeError);
});

test("defineConfig gives back what it got", () => {
  const config = { upstreams: { site: { targets: ["http://127.0.0.1:9001"] } } };
  assert.equal(defineConfig(config), config);
});
