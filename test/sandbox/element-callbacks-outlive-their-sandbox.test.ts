import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../runtime/clock.ts";
import type { HtmlEdit } from "../../sdk/html.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import type { AskedElement, ElementPort, HookRun, LoadedRelease } from "../../runtime/sandbox/sandbox.ts";
import { exchangeOf, fetchAnswer, Gate, releaseOf, Room } from "./room.ts";

const COUNTING = {
  phases: ["onResponse"],
  body: `onResponse(res, req, ctx) {
    let n = 0
    const drawn = ctx.random()
    res.html.on("i", { async element(el) {
      if (el.getAttribute("ask")) await ctx.fetch("http://auth.example.com/")
      if (el.getAttribute("spin")) for (;;);
      el.setText(++n + " " + (drawn === ctx.random()) + " " + el.tagName)
    } })
  }`,
} as const;

/** An element for the first callback of the first rule. */
function asked(...attributes: readonly string[]): AskedElement {
  return { tag: "i", attributes: attributes.map((name) => [name, "1"]), calls: [[0, 0]] };
}
const texts = (answers: readonly (readonly (readonly HtmlEdit[])[])[]): string[] =>
  answers.map(([edits]) => edits!.map((edit) => (edit.kind === "setContent" ? edit.content.value : edit.kind)).join());

/** Runs the hook, and gives who is asked for elements. */
async function page(room: Room, release: LoadedRelease): Promise<{ readonly port: ElementPort; readonly exchange: HookRun["exchange"] }> {
  const ports: ElementPort[] = [];
  const exchange = { ...exchangeOf(), htmlEdited: () => undefined, elementsWanted: (port: ElementPort) => void ports.push(port) };
  const outcome = await room.run(release, { phase: "onResponse", response: { status: 200, fields: new Fields() }, exchange });
  assert.equal(outcome.failure, null);
  assert.equal(ports.length, 1);
  return { port: ports[0]!, exchange };
}

test("callbacks keep what they remember when their sandbox is killed between two pieces of a page, and within one", async (t) => {
  const gate = new Gate();
  const room = await Room.open(t, { services: { fetch: gate.service } });
  const { port } = await page(room, await room.load(COUNTING));
  assert.deepEqual(texts(await port.ask([asked(), asked()])), ["1 false i", "2 false i"]);

  process.kill(room.sandbox.status().activePid, "SIGKILL");
  await room.emitterOnce("swapped");
  assert.deepEqual(texts(await port.ask([asked()])), ["3 false i"]);

  const asking = port.ask([asked("ask"), asked()]);
  await gate.arrived(1);
  await room.warm();
  process.kill(room.sandbox.status().activePid, "SIGKILL");
  await room.emitterOnce("swapped");
  gate.answer(fetchAnswer(""));
  assert.deepEqual(texts(await asking), ["4 false i", "5 false i"]);
  assert.equal(gate.calls.length, 1, "the call left once");
  port.end();
});

test("callbacks whose isolate another rule filled with its time go on in the new one; the guilty one is answered by onFailure", async (t) => {
  const room = await Room.open(t);
  const innocent = { ...COUNTING, name: "innocent.ts" };
  const release = await room.load(innocent);
  const [one, other] = [await page(room, release), await page(room, release)];
  assert.deepEqual(texts(await one.port.ask([asked()])), ["1 false i"]);
  await assert.rejects(other.port.ask([asked("spin")]), { code: "RULE_CPU" });
  assert.deepEqual(texts(await one.port.ask([asked()])), ["2 false i"]);
  await assert.rejects(other.port.ask([asked()]), { code: "RULE_CPU" });
  one.port.end();
  other.port.end();
  assert.deepEqual(
    room.hooks.map(({ outcome }) => outcome),
    ["next", "next", "failed-closed"],
  );
});

test("an open rule that overruns is passed over, and the page goes on without it", async (t) => {
  const room = await Room.open(t);
  const { port } = await page(room, await room.load({ ...COUNTING, onFailure: "open" }));
  assert.deepEqual(texts(await port.ask([asked(), asked("spin")])), ["", ""]);
  assert.deepEqual(texts(await port.ask([asked()])), [""]);
  assert.deepEqual(
    room.hooks.map(({ outcome }) => outcome),
    ["next", "failed-open"],
  );
  port.end();
});

test("time that a page takes is nobody's; time that it waits for callbacks is the rule's", async (t) => {
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs, unixMs: () => systemClock.unixMs(), after: systemClock.after.bind(systemClock) };
  const gate = new Gate();
  const room = await Room.open(t, { clock, services: { fetch: gate.service } });
  const { port, exchange } = await page(room, await room.load(COUNTING));
  aheadMs += 60_000;
  assert.deepEqual(texts(await port.ask([asked()])), ["1 false i"]);
  assert.ok(exchange.ruleWallMs < 5000, `${exchange.ruleWallMs} ms`);
  const asking = port.ask([asked("ask")]);
  await gate.arrived(1);
  aheadMs += 60_000;
  await assert.rejects(asking, { code: "RULE_WALL" });
  await assert.rejects(port.ask([asked()]), { code: "RULE_WALL" });
  port.end();
});

test("what a page says to callbacks is bounded, for it is kept until the page is over", async (t) => {
  const room = await Room.open(t);
  const { port } = await page(room, await room.load(COUNTING));
  const wordy: AskedElement = { tag: "i", attributes: [["title", "x".repeat(700_000)]], calls: [[0, 0]] };
  for (let i = 0; i < 11; i++) await port.ask([wordy]);
  await assert.rejects(port.ask([wordy]), { code: "RULE_CALLS" });
  port.end();
});

test("a release that is given up stays until its pages are over", async (t) => {
  const room = await Room.open(t);
  const release = await room.load(COUNTING);
  const { port } = await page(room, release);
  room.sandbox.unload(release);
  assert.deepEqual(texts(await port.ask([asked()])), ["1 false i"]);
  port.end();
});

const processFile = fileURLToPath(new URL("./fake-process.ts", import.meta.url));
function pretending(code: string): ReturnType<typeof releaseOf> {
  const release = releaseOf({ name: "a.ts", body: "", phases: ["onResponse"] });
  return { ...release, rules: [{ ...release.rules[0]!, code }] };
}

test("what callbacks answer is a stranger's: edits that can't be had fail the rule, answers to other questions end the process", async (t) => {
  const room = await Room.open(t, { processFile, silenceMs: 250 });
  const wrong = await page(room, await room.sandbox.load(pretending("element-edits"), {}));
  await assert.rejects(wrong.port.ask([asked()]), { code: "RULE_EFFECT" });
  const forged = await page(room, await room.sandbox.load(pretending("element-answers"), {}));
  await assert.rejects(forged.port.ask([asked()]), { status: 503 });
  assert.deepEqual(
    room.told.filter(({ event }) => event === "lost").map(({ by }) => by),
    ["sluice", "sluice"],
  );
});
