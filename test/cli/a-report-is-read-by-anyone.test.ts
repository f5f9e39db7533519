import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import { planExperiment, type PlanOptions } from "../../runtime/cli/experiments.ts";
import { reportPage } from "../../runtime/cli/experiment-page/page.ts";
import { ticks, timeTicks } from "../../runtime/cli/experiment-page/svg.ts";
import { listLines, reportLines } from "../../runtime/cli/experiment-text.ts";
import { edge } from "../../runtime/cli/experiment-words.ts";
import { Terminal } from "../../runtime/cli/terminal.ts";
import { WorkerCounting } from "../../runtime/experiments/count/worker-counting.ts";
import type { LiveEntry } from "../../runtime/experiments/live/live.ts";
import { type Report, report } from "../../runtime/experiments/study/report.ts";
import { summary } from "../../runtime/experiments/study/summary.ts";
import { tell } from "../../runtime/experiments/study/story.ts";
import { ExperimentWatch } from "../../runtime/experiments/study/watch.ts";
import { createMemoryStore } from "../../runtime/store/store.ts";
import { assigned, exchange, experiment, goalOf, watched } from "../experiments/count/given.ts";

const HOSTILE = `<script>alert(1)</script>"&\u001b[31m`;
const LIVE: LiveEntry = { state: { kind: "stopped" }, reason: HOSTILE, by: "ann", atUnixMs: Date.UTC(2026, 0, 2) };

/** As the command gets it: through JSON, which has no infinity. */
async function reported(units: number, rates: readonly [number, number]): Promise<{ report: Report; lines: string[]; page: string }> {
  const clock = new ManualClock();
  const store = createMemoryStore({ clock, limitBytes: 512 * 1024 * 1024 });
  const counting = new WorkerCounting({ store, clock, dir: null, raw: null, warn: assert.fail });
  const watch = new ExperimentWatch({
    live: { set: () => assert.fail("nothing is decided here") },
    store,
    clock,
    name: "one",
    experiments: () => [experiment],
    onStopped: () => undefined,
    onMismatch: assert.fail,
    warn: assert.fail,
  });
  for (let i = 0; i < units; i++) {
    for (const index of [0, 1]) {
      const who = assigned(`u${i}-${index}`, index);
      counting.exposed(who, exchange(clock.unixMs(), { firstByteMs: 20 + (i % 7) }));
      if (i % 100 < rates[index]! * 100) counting.completed([{ assignment: who, goal: goalOf("purchase") }], exchange(clock.unixMs(), { method: "POST" }));
    }
    clock.advance(3_000);
    if (i % 200 !== 0) continue;
    await counting.flush();
    await watch.look();
  }
  await counting.flush();
  watch.close();
  await counting.close();
  await tell(store, experiment.key, { atUnixMs: LIVE.atUnixMs, version: 0, what: "stopped", by: "ann", why: HOSTILE });
  const made = JSON.parse(JSON.stringify(await report(store, experiment, LIVE, clock.unixMs()))) as Report;
  return { report: made, lines: reportLines(made), page: reportPage(made, clock.unixMs()) };
}

test("a winner is told in one sentence, with bars, bounds, guardrails and split, in the terminal and on the page", async () => {
  const { lines, page } = await reported(3000, [0.1, 0.15]);
  const text = lines.join("\n");
  assert.match(text, /bold is better than control: purchase went from 10\.0 % to 15\.0 %, a change of\s+\+50 %/);
  assert.match(text, /purchase \(decides\)\n.*95 % sure: between\n  control +3,000 +300 +10\.0 % +█+/);
  assert.match(text, /\+50 % +\+\d+ % to \+\d+ % +better/);
  assert.match(text, /errors +control 0\.0 % +bold 0\.0 % +at most \+1\.0 % +passes/);
  assert.match(text, /Split: as promised/);
  assert.match(page, /There is a winner/);
  for (const title of ["The change over time", "Visitors", "Funnel", "Guardrails", "Did the variants get their share?", "All numbers", "Story"])
    assert.ok(page.includes(title), title);
  assert.doesNotMatch(page, /NaN|Infinity|undefined|null/);
});

test("a bound that nobody can picture is told as far beyond", async () => {
  const { lines, page } = await reported(30, [0.1, 0.1]);
  assert.match(lines.join("\n"), /−97 % to over \+1,000 %/);
  assert.match(page, /−97\s% to over \+1,000\s%/);
  assert.equal(edge(-1.76), "under −100 %");
});

