/** Empty `catch` blocks stand in the text of attacks: an attempt that throws has failed, as it should. What was reached is asserted outside. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Room } from "../sandbox/room.ts";
import { HostileGateway } from "./hostile-gateway.ts";

const gateway = await HostileGateway.open({
  rules: {
    "victim-regexp": `const found = /Bearer (\\w+)/.exec(req.headers.get("authorization")); req.headers.set("x-units", String(found[1].length))`,
    "spy-regexp": `const names = Object.getOwnPropertyNames(RegExp).filter((name) => typeof RegExp[name] === "string" && name !== "name"); return respond(200, names.map((name) => RegExp[name]))`,
    "victim-timer": {
      body: `async onRequest(req) { await new Promise((resolve) => setTimeout(resolve, Number(req.query.get("ms")))); return respond(200, "woke") }`,
    },
    "cancels-timers": `for (let id = -10; id < 1000; id++) clearTimeout(id); return respond(200, "done")`,
    "plants-globals": {
      top: `globalThis.process = { env: {} }; globalThis.Buffer = { from: () => "planted" }; Object.setPrototypeOf(globalThis, { planted: 1 })`,
      body: `onRequest() { return respond(200, [typeof process, typeof Buffer, typeof planted]) }`,
    },
    "plants-late": { top: `Promise.resolve().then(() => { globalThis.late = 1 })`, body: `onRequest() { return respond(200, typeof late) }` },
    "plants-at-run-time": `try { Object.getPrototypeOf(globalThis).planted = 1 } catch {} try { globalThis.planted = 1 } catch {} return respond(200, "tried")`,
    "feature-detects": {
      body: `when: { path: "/feature-detects" }, order: 10, onRequest() { return respond(200, [typeof process, typeof Buffer, typeof planted, typeof late]) }`,
    },
    "own-timer": {
      body: `async onRequest() { let rang = 0; const first = setTimeout(() => rang++, 1); clearTimeout(first); clearTimeout(first); clearTimeout(); await new Promise((resolve) => setTimeout(resolve, 5)); return respond(200, { rang }) }`,
    },
  },
});

describe("in one context", () => {
  test("what another rule's regular expressions matched is not to be read", async () => {
    assert.equal((await gateway.ask("/victim-regexp", { authorization: "Bearer s3cret" })).status, 200);
    assert.deepEqual(await gateway.json("/spy-regexp"), []);
  });

  test("globals that one rule plants are not there for another, and stay for itself", async () => {
    assert.equal((await gateway.ask("/plants-at-run-time")).text, "tried");
    assert.equal((await gateway.ask("/plants-late")).status, 200);
    assert.deepEqual(await gateway.json("/feature-detects"), ["undefined", "undefined", "undefined", "undefined"]);
    assert.deepEqual(await gateway.json("/plants-globals"), ["object", "object", "number"]);
  });

  test("another rule's timers are not to be cancelled, its own are", async () => {
    const sleeping = gateway.ask("/victim-timer?ms=300");
    await gateway.ask("/victim-timer?ms=0");
    await gateway.ask("/cancels-timers");
    assert.equal((await sleeping).text, "woke");
    assert.deepEqual(await gateway.json("/own-timer"), { rang: 0 });
  });
});

test("a rule that keeps the memory which all share nearly full has nobody else blamed for the rest", async () => {
  const shared = await HostileGateway.open({
    rules: {
      keeps: {
        top: `const kept = []`,
        body: `onRequest() { if (kept.length < 47) kept.push(new Array(160_000).fill(1.5)); return respond(200, String(kept.length)) }`,
      },
      uses: `const all = []; for (let i = 0; i < 100_000; i++) all.push({ i, text: "x" + i }); return respond(200, String(all.length))`,
    },
    limits: { ruleCpu: "2s" },
  });
  const losses = (): number => shared.told.filter(({ event, reason }) => event === "isolate-lost" && reason === "memory").length;
  for (let round = 0; losses() < 1; round++) {
    assert.ok(round < 500, "the isolate was never full");
    assert.equal((await shared.ask("/keeps")).status, 200);
    assert.equal((await shared.ask("/uses")).text, "100000");
  }
  assert.deepEqual(shared.status.quarantined, []);
  await shared.close();
});

describe("a module that loads once", () => {
  test("loads again in every sandbox: its clock shows the same for ever", async (t) => {
    let nowMs = Date.UTC(2026, 0, 1);
    const room = await Room.open(t, { now: () => nowMs, quarantine: false });
    const release = await room.load(
      { name: "bomb.ts", top: `if (Date.now() > ${nowMs}) for (;;);`, body: `onRequest() { for (;;); }` },
      { name: "healthy.ts", body: `onRequest() { return respond(200, "fine") }` },
    );
    nowMs += 24 * 3600_000;
    // The isolate is made anew, then a whole process.
    assert.equal((await room.run(release, { rules: [0] })).failure?.code, "RULE_CPU");
    assert.equal((await room.run(release, { rules: [1] })).answer?.status, 200);
    const started = room.emitterOnce("started");
    process.kill(room.sandbox.status().activePid, "SIGKILL");
    await started;
    assert.equal((await room.run(release, { rules: [1] })).answer?.status, 200);
    assert.ok(!room.told.some(({ event }) => event === "start-failed"));
  });
});

describe("hooks that begin in the same turn", () => {
  const victim = {
    name: "victim.ts",
    body: `async onRequest() { await null; await new Promise((resolve) => setTimeout(resolve, 0)); return respond(200, "fine") }`,
  };
  const services = { timer: async () => ({}) };

  test("what a hook leaves behind makes no calls and writes no lines in another one's name", async (t) => {
    const room = await Room.open(t, { services });
    const release = await room.load(
      { name: "calls.ts", body: `onRequest() { Promise.resolve().then(() => { for (let i = 0; i < 3000; i++) setTimeout(() => {}, 0) }) }` },
      { name: "lines.ts", body: `onRequest() { Promise.resolve().then(() => console.error("said by the victim")) }` },
      victim,
    );
    // The first round shows that the victim waits; every rule's first one is its own.
    for (let round = 0; round < 3; round++) {
      const runs = [0, 2, 1, 2, 0, 2].map((rule) => room.run(release, { rules: [rule] }));
      for (const [index, outcome] of (await Promise.all(runs)).entries()) assert.equal(outcome.answer?.body.toString(), index % 2 === 1 ? "fine" : undefined);
    }
    assert.deepEqual(
      room.logs.filter(({ rule }) => rule === "victim.ts"),
      [],
    );
  });

  test("a rule's stack is as long as ever, whatever another one sets", async (t) => {
    const room = await Room.open(t);
    const release = await room.load(
      { name: "limit.ts", body: `onRequest() { Error.stackTraceLimit = 0 }` },
      { name: "throws.ts", body: `onRequest() { throw new Error("boom") }` },
    );
    await Promise.all([room.run(release, { rules: [0] }), room.run(release, { rules: [1] })]);
    assert.match(room.hooks.find(({ rule }) => rule === "throws.ts")!.failure!.stack, /throws\.ts:\d+/);
  });
});
