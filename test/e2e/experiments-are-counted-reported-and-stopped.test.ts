import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { readAudit } from "../../runtime/control/audit.ts";
import type { Report } from "../../runtime/experiments/study/report.ts";
import { type ApiDocument, holdToDocument } from "../control/held-to-its-document.ts";
import { startGateway } from "../support/running-gateway.ts";
import { HERO, openShop, Shopper } from "../support/shoppers.ts";
import { sluice } from "./sluice-command.ts";

async function until<T>(ask: () => Promise<T | null>): Promise<T> {
  const deadlineMs = performance.now() + 60_000;
  for (;;) {
    const found = await ask();
    if (found !== null) return found;
    if (performance.now() > deadlineMs) throw new Error(`did not come to hold: ${ask.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function openStage(t: TestContext) {
  const shop = await openShop();
  const gateway = await startGateway({ config: { workers: 2, upstreams: { shop: { targets: [shop.url] } } }, rules: { "hero.ts": HERO } });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  t.after(async () => {
    agent.destroy();
    await gateway.stop();
    shop.close();
  });
  const admin = /admin on (\S+)/.exec(gateway.process.text())![1]!;
  const command = async (...args: string[]): Promise<string> => {
    const done = await sluice(gateway.folder, ["experiments", ...args, "--admin", admin]);
    assert.equal(done.code, 0, done.text);
    return done.text;
  };
  const token = (await readFile(join(gateway.folder, "state/admin-token"), "utf8")).trim();
  const document = (await (await fetch(`${admin}/v1/openapi.json`, { headers: { authorization: `Bearer ${token}` } })).json()) as ApiDocument;
  const held = await holdToDocument(admin, document);
  t.after(() => held.close());
  const api = async (path: string, body?: object): Promise<unknown> => {
    const asked = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const answer = await fetch(`${held.url}/v1/experiments${path}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(10_000),
      ...asked,
    });
    return answer.json();
  };
  return { shop, gateway, agent, held, command, api, report: async () => (await api("/hero-copy")) as Report };
}

