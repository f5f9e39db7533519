import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import { fetchAnswer, Gate, Room, type RuleText } from "./room.ts";

// Ignores every guard inside the process and ends it (SIGTRAP, SIGSEGV or silence).
const BOMB = `if (req.path === "/bomb") { let b = 2n; for (;;) b *= b }`;
const bomb: RuleText = { name: "bomb.ts", body: `onRequest(req) { ${BOMB} }` };
const healthy: RuleText = { name: "healthy.ts", body: `onRequest(req) { req.headers.append("x-healthy", "yes") }` };

test("the culprit is answered by onFailure, the innocent around it lose nothing", async (t) => {
  const room = await Room.open(t);
  const release = await room.load(bomb, healthy);
  for (let warmUp = 0; warmUp < 20; warmUp++) await room.run(release);
  const innocent = (): ReturnType<Room["run"]> => room.run(release, { rules: [1] });
  const innocents = Array.from({ length: 20 }, innocent);
  const culprit = room.run(release, { target: "/bomb", rules: [0] });
  innocents.push(...Array.from({ length: 20 }, innocent));
  for (const running of innocents) {
    const { failure } = await running;
    assert.equal(failure, null);
    assert.deepEqual(running.view.request.fields.getAll("x-healthy"), ["yes"]);
  }
  const { failure, rule } = await culprit;
  assert.ok(failure?.code === "RULE_MEMORY" || failure?.code === "RULE_CPU", String(failure?.code));
  assert.equal(failure.status, 503);
  assert.equal(rule, "bomb.ts");
  assert.ok(room.told.filter((each) => each.event === "lost").every((each) => each.by !== "outside"));
});

test("one of two rules in the same hook call is found; the other one's effects count", async (t) => {
  const room = await Room.open(t, { quarantine: false });
  const release = await room.load(healthy, { ...bomb, onFailure: "closed" });
  const { failure, rule } = await room.run(release, { target: "/bomb" });
  assert.equal(failure?.status, 503);
  assert.equal(rule, "bomb.ts");
  assert.equal((await room.run(release, { target: "/fine" })).failure, null);
});

test("a rule that fails open is passed over, the rules after it run, and after three offences it is not run at all until a new release", async (t) => {
  const room = await Room.open(t);
  const release = await room.load({ ...bomb, onFailure: "open" }, healthy);
  for (let offence = 1; offence <= 3; offence++) {
    const running = room.run(release, { target: "/bomb" });
    const { failure } = await running;
    assert.equal(failure, null);
    assert.deepEqual(running.view.request.fields.getAll("x-healthy"), ["yes"]);
  }
  assert.deepEqual(room.sandbox.status().quarantined, ["bomb.ts"]);
  assert.deepEqual(
    room.told.filter((each) => each.event === "quarantined").map((each) => each.rule),
    ["bomb.ts"],
  );
  await room.warm();
  const { restarts } = room.sandbox.status();
  const running = room.run(release, { target: "/bomb" });
  assert.equal((await running).failure, null);
  assert.deepEqual(running.view.request.fields.getAll("x-healthy"), ["yes"]);
  assert.equal(room.sandbox.status().restarts, restarts, "it was not run");

  const next = await room.load({ ...bomb, body: `onRequest(req) { req.headers.set("x-mended", "yes") }` }, healthy);
  const mended = room.run(next, { target: "/bomb" });
  await mended;
  assert.equal(mended.view.request.fields.get("x-mended"), "yes");
});

test("a quarantined rule that fails closed answers RULE_QUARANTINED; an endless loop is stopped inside and counts as well", async (t) => {
  // With a clock that stands, nothing outside the process ends it: however busy the machine is, this is its own guard.
  const room = await Room.open(t, { clock: new ManualClock() });
  const release = await room.load({ name: "loop.ts", body: `onRequest() { for (;;); }` });
  for (let offence = 1; offence <= 3; offence++) assert.equal((await room.run(release)).failure?.code, "RULE_CPU");
  const { failure } = await room.run(release);
  assert.equal(failure?.code, "RULE_QUARANTINED");
  assert.equal(room.sandbox.status().restarts, 0, "no process was lost");
});

test("a loop in waitUntil work is blamed like one in a hook, although its answer has long gone out", async (t) => {
  const gate = new Gate();
  const room = await Room.open(t, { services: { fetch: gate.service } });
  const release = await room.load({
    name: "later.ts",
    body: `onRequest(req, ctx) { ctx.waitUntil((async () => { await ctx.fetch("http://auth.example.com/"); for (;;); })()); return respond(200, "at once") }`,
  });
  for (let hit = 1; !room.sandbox.status().quarantined.includes("later.ts"); hit++) {
    assert.equal((await room.run(release)).answer?.status, 200);
    await gate.arrived(hit);
    const gone = Promise.race([room.emitterOnce("isolate-lost"), room.emitterOnce("lost")]);
    gate.answer(fetchAnswer("it"));
    await gone;
  }
  assert.ok(
    room.logs.some(({ rule, text }) => rule === "later.ts" && /^waitUntil: .*CPU/.test(text)),
    JSON.stringify(room.logs),
  );
});

test("with quarantine off it is run and answered for ever", async (t) => {
  const room = await Room.open(t, { quarantine: false });
  const release = await room.load({ body: `onRequest() { for (;;); }` });
  for (let offence = 1; offence <= 5; offence++) assert.equal((await room.run(release)).failure?.code, "RULE_CPU");
  assert.deepEqual(room.sandbox.status().quarantined, []);
});

test("hooks that were only waiting are run again beside the trial, and their calls are not repeated", async (t) => {
  const gate = new Gate();
  const room = await Room.open(t, { services: { fetch: gate.service }, quarantine: false });
  const release = await room.load(bomb, {
    name: "waits.ts",
    body: `async onRequest(req, ctx) { const answer = await ctx.fetch("http://auth.example.com/"); req.headers.set("x-got", await answer.text()) }`,
  });
  const waiting = room.run(release, { rules: [1] });
  await gate.arrived(1);
  assert.notEqual((await room.run(release, { target: "/bomb", rules: [0] })).failure, null);
  gate.answer(fetchAnswer("it"));
  assert.equal((await waiting).failure, null);
  assert.equal(waiting.view.request.fields.get("x-got"), "it");
  assert.equal(gate.calls.length, 1);
});

test("memory that grows past its bound ends the sandbox or the isolate, and RULE_MEMORY answers", async (t) => {
  const room = await Room.open(t, { quarantine: false, limits: { ruleCpuMs: 5000 } });
  const release = await room.load({ name: "greedy.ts", body: `onRequest() { const all = []; for (;;) all.push(new Array(1000).fill(1)) }` });
  const { failure } = await room.run(release);
  assert.equal(failure?.code, "RULE_MEMORY");
});
