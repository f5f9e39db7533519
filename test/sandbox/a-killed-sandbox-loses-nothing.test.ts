import assert from "node:assert/strict";
import { test } from "node:test";
import { fetchAnswer, Gate, Room } from "./room.ts";

const FETCHING = {
  body: `async onRequest(req, ctx) {
    ctx.state.drawn = [ctx.now(), ctx.random(), Math.random()];
    const first = await (await ctx.fetch("http://auth.example.com/1")).text();
    const second = await (await ctx.fetch("http://auth.example.com/2")).text();
    req.headers.append("x-answers", first + second + JSON.stringify(ctx.state.drawn));
  }`,
};

test("a hook that waits for a service goes on in the spare: journaled replies again, the open call not twice, effects once", async (t) => {
  const gate = new Gate();
  let draws = 0;
  const room = await Room.open(t, { services: { fetch: gate.service }, newSeed: () => (draws++ % 97).toString(16).padStart(32, "0") });
  const release = await room.load(FETCHING);
  const running = room.run(release);
  await gate.arrived(1);
  gate.answer(fetchAnswer("one "));
  await gate.arrived(2);

  const before = room.sandbox.status();
  process.kill(before.activePid, "SIGKILL");
  await room.emitterOnce("lost");
  await room.warm();
  const after = room.sandbox.status();
  assert.equal(after.activePid, before.sparePid);
  gate.answer(fetchAnswer("two "));
  const outcome = await running;

  assert.equal(outcome.failure, null);
  assert.equal(gate.calls.length, 2, "each call left once");
  assert.notEqual(gate.calls[0]!.idempotencyId, gate.calls[1]!.idempotencyId);
  const values = running.view.request.fields.getAll("x-answers");
  assert.equal(values.length, 1);
  assert.match(values[0]!, /^one two \[1767225600000,0\.\d+,0\.\d+\]$/);
  assert.equal(after.restarts, 1);
  assert.deepEqual(
    room.told.filter((each) => each.event === "lost").map((each) => each.by),
    ["outside"],
  );
});

test("a re-run has the clock and the randomness of the first run", async (t) => {
  const gate = new Gate();
  let now = Date.UTC(2026, 0, 1);
  const room = await Room.open(t, { services: { fetch: gate.service }, now: () => now++ });
  const release = await room.load({
    body: `async onRequest(req, ctx) {
      const drawn = JSON.stringify([ctx.now(), Date.now(), ctx.random(), Math.random(), crypto.randomUUID()]);
      await ctx.fetch("http://auth.example.com/", { method: "POST", body: drawn });
      await ctx.fetch("http://auth.example.com/", { method: "POST", body: drawn });
      req.headers.set("x-drawn", drawn);
    }`,
  });
  const running = room.run(release);
  await gate.arrived(1);
  process.kill(room.sandbox.status().activePid, "SIGKILL");
  await room.emitterOnce("swapped");
  gate.answer(fetchAnswer(""));
  await gate.arrived(2);
  gate.answer(fetchAnswer(""));
  assert.equal((await running).failure, null);
  const sent = gate.calls.map((call) => (call.args as { body: string }).body);
  assert.equal(sent.length, 2, "the re-run's first call was recognised");
  assert.equal(sent[0], sent[1]);
  assert.equal(sent[0], running.view.request.fields.get("x-drawn"));
});

test("five kills in a row under load: no run fails, and nobody is blamed", async (t) => {
  const room = await Room.open(t);
  const release = await room.load({ body: `onRequest(req) { let n = 0; for (let i = 0; i < 2000; i++) n += i; req.headers.set("x-n", String(n)) }` });
  const state = { done: false, runs: 0 };
  const load = async (): Promise<void> => {
    while (!state.done) {
      const running = room.run(release);
      const outcome = await running;
      assert.equal(outcome.failure, null);
      assert.equal(running.view.request.fields.getAll("x-n").length, 1);
      state.runs++;
    }
  };
  const loads = Array.from({ length: 20 }, load);
  for (let kill = 0; kill < 5; kill++) {
    await room.warm();
    const until = state.runs + 50;
    while (state.runs < until) await new Promise((resolve) => setImmediate(resolve));
    process.kill(room.sandbox.status().activePid, "SIGKILL");
    await room.emitterOnce("swapped");
  }
  state.done = true;
  await Promise.all(loads);
  assert.deepEqual(room.sandbox.status().quarantined, []);
  assert.equal(room.sandbox.status().outstanding, 0);
  assert.ok(room.hooks.every((hook) => hook.outcome === "next"));
});

test("waitUntil work goes on in the spare, and what the hook did counts once", async (t) => {
  const gate = new Gate();
  const room = await Room.open(t, { services: { fetch: gate.service } });
  const release = await room.load({
    body: `onRequest(req, ctx) { console.log("hook"); ctx.waitUntil(ctx.fetch("http://auth.example.com/").then(() => console.log("told"))); return respond(204) }`,
  });
  const outcome = await room.run(release);
  assert.equal(outcome.answer?.status, 204);
  await gate.arrived(1);
  process.kill(room.sandbox.status().activePid, "SIGKILL");
  await room.emitterOnce("swapped");
  const told = room.logged("told");
  gate.answer(fetchAnswer(""));
  await told;
  assert.equal(gate.calls.length, 1);
  assert.deepEqual(
    room.logs.map((line) => line.text),
    ["hook", "told"],
  );
});
