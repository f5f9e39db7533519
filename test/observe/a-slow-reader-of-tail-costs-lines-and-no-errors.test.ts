import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { type TailBatch, type TailFilter, Tails } from "../../runtime/observe/tail.ts";
import { record } from "./records.ts";

const EVERYTHING: TailFilter = { rule: "", statuses: [], path: "", methods: [], errors: false, trace: "", perSecond: null };

function watched(filter: Partial<TailFilter> = {}, unixMs = (): number => 0): { tails: Tails; batches: TailBatch[]; events: () => Record<string, unknown>[] } {
  const batches: TailBatch[] = [];
  const tails = new Tails({ worker: 1, unixMs, send: (batch) => void batches.push(batch) });
  tails.open(1, { ...EVERYTHING, ...filter }, "key");
  return { tails, batches, events: () => batches.flatMap(({ lines }) => lines.map((line) => JSON.parse(line) as Record<string, unknown>)) };
}

test("what happens in one turn goes out together, and nothing more until it was taken", async () => {
  const { tails, batches } = watched();
  for (let i = 0; i < 3; i++) tails.exchange(record({ id: `a-${i}` }));
  assert.equal(batches.length, 0);
  await turn();
  assert.deepEqual(
    batches.map(({ lines }) => lines.length),
    [3],
  );
  tails.exchange(record({ id: "a-3" }));
  await turn();
  assert.equal(batches.length, 1);
  tails.more(1);
  await turn();
  assert.deepEqual(
    batches.map(({ lines }) => lines.length),
    [3, 1],
  );
});

test("of 50,000 exchanges that nobody takes the ten that failed are kept, the others up to a bound, and what is missing is counted", async () => {
  const { tails, batches, events } = watched();
  for (let i = 0; i < 50_000; i++)
    tails.exchange(record({ id: `b-${i}`, status: i % 5_000 === 4_999 ? 503 : 200, code: i % 5_000 === 4_999 ? "RULE_THREW" : "" }));
  let taken = 0;
  for (;;) {
    await turn();
    if (batches.length === taken) break;
    taken = batches.length;
    tails.more(1);
  }
  const shown = events();
  assert.deepEqual(
    shown.filter(({ failed }) => failed).map(({ id }) => id),
    Array.from({ length: 10 }, (_, i) => `b-${i * 5_000 + 4_999}`),
  );
  const sum = (name: "droppedLines" | "droppedErrors") => batches.reduce((total, batch) => total + batch[name], 0);
  assert.equal(sum("droppedErrors"), 0);
  assert.equal(shown.length + sum("droppedLines"), 50_000);
  assert.ok(shown.length < 10_000, `${shown.length} lines were held`);
});

test("ordinary lines come at the rate that was asked for, errors all the same, and what is missing is counted", async () => {
  let nowMs = 0;
  const { tails, batches, events } = watched({ perSecond: 100 }, () => nowMs);
  const failing = new Set([0, 57, 700, 4_999]);
  for (let i = 0; i < 5_000; i++, nowMs += 0.2) tails.exchange(record({ id: `r-${i}`, ...(failing.has(i) ? { status: 503, code: "RULE_THREW" } : {}) }));
  for (let taken = -1; taken < batches.length;) {
    taken = batches.length;
    tails.more(1);
    await turn();
  }
  const shown = events();
  assert.deepEqual(
    shown.filter(({ failed }) => failed).map(({ id }) => id),
    [...failing].map((i) => `r-${i}`),
  );
  const ordinary = shown.length - failing.size;
  // The burst that a quiet second allows, and what a second then brings.
  assert.ok(ordinary >= 195 && ordinary <= 200, String(ordinary));
  assert.equal(shown.length + batches.reduce((sum, { droppedLines }) => sum + droppedLines, 0), 5_000);
  assert.equal(
    batches.reduce((sum, { droppedErrors }) => sum + droppedErrors, 0),
    0,
  );
});

test("a quiet gateway's burst is shown whole", async () => {
  const { tails, events } = watched({ perSecond: 100 });
  for (let i = 0; i < 100; i++) tails.exchange(record({ id: `q-${i}` }));
  await turn();
  assert.equal(events().length, 100);
});

test("errors have a bound too; beyond it they are counted as errors", async () => {
  const { tails, batches } = watched();
  const failure = { kind: "threw", message: "m".repeat(4_000), stack: "s".repeat(4_000) };
  for (let i = 0; i < 3_000; i++)
    tails.hook({ rule: "a.ts", release: "0123456789ab", phase: "onRequest", cpuUs: 1, outcome: "failed-open", failure, exchange: `c-${i}` });
  let taken = 0;
  for (;;) {
    await turn();
    if (batches.length === taken) break;
    taken = batches.length;
    tails.more(1);
  }
  const lines = batches.reduce((total, batch) => total + batch.lines.length, 0);
  const dropped = batches.reduce((total, batch) => total + batch.droppedErrors, 0);
  assert.ok(dropped > 0);
  assert.equal(lines + dropped, 3_000);
});

test("lines of a rule wait for their exchange when the filter asks for what only then is known", async () => {
  const { tails, events } = watched({ statuses: [[500, 599]] });
  for (const id of ["fine", "failed"]) tails.log({ rule: "a.ts", release: "0123456789ab", level: "info", text: `of ${id}`, exchange: id });
  tails.exchange(record({ id: "fine", status: 200 }));
  tails.exchange(record({ id: "failed", status: 500 }));
  for (const id of ["fine", "failed"]) tails.log({ rule: "a.ts", release: "0123456789ab", level: "info", text: `later of ${id}`, exchange: id });
  await turn();
  assert.deepEqual(
    events().map(({ type, text, id }) => text ?? `${String(type)} ${String(id)}`),
    ["of failed", "exchange failed", "later of failed"],
  );
});

test("errors that a client alone can cause are none: they could fill the errors' room", async () => {
  const { tails, events } = watched({ errors: true });
  tails.exchange(record({ id: "left", status: 499, code: "CLIENT_CLOSED" }));
  tails.exchange(record({ id: "limited", status: 429, code: "RATE_LIMITED" }));
  tails.exchange(record({ id: "origin", status: 502, code: "UPSTREAM_RESET" }));
  await turn();
  assert.deepEqual(
    events().map(({ id }) => id),
    ["origin"],
  );
});

test("a pattern of stars is matched in one pass, and means what it says", async () => {
  const fits = async (pattern: string, target: string): Promise<boolean> => {
    const { tails, events } = watched({ path: pattern });
    tails.exchange(record({ target }));
    await turn();
    return events().length === 1;
  };
  for (const [pattern, target, expected] of [
    ["/cart/*", "/cart/1?x=2", true],
    ["/cart/*", "/carts", false],
    ["/cart", "/cart", true],
    ["/cart", "/cart/", false],
    ["*/edit", "/a/b/edit", true],
    ["/a*a", "/a", false],
    ["/*a*b*c", "/xxaxxbxxc", true],
    ["/*b*a*c", "/xxaxxbxxc", false],
    [`/${"*a".repeat(200)}*b`, `/${"a".repeat(2_000)}`, false],
  ] as const)
    assert.equal(await fits(pattern, target), expected, `${pattern.slice(0, 20)} ${target.slice(0, 20)}`);
});
