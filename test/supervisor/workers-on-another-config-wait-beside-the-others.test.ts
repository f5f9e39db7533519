import assert from "node:assert/strict";
import { test } from "node:test";
import type { Served } from "../../runtime/supervisor/fleet.ts";
import { differsInRoutesAlone, Standby } from "../../runtime/supervisor/standby.ts";
import type { WorkerProcess } from "../../runtime/supervisor/worker-process.ts";
import { stubConfig, stubRelease } from "./stub-gateway.ts";

function stage(fails: number = 0) {
  const spawned: WorkerProcess[] = [];
  const dropped: WorkerProcess[] = [];
  const standby = new Standby({
    spawn: () => {
      const ready = spawned.length < fails ? Promise.reject(new Error("it does not start")) : Promise.resolve();
      const worker = { ready } as unknown as WorkerProcess;
      spawned.push(worker);
      return worker;
    },
    drop: (worker) => void dropped.push(worker),
  });
  return { standby, spawned, dropped };
}

const next = (id = "one"): Served => ({ config: stubConfig({ workers: 2 }), release: stubRelease(id), maps: {} });

test("those that were prepared are handed out once, for what they were prepared for", async () => {
  const { standby, spawned, dropped } = stage();
  const one = next();
  await standby.prepare(one, 0);
  assert.equal(standby.take({ ...one, config: stubConfig({ workers: 2 }) }), null, "another config");
  assert.equal(standby.take({ ...one, release: stubRelease("two") }), null, "another release");
  assert.deepEqual(standby.take(one), spawned);
  assert.equal(standby.take(one), null);
  assert.deepEqual(dropped, []);
});

test("one that does not start takes the others with it, and says why", async () => {
  const { standby, dropped } = stage(1);
  await assert.rejects(standby.prepare(next(), 0), /it does not start/);
  assert.equal(dropped.length, 2);
  await standby.prepare(next(), 0);
  await standby.prepare(next("two"), 0);
  assert.equal(dropped.length, 4, "what is prepared next takes the place of what was");
});

test("while too many workers of earlier configs still drain, no more are started", async () => {
  const { standby, spawned } = stage();
  await standby.prepare(next(), 7);
  await assert.rejects(standby.prepare(next(), 8), /8 workers of earlier configs still finish their exchanges \(limits\.drain\)/);
  assert.equal(spawned.length, 2);
});

test("another route alone needs no other worker; anything else does", () => {
  const base = stubConfig();
  const route = { match: [], upstream: "site", cache: null, limits: [] };
  assert.ok(differsInRoutesAlone(base, { ...base, routes: [route], shared: { upstreams: {}, routes: [{ upstream: "site" }] } }));
  assert.ok(!differsInRoutesAlone(base, { ...base, routes: [route], vars: { a: 1 } }));
  assert.ok(!differsInRoutesAlone(base, { ...base, limits: { ...base.limits, headers: 7 } }));
});
