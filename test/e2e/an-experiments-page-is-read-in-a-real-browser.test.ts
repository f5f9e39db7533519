import assert from "node:assert/strict";
import { test } from "node:test";
import { reportPage } from "../../runtime/cli/experiment-page/page.ts";
import { ManualClock } from "../../runtime/clock.ts";
import { WorkerCounting } from "../../runtime/experiments/count/worker-counting.ts";
import { grown, readMemory, writeMemory } from "../../runtime/experiments/study/memory.ts";
import { report } from "../../runtime/experiments/study/report.ts";
import { readCounts, runOf } from "../../runtime/experiments/study/run-counts.ts";
import { createMemoryStore } from "../../runtime/store/store.ts";
import { assigned, exchange, experiment, goalOf } from "../experiments/count/given.ts";
import { launchChromium } from "./launch-chromium.ts";

async function page(): Promise<string> {
  const clock = new ManualClock();
  const store = createMemoryStore({ clock });
  const counting = new WorkerCounting({ store, clock, dir: null, raw: null, warn: assert.fail });
  for (let i = 0; i < 800; i++) {
    const who = assigned(`u${i}`, i % 2);
    counting.exposed(who, exchange(clock.unixMs()));
    if (i % (i % 2 === 0 ? 8 : 5) === 0) counting.completed([{ assignment: who, goal: goalOf("purchase") }], exchange(clock.unixMs(), { method: "POST" }));
    clock.advance(60_000);
    if (i % 50 !== 0) continue;
    await counting.flush();
    await writeMemory(store, runOf(experiment), grown(await readMemory(store, runOf(experiment)), (await readCounts(store, experiment)).arms, clock.unixMs()));
  }
  await counting.close();
  const told = await report(store, experiment, { state: { kind: "running" }, reason: "", by: "", atUnixMs: 0 }, clock.unixMs());
  return reportPage(JSON.parse(JSON.stringify(told)) as typeof told, clock.unixMs());
}

interface Seen {
  readonly scrolls: boolean;
  readonly background: string;
  readonly line: number;
  readonly band: number;
  readonly verdict: string;
}

/** Runs in the page. */
const LOOK = `(() => {
  const box = (selector) => document.querySelector(selector)?.getBoundingClientRect() ?? { width: 0, height: 0 };
  return {
    scrolls: document.documentElement.scrollWidth > innerWidth,
    background: getComputedStyle(document.body).backgroundColor,
    line: box("path.line").width,
    band: box("path.band").height,
    verdict: document.querySelector(".verdict p")?.textContent ?? "",
  };
})()`;

test("a report's page fits a phone and a screen, light and dark, draws its plots and asks for nothing", { timeout: 60_000 }, async (t) => {
  const browser = await launchChromium();
  t.after(() => browser.close());
  const html = await page();
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [360, 1200]) {
      const tab = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
      const asked: string[] = [];
      const said: string[] = [];
      tab.on("request", (request) => void asked.push(request.url()));
      tab.on("console", (message) => void said.push(message.text()));
      await tab.setContent(html);
      const seen = await tab.evaluate<Seen>(LOOK);
      assert.deepEqual([seen.scrolls, asked, said], [false, [], []], `${colorScheme} ${width}`);
      assert.ok(seen.line > width / 3 && seen.band > 20, JSON.stringify(seen));
      assert.equal(seen.background === "rgb(246, 246, 244)", colorScheme === "light");
      assert.match(seen.verdict, /visitors|purchase/);
      await tab.close();
    }
  }
});
