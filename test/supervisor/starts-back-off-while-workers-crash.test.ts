import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../../runtime/supervisor/backoff.ts";

const options = { baseMs: 100, maxMs: 10_000, healthyMs: 30_000 };

test("the first crash is answered at once, each further one waits twice as long, up to the bound", () => {
  const backoff = new Backoff({ ...options, random: () => 1 });
  const waits = Array.from({ length: 10 }, () => backoff.next(5));
  assert.deepEqual(waits, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
});

test("half of a wait is jitter", () => {
  const backoff = new Backoff({ ...options, random: () => 0 });
  assert.deepEqual([backoff.next(5), backoff.next(5), backoff.next(5)], [0, 50, 100]);
});

test("a worker that ran well for a while starts the count anew", () => {
  const backoff = new Backoff({ ...options, random: () => 1 });
  for (let i = 0; i < 6; i++) backoff.next(5);
  assert.deepEqual([backoff.next(30_000), backoff.next(29_999)], [0, 100]);
});

test("a thousand crashes in a row keep the bound", () => {
  const backoff = new Backoff({ ...options, random: () => 0.5 });
  let last = 0;
  for (let i = 0; i < 1000; i++) last = backoff.next(1);
  assert.equal(last, 7500);
});
