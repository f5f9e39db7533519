import assert from "node:assert/strict";
import { test } from "node:test";
import { reportLines } from "../../runtime/cli/experiment-text.ts";
import { WorkerCounting } from "../../runtime/experiments/count/worker-counting.ts";
import { report } from "../../runtime/experiments/study/report.ts";
import { readCounts } from "../../runtime/experiments/study/run-counts.ts";
import { defineExperiment } from "../../sdk/experiment.ts";
import { Browser, experiment, ExperimentsGateway } from "./experiments-gateway.ts";

const GOALS = {
  revenue: { when: { method: "POST", path: "/buy" }, value: { json: "/total" } },
  bought: { when: { method: "POST", path: "/buy" } },
  points: { tracked: "value" },
} as const;
const studied = defineExperiment({ key: "new-cart", variants: { control: 50, next: 50 }, prePeriod: "14d", goals: GOALS });
const modules = (traffic: string): Record<string, string> => ({
  cart: experiment(
    "new-cart",
    `when: { path: "/cart" }, variants: { control: 50, next: 50 }, traffic: "${traffic}", prePeriod: "14d", goals: ${JSON.stringify(GOALS)},
    apply: { control: { headers: { "x-variant": "control" } }, next: { headers: { "x-variant": "next" } } }`,
  ),
  points: `export default defineRule({ when: { path: "/points" }, onRequest(req, ctx) { ctx.track("points", 3); return respond(200, "") } })`,
});

/** What happens in one millisecond counts as if the exposure were first. */
function passMs(): void {
  const beganMs = Date.now();
  while (Date.now() < beganMs + 2);
}

test("a purchase before the first exposure becomes x, one after it y, also of who came before there was any traffic", { timeout: 60_000 }, async (t) => {
  let total = 40;
  const gateway = await ExperimentsGateway.open({
    counts: true,
    modules: modules("0%"),
    origins: { site: () => ({ headers: { "content-type": "application/json" }, body: JSON.stringify({ total: total++ }) }) },
  });
  t.after(() => gateway.close());
  const counted = async () => {
    const { counting } = gateway.worker.core.experiments!.parts;
    assert.ok(counting instanceof WorkerCounting);
    await counting.flush();
    return readCounts(gateway.store, studied);
  };
  const [ann, bot, stranger] = [new Browser(gateway), new Browser(gateway, { "user-agent": "Googlebot/2.1" }), new Browser(gateway)];
  const buy = { method: "POST", body: "{}" };
  for (const browser of [ann, bot]) await browser.ask("/cart");
  assert.ok(ann.cookies.has("sluice_visitor") && bot.cookies.size === 0);
  bot.cookies.set("sluice_visitor", ann.cookies.get("sluice_visitor")!);
  total = 40;
  for (const browser of [ann, bot, stranger]) await browser.ask("/buy", buy);
  await ann.ask("/points");
  const before = await counted();
  assert.deepEqual(
    [before.arms.map(({ units }) => units), before.quality.prePeriod],
    [[0, 0], { remembered: 1, lost: 0 }],
    "no bot, and nobody without a cookie",
  );

  await gateway.swap(modules("100%"));
  await ann.ask("/buy", buy);
  passMs();
  const variant = String((await ann.ask("/cart")).headers["x-variant"]);
  passMs();
  total = 7;
  await ann.ask("/buy", buy);
  await stranger.ask("/cart");
  const after = await counted();
  const arm = after.arms.findIndex((one) => one.variant === variant);
  const past = 40 + 43;
  assert.deepEqual(after.arms[arm]!.goals.slice(0, 2), [
    { kind: "value", sum: 7, sumOfSquares: 49, past: { sumX: past, sumXX: past ** 2, sumXY: 7 * past } },
    { kind: "conversion", conversions: 1 },
  ]);
  const points = after.arms[arm]!.goals[2]!;
  assert.deepEqual(points.kind === "value" && points.past, { sumX: 3, sumXX: 9, sumXY: 0 });
  const told = await report(gateway.store, studied, { state: { kind: "running" }, reason: "", by: "", atUnixMs: 0 }, Date.now());
  assert.match(reportLines(told).join("\n"), /next: .*revenue in the 14 days before they met the experiment/);
});
