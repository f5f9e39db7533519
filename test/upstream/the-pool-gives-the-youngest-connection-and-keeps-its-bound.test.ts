import assert from "node:assert/strict";
import { test } from "node:test";
import { Pool, type Pooled } from "../../runtime/upstream/pool.ts";

class Fake implements Pooled {
  destroyed = false;
  idleSinceMs: number;
  reusableUntilMs: number;
  readonly #forget: (fake: Fake) => void;
  constructor(forget: (fake: Fake) => void, idleSinceMs: number, reusableUntilMs: number) {
    this.#forget = forget;
    this.idleSinceMs = idleSinceMs;
    this.reusableUntilMs = reusableUntilMs;
  }
  destroy(): void {
    this.destroyed = true;
    this.#forget(this);
  }
}

function poolOf(max: number, stacks = 1) {
  const pool = new Pool<Fake>(max);
  const targets = Array.from({ length: stacks }, () => pool.newStack());
  const idle = (at: number, sinceMs: number, untilMs = Infinity): Fake => {
    assert.ok(pool.reserve());
    const fake = new Fake((gone) => pool.forget(targets[at]!, gone), sinceMs, untilMs);
    pool.put(targets[at]!, fake);
    return fake;
  };
  return { pool, targets, idle };
}

test("last in, first out", () => {
  const { pool, targets, idle } = poolOf(10);
  const first = idle(0, 1);
  const second = idle(0, 2);
  assert.equal(pool.take(targets[0]!, 3, Infinity), second);
  assert.equal(pool.take(targets[0]!, 3, Infinity), first);
  assert.equal(pool.take(targets[0]!, 3, Infinity), null);
  assert.equal(pool.open, 2, "a connection that was taken still counts");
});

test("one that is past its time is destroyed even when its timer is late", () => {
  const { pool, targets, idle } = poolOf(10);
  const good = idle(0, 0, 100);
  const old = idle(0, 5, 50);
  assert.equal(pool.take(targets[0]!, 50, Infinity), good);
  assert.ok(old.destroyed);
  assert.equal(pool.open, 1);
});

test("one that has been idle for longer than the caller bears stays where it is", () => {
  const { pool, targets, idle } = poolOf(10);
  const only = idle(0, 0);
  assert.equal(pool.take(targets[0]!, 1_001, 1_000), null);
  assert.equal(pool.take(targets[0]!, 1_000, 1_000), only);
});

test("a full pool gives up the longest idle connection of any target, and refuses when none is idle", () => {
  const { pool, targets, idle } = poolOf(3, 2);
  const young = idle(0, 30);
  const oldest = idle(1, 10);
  const middle = idle(0, 20);
  assert.ok(pool.reserve());
  assert.deepEqual([young.destroyed, oldest.destroyed, middle.destroyed], [false, true, false]);
  pool.take(targets[0]!, 40, Infinity);
  pool.take(targets[0]!, 40, Infinity);
  assert.equal(pool.reserve(), false);
  assert.equal(pool.open, 3);
});

test("closing the idle ones leaves those in use", () => {
  const { pool, targets, idle } = poolOf(3);
  const used = idle(0, 1);
  pool.take(targets[0]!, 1, Infinity);
  const rest = idle(0, 2);
  pool.closeIdle();
  assert.deepEqual([used.destroyed, rest.destroyed, pool.open], [false, true, 1]);
});