test(
  "goals are counted once through retries, refreshes, redirects and a killed worker, and told in the terminal and on a page",
  { timeout: 180_000 },
  async (t) => {
    const { gateway, agent, command, api, held, report } = await openStage(t);
    const users = 60;
    const shoppers = Array.from({ length: users }, () => new Shopper(gateway.url, agent));
    const visits = shoppers.map((shopper, i) => shopper.shop(i % 3 === 0 ? 10 + i : null));
    const [worker] = (await gateway.status()).workers;
    process.kill(worker!.pid, "SIGKILL");
    await Promise.all(visits);
    const buyers = Array.from({ length: users }, (_, i) => i).filter((i) => i % 3 === 0);
    const sum = buyers.reduce((total, i) => total + 10 + i, 0);
    const counted = await until(async () => {
      const told = await report();
      const goals = told.arms.map((arm) => arm.goals);
      const all = (goal: number, of: (one: Report["arms"][number]["goals"][number]) => number): number =>
        goals.reduce((total, arm) => total + of(arm[goal]!), 0);
      return all(0, ({ units }) => units) === buyers.length && all(1, ({ sum: own }) => own!) === sum ? told : null;
    });
    const units = counted.arms.reduce((total, arm) => total + arm.units, 0);
    // Whoever never got the first answer has no cookie, and comes as somebody else.
    const broken = shoppers.reduce((total, shopper) => total + shopper.broken, 0);
    assert.ok(units >= users && units <= users + broken, `each visitor once: ${units}, ${broken} broken connections`);
    assert.deepEqual(counted.quality.lost, { exposures: 0, goals: 0, errors: 0 }, "the journal of the killed worker was brought to the store");
    assert.ok(counted.quality.repeated > 0, "repetitions were told, and counted once");
    const metrics = await gateway.metrics();
    for (const line of [/^sluice_experiment_events_total\{kind="goal"\} [1-9]/m, /^sluice_experiment_lost_total\{kind="goal"\} 0$/m])
      assert.match(metrics, line);

    const text = await command("report", "hero-copy");
    assert.match(text, /hero-copy, version 0: running/);
    assert.match(text, /purchase \(decides\)/);
    assert.match(await command(), /hero-copy +0 +running +100\.0 % +control \d+, bold \d+/);

    const page = join(gateway.folder, "report.html");
    await command("report", "hero-copy", "--html", page);
    const html = await readFile(page, "utf8");
    for (const part of [/<svg /, /hero-copy/, /Guardrails/, /Did the variants get their share/]) assert.match(html, part);
    assert.doesNotMatch(html, /<script|src=|href=|url\(|@import/, "it needs nothing from anywhere");

    const shown = async (): Promise<string> => /<h1>([^<]*)/.exec((await new Shopper(gateway.url, agent).ask("GET", "/")).text)?.[1] ?? "";
    await command("ship", "hero-copy", "bold", "-m", "it is better");
    await until(async () => ((await Promise.all([shown(), shown(), shown(), shown()])).every((title) => title === "Buy it now") ? true : null));
    await api("/hero-copy/stop", { reason: "enough" });
    await until(async () => ((await Promise.all([shown(), shown(), shown(), shown()])).every((title) => title === "Welcome") ? true : null));
    const { live, story } = await report();
    assert.deepEqual([live.state.kind, live.by, live.reason], ["stopped", "admin", "enough"]);
    assert.deepEqual(
      story.map(({ what, why }) => `${what} ${why}`),
      ["shipped bold: it is better", "stopped enough"],
    );

    const link = (await command("force", "hero-copy", "bold", "--url", `${gateway.url}/`)).split("\n")[0]!;
    const { pathname, search } = new URL(link);
    assert.match((await new Shopper(gateway.url, agent).ask("GET", pathname + search)).text, /Buy it now/, "also of a stopped one");
    await api("/hero-copy/start", {});
    assert.equal((await report()).live.state.kind, "running");
    assert.deepEqual(await api("/hero-cpoy"), { code: "EXPERIMENT_UNKNOWN", found: '"hero-cpoy"', expected: '"hero-copy"' });
    assert.deepEqual(await api("/hero-copy/ship", { variant: "blod" }), { code: "VARIANT_UNKNOWN", found: '"blod"', expected: "one of control, bold" });
    assert.deepEqual(held.faults, [], "the answers are as the OpenAPI document says");
  },
);

test("a variant that breaks pages stops by itself, its visitors see control, and the reason is kept", { timeout: 180_000 }, async (t) => {
  const { shop, gateway, agent, report } = await openStage(t);
  shop.brokenShare = 0.3;
  const over = new AbortController();
  const told = until(async () => {
    const now = await report();
    // It stops first, and is told of then.
    return now.live.state.kind === "stopped" && now.story.length > 0 ? now : null;
  }).finally(() => over.abort());
  const visitors = Array.from({ length: 8 }, async () => {
    while (!over.signal.aborted && !t.signal.aborted) {
      await new Shopper(gateway.url, agent).ask("GET", "/");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  const { live, verdict, story } = await told;
  await Promise.all(visitors);
  assert.equal(live.by, "guardrail");
  assert.match(live.reason, /^Stop: bold gives at least \d+\.\d % more of its visitors an error than control does/);
  assert.equal(verdict.outcome, "guardrail");
  assert.deepEqual(
    story.map(({ what, by }) => [what, by]),
    [["stopped", "guardrail"]],
  );
  shop.brokenShare = 1;
  await until(async () =>
    (await Promise.all(Array.from({ length: 10 }, () => new Shopper(gateway.url, agent).ask("GET", "/")))).every(({ status }) => status === 200) ? true : null,
  );
  const { entries } = readAudit(join(gateway.folder, "state/audit.log"));
  assert.ok(
    entries.some(({ actor, action, reason }) => actor === "guardrail" && action === "stop experiment hero-copy" && reason === live.reason),
    "the audit log has it",
  );
});
