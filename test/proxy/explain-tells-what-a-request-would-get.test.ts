import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { sluice } from "../e2e/sluice-command.ts";
import type { Explanation, ExplainStep } from "../../runtime/proxy/explanation.ts";
import { type RunningGateway, startGateway } from "../support/running-gateway.ts";

const timeout = 60_000;

const RULES = {
  "10-old.ts": `import { defineRule } from "sluice";

export default defineRule({
  order: 10,
  when: { path: "/old/:page" },
  async onRequest(req, ctx) {
    console.log("rewriting", req.path);
    req.path = "/new/" + req.params.page;
    req.headers.set("x-visitor", "new");
    await ctx.kv.set("seen", 1, { ttl: "1m" });
    ctx.state = { seen: true };
  },
  onResponse(res) {
    res.headers.set("x-old", "yes");
    res.status = 203;
  },
});
`,
  "20-fetch.ts": `import { defineRule } from "sluice";

export default defineRule({
  order: 20,
  when: { path: "/old/*" },
  onFailure: "open",
  async onRequest(req, ctx) {
    const answer = await ctx.fetch("http://127.0.0.1:1/who");
    req.headers.set("x-who", await answer.text());
  },
});
`,
  "30-answer.ts": `import { defineRule, respond } from "sluice";

export default defineRule({
  order: 30,
  when: { path: "/closed" },
  onRequest: () => respond(403, "closed"),
});
`,
  "40-throw.ts": `import { defineRule } from "sluice";

export default defineRule({
  order: 40,
  when: { path: "/throws" },
  onRequest(req) {
    throw new RangeError("no " + req.path);
  },
});
`,
};

async function explained(t: TestContext): Promise<{
  gateway: RunningGateway;
  asked: () => number;
  explain: (...args: string[]) => Promise<Explanation>;
  text: (...args: string[]) => Promise<string>;
}> {
  let asked = 0;
  const origin = createServer((_request, response) => {
    asked++;
    response.setHeader("cache-control", "max-age=60");
    response.end("origin");
  });
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  t.after(() => origin.close());
  const gateway = await startGateway({
    config: {
      upstreams: { site: { targets: [`http://127.0.0.1:${(origin.address() as AddressInfo).port}`] } },
      routes: [
        { match: { path: "/new/*" }, upstream: "site", limits: [{ name: "pages", rate: "1/1h" }] },
        { upstream: "site", cache: {} },
      ],
      fetch: { private: ["http://127.0.0.1:1"] },
    },
    rules: RULES,
    env: { SLUICE_ADMIN_TOKEN: "a-token-for-tests-of-explain" },
  });
  t.after(() => gateway.stop());
  const [, admin] = await gateway.process.printed(/admin on (\S+)/);
  process.env["SLUICE_ADMIN_TOKEN"] = "a-token-for-tests-of-explain";
  const run = async (...args: string[]): Promise<string> => {
    const { code, text } = await sluice(gateway.folder, ["explain", "--admin", admin!, ...args]);
    assert.equal(code, 0, text);
    assert.ok(!text.includes(gateway.folder), "a path of the host");
    return text;
  };
  return { gateway, asked: () => asked, text: run, explain: async (...args) => JSON.parse(await run("--json", ...args)) as Explanation };
}

const hooks = (steps: readonly ExplainStep[]) => steps.filter((step) => step.step === "hook");

test("a request is explained rule by rule, with values before and after and the lines that changed them; the origin is not asked", { timeout }, async (t) => {
  const { explain, text, asked, gateway } = await explained(t);
  const { matched, unmatched, steps } = await explain("http://shop.test/old/page?q=1", "-H", "X-Visitor: old");
  assert.deepEqual(
    matched.map(({ name, hooks: places }) => [name, places]),
    [
      ["10-old.ts", { onRequest: "rules/10-old.ts:6:9", onResponse: "rules/10-old.ts:13:3" }],
      ["20-fetch.ts", { onRequest: "rules/20-fetch.ts:7:9" }],
    ],
  );
  assert.deepEqual(unmatched, ["30-answer.ts", "40-throw.ts"]);
  const [old, fetching, back] = hooks(steps);
  assert.deepEqual(
    old?.effects.map(({ what, before, after, place }) => [what, before, after, place.split(":").slice(0, 2).join(":")]),
    [
      ["header x-visitor", "old", "new", "rules/10-old.ts:9"],
      ["target", "/old/page?q=1", "/new/page?q=1", "rules/10-old.ts:8"],
      ["ctx.state", null, '{"seen":true}', ""],
    ],
  );
  assert.deepEqual(old?.logs, [{ level: "info", text: "rewriting /old/page" }]);
  assert.equal(old?.calls[0]?.service, "kv");
  assert.equal(fetching?.outcome, "failed-open");
  assert.match(fetching?.failure?.message ?? "", /sluice explain sends nothing/);
  assert.match(fetching?.failure?.stack ?? "", /rules\/20-fetch\.ts:8:/);
  assert.deepEqual(
    back?.effects.map(({ what, before, after, place }) => [what, before, after, place.split(":").slice(0, 2).join(":")]),
    [
      ["header x-old", null, "yes", "rules/10-old.ts:14"],
      ["status", "200", "203", "rules/10-old.ts:15"],
    ],
  );
  const upstream = steps.find((step) => step.step === "upstream");
  assert.deepEqual([upstream?.route, upstream?.upstream, upstream?.target, upstream?.why], [0, "site", "/new/page?q=1", "route 0 matches"]);
  assert.equal(upstream?.headers[upstream.headers.indexOf("x-visitor") + 1], "new");
  assert.equal(steps.at(-1)?.step, "response");
  assert.equal(asked(), 0);

  assert.match(await text("http://shop.test/old/page"), /header x-visitor: \(none\) → "new" {2}rules\/10-old\.ts:9:\d+/);
  // Neither limits nor metrics nor the log know of it.
  const limited = await explain("http://shop.test/new/page");
  assert.deepEqual(limited.steps[0], { step: "limits", route: 0, limits: ["pages"], why: "as if nothing had been charged so far; explaining charges nothing" });
  assert.equal(limited.steps.at(-1)?.step === "response" && limited.steps.at(-1)?.["status" as never], 200);
  assert.equal((await fetch(`${gateway.url}/new/page`)).status, 200);
  assert.ok(!gateway.process.text().includes("rewriting"));
});

test("answers, exceptions and what the cache holds are told", { timeout }, async (t) => {
  const { explain, asked, gateway } = await explained(t);
  const closed = await explain("http://shop.test/closed");
  assert.deepEqual(
    closed.steps.map(({ step }) => step),
    ["hook", "response"],
  );
  assert.deepEqual([hooks(closed.steps)[0]?.outcome, hooks(closed.steps)[0]?.effects[0]?.after], ["answer", "403, 6 bytes"]);

  const thrown = await explain("http://shop.test/throws");
  assert.match(hooks(thrown.steps)[0]?.failure?.stack ?? "", /RangeError: no \/throws\n {4}at .*rules\/40-throw\.ts:7:/);
  const end = thrown.steps.at(-1);
  assert.deepEqual(end?.step === "response" && [end.status, end.code], [503, "RULE_THREW"]);

  const decision = async () => (await explain(`${gateway.url}/page`)).steps.find((step) => step.step === "cache")?.decision;
  assert.equal(await decision(), "miss");
  assert.equal(asked(), 0);
  await (await fetch(`${gateway.url}/page`)).text();
  assert.equal(asked(), 1);
  assert.equal(await decision(), "hit");
  assert.equal(asked(), 1);
});