test("before there is anything to tell, text and page say so", async () => {
  for (const units of [0, 1, 3]) {
    const { lines, page } = await reported(units, [0, 0]);
    assert.match(lines.join("\n"), units === 0 ? /No visitor has met this test yet/ : /No clear difference|Too early/);
    assert.doesNotMatch(page, /NaN|Infinity|undefined|>null/);
    assert.equal(/bots \(curl and other programs/.test(lines.join("\n")), units === 0, "why nobody may have come");
  }
  const { lines, page } = await reported(60, [0.1, 0.1]);
  for (const text of [lines.join("\n"), page]) {
    assert.match(text, /nobody of 120 visitors has reached revenue, order, used, score: is that the path/);
    assert.doesNotMatch(text, /has reached purchase/);
  }
});

/** Habits that last: who spent much before spends much again, in the new cart a little more. */
async function returning(past: boolean): Promise<{ report: Report; text: string; page: string }> {
  const clock = new ManualClock();
  const store = createMemoryStore({ clock, limitBytes: 512 * 1024 * 1024 });
  const counting = new WorkerCounting({ store, clock, dir: null, raw: null, warn: assert.fail });
  for (let i = 0; i < 400; i++) {
    const who = assigned(`u${i}`, i % 2, { experiment: watched.key });
    const habit = ((i >> 1) * 37) % 100;
    const buys = (total: number): void =>
      counting.completed([{ assignment: who, goal: goalOf("revenue", watched) }], exchange(clock.unixMs(), { headers: { "x-total": String(total) } }));
    if (past) buys(habit);
    clock.advance(1000);
    counting.exposed(who, exchange(clock.unixMs()));
    buys(habit + 20 + (i % 2) * 6 + (i % 7));
  }
  await counting.flush();
  await counting.close();
  const made = await report(store, watched, { ...LIVE, reason: "" }, clock.unixMs());
  return { report: made, text: reportLines(made).join("\n"), page: reportPage(made, clock.unixMs()) };
}

test("what visitors did before is told beside what came of it: the change with and without, and what it saves", async () => {
  const { report: made, text, page } = await returning(true);
  const [goal] = made.analysis.variants[0]!.goals;
  assert.ok(goal!.varianceSaved > 0.9 && goal!.outcome === "better", JSON.stringify(goal));
  assert.equal(goal!.plain!.sequential!.interval.low > 0, false, "which the plain values could not tell");
  assert.match(
    text.replaceAll(/\s+/g, " "),
    /revenue went from [\d.]+ to [\d.]+, a change of \+\d.* allowing for what visitors did before, and you can ship it\./,
  );
  assert.match(
    text.replaceAll(/\s+/g, " "),
    /next: revenue in the 2 days before they met the experiment explains 9\d\.\d % of the variance, which is taken out \(CUPED\); without that the change is \+\d/,
  );
  assert.match(page, /<h2>What visitors did before<\/h2>.*explains 9\d\.\d\u00a0% of the variance/s);
  assert.deepEqual(made.history.at(-1)!.change[0], { lift: goal!.lift, low: goal!.sequential!.relative!.low, high: goal!.sequential!.relative!.high });
});

test("nobody with a past: the report says so, and nothing is adjusted", async () => {
  const { report: made, text } = await returning(false);
  assert.match(text, /next: too little is known yet of revenue in the 2 days before they met the experiment/);
  const [goal] = made.analysis.variants[0]!.goals;
  assert.ok(Math.abs(goal!.lift! - goal!.plain!.lift!) < 1e-12);
});

test("what operators wrote is shown as text: no markup on the page, no escape sequence in the terminal", async () => {
  const { lines, page } = await reported(5, [0, 0]);
  assert.doesNotMatch(page, /<script/);
  assert.match(page, /&lt;script&gt;alert\(1\)&lt;\/script&gt;&quot;&amp;/);
  assert.ok(!lines.join("\n").includes("\u001b"));
  assert.match(page, /default-src 'none'/);
});

test("the list tells state, visitors and verdict of each", async () => {
  const store = createMemoryStore();
  const one = await summary(store, experiment, { ...LIVE, state: { kind: "shipped", variant: "bold" } });
  assert.match(listLines([one])[1]!, /^hero-copy +0 +shipped bold +100\.0 % +control 0, bold 0 +waiting$/);
  assert.deepEqual(listLines([]), ["the release that serves has no experiments"]);
});

async function planned(options: Partial<PlanOptions>): Promise<{ code: number; text: string }> {
  const out = new PassThrough();
  const code = await planExperiment({ config: ".", baseline: 0.1, power: 0.8, args: [], ...options }, new Terminal(out, out, false));
  return { code, text: String(out.read()) };
}

test("a plan tells visitors and days before the start, or what can be found in some days", async () => {
  const found = await planned({ lift: 0.2, visitors: 2000 });
  assert.equal(found.code, 0);
  assert.match(
    found.text,
    /to find 10\.0 % becoming 12\.0 % \(\+20 %\) with a chance of 80\.0 %: 1\d,\d{3} visitors in all 2 variants\nat 2,000 visitors a day that takes \d days/,
  );
  assert.match((await planned({ days: 20, visitors: 2000 })).text, /within 20 days and 40,000 visitors a change of \+1\d % or more/);
  assert.match((await planned({ days: 1, visitors: 10 })).text, /10 visitors in 1 days? are too few/);
  assert.deepEqual([(await planned({})).code, (await planned({ lift: 20 })).code], [2, 2]);
});

test("axes have round numbers and moments that read well", () => {
  assert.deepEqual(ticks(-0.8, 0.8, 5), [-0.5, 0, 0.5]);
  assert.deepEqual(ticks(0, 4580, 5), [0, 1000, 2000, 3000, 4000]);
  assert.deepEqual(ticks(1, 1, 5), [1]);
  assert.deepEqual(
    timeTicks(Date.UTC(2026, 0, 1, 9, 59), Date.UTC(2026, 0, 1, 13), 3).map(({ text }) => text),
    ["10:00", "12:00"],
  );
  assert.deepEqual(
    timeTicks(Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 10), 3).map(({ text }) => text),
    ["01-01", "01-04", "01-07", "01-10"],
  );
});
