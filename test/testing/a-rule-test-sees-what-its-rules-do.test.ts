import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { expect, gateway } from "../../runtime/testing/testing.ts";

const folder = mkdtempSync(path.join(tmpdir(), "sluice-rule-tests-"));
after(() => rmSync(folder, { recursive: true }));

const file = path.join(folder, "busy.ts");
writeFileSync(
  file,
  `import { defineRule, respond } from "sluice";

export default defineRule({
  async onRequest(req, ctx) {
    console.log("asked for", req.path);
    if (req.path === "/throw") throw new RangeError("not today");
    if (req.path === "/spin") { let sum = 0; for (let i = 0; i < 300_000; i++) sum += Math.sqrt(i); req.headers.set("x-sum", String(sum)); return; }
    if (req.path === "/fetch") {
      const answer = await ctx.fetch("https://auth.example.com/check", { method: "POST", body: "token" });
      return respond(200, await answer.text());
    }
    if (req.path === "/elsewhere") { await ctx.fetch("https://else.example.com/"); }
    ctx.metric("seen", 2, { path: req.path });
    req.headers.set("x-user", "ann");
    req.path = "/rewritten";
  },
  onComplete(info, req, ctx) { ctx.log.warn("done", info.status); },
});
`,
);
const gw = await gateway({
  rules: file,
  upstreams: { site: async ({ target }) => `from ${target}` },
  fetch: { "https://auth.example.com": ({ body, method }) => `${method} ${body} is fine` },
});

test("lines, metrics, hooks and calls of one request are told, also of what runs after the last byte", async () => {
  const res = await gw.request("/page");
  assert.deepEqual(
    res.logs.map(({ level, text }) => `${level} ${text}`),
    ["info asked for /page", "warn done 200"],
  );
  assert.deepEqual(res.metrics, [{ rule: "busy.ts", name: "seen", value: 2, labels: { path: "/page" } }]);
  assert.deepEqual(
    res.hooks.map(({ phase, outcome, failure }) => [phase, outcome, failure]),
    [
      ["onRequest", "next", null],
      ["onComplete", "next", null],
    ],
  );
  assert.equal(res.upstreamRequests[0]?.target, "/rewritten");
  const fetched = await gw.request("/fetch");
  assert.equal(fetched.text(), "POST token is fine");
  assert.deepEqual(
    fetched.fetches.map(({ method, target, upstream }) => `${method} ${upstream}${target}`),
    ["POST https://auth.example.com/check"],
  );
  assert.deepEqual(
    fetched.calls.map(({ service }) => service),
    ["fetch"],
  );
});

test("what goes to a place that the test does not play is refused, and named: no network is needed", async () => {
  const res = await gw.request("/elsewhere");
  assert.deepEqual([res.status, res.code, res.rule], [503, "RULE_THREW", "busy.ts"]);
  assert.match(res.hooks[0]!.failure!, /plays no https:\/\/else\.example\.com; it plays https:\/\/auth\.example\.com/);
});

test("a failure is told with its line in TypeScript", async () => {
  const { failure } = (await gw.request("/throw")).hooks[0]!;
  assert.match(failure!, /not today/);
  assert.match(failure!, /busy\.ts:6:38/);
});

test("changes are told on request, one by one, with the line that made them", async () => {
  assert.deepEqual((await gw.request("/page")).effects, []);
  assert.deepEqual(
    (await gw.request("/page", { trace: true })).effects.map(({ what, before, after, place }) => [what, before, after, place.replace(/:\d+$/, "")]),
    [
      ["header x-user", null, "ann", "busy.ts:14"],
      ["target", "/page", "/rewritten", "busy.ts:15"],
    ],
  );
});

test("requests at the same time are told apart", async () => {
  const results = await Promise.all(Array.from({ length: 12 }, (_, i) => gw.request(i % 3 === 0 ? "/fetch" : `/page/${i}`)));
  for (const [i, { logs, fetches, upstreamRequests, metrics }] of results.entries()) {
    assert.equal(logs[0]?.text, `asked for ${i % 3 === 0 ? "/fetch" : `/page/${i}`}`);
    assert.deepEqual([fetches.length, upstreamRequests.length], i % 3 === 0 ? [1, 0] : [0, 1]);
    assert.equal(logs.length, 2);
    assert.ok(metrics.length <= 12);
  }
});

test("what a request costs is measured over many of them, by rule and phase", async () => {
  const [spin, plain] = [await gw.cost("/spin", { times: 40 }), await gw.cost("/page", { times: 40 })];
  assert.deepEqual(
    spin.hooks.map(({ rule, phase }) => `${rule} ${phase}`),
    ["busy.ts onRequest", "busy.ts onComplete"],
  );
  assert.ok(spin.cpuMs > plain.cpuMs, `${spin.cpuMs} and ${plain.cpuMs} ms`);
  assert.equal(
    spin.cpuMs,
    spin.hooks.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
  );
});

test("the limits are those of production: a rule that spins is stopped, and the next request is served", async () => {
  const spinning = path.join(folder, "spinning.ts");
  writeFileSync(spinning, `import { defineRule } from "sluice";\nexport default defineRule({ onRequest(req) { if (req.path === "/spin") for (;;) {} } });\n`);
  const bounded = await gateway({ rules: spinning, limits: { ruleCpu: "20ms" } });
  const { status, code, hooks } = await bounded.request("/spin");
  assert.deepEqual([status, code, hooks[0]?.outcome], [503, "RULE_CPU", "failed-closed"]);
  assert.equal((await bounded.request("/")).status, 200);
});

test("a rule that does not compile is told with file, line and code frame", async () => {
  const broken = path.join(folder, "broken.ts");
  writeFileSync(broken, `import { defineRule } from "sluice";\nexport default defineRule({ onRequest() { const = 1; } });\n`);
  await assert.rejects(gateway({ rules: broken }), /broken\.ts:2:49: .*\n(?:.*\n)*> 2 \|/);
});

test("expectations say what was found and what was expected", () => {
  expect(3.1).toBeCloseTo(3, 0.2);
  expect({ a: 1, b: { c: 2, d: 3 } }).toMatchObject({ b: { c: 2 } });
  expect({ a: 1 }).not.toMatchObject({ a: 2 });
  assert.throws(() => expect(4).toBeCloseTo(3, 0.2), /expected 4 to be within 0\.2 of 3/);
  assert.throws(() => expect({ a: 1 }).toMatchObject({ a: 2 }), { name: "AssertionError" });
});
