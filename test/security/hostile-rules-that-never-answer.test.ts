import assert from "node:assert/strict";
import { test } from "node:test";
import { HostileGateway } from "./hostile-gateway.ts";

const gateway = await HostileGateway.open({
  limits: { ruleWall: "500ms" },
  rules: {
    "never-settles": { body: `onRequest() { return new Promise(() => undefined) }` },
    "never-settles-open": { body: `onRequest() { return new Promise(() => undefined) }`, onFailure: "open" },
    "waits-for-ever": { body: `onRequest(req, ctx) { ctx.waitUntil(new Promise(() => undefined)); return respond(200, "answered") }` },
    "sleeps-for-ever": { body: `async onRequest() { for (;;) await new Promise((resolve) => setTimeout(resolve, 1e9)) }` },
    "timer-after-timer": { body: `async onRequest() { for (;;) await new Promise((resolve) => setTimeout(resolve, 0)) }` },
    "rejects-unawaited": `for (let i = 0; i < 1000; i++) void Promise.reject(new Error("nobody awaits " + i)); return respond(200, "answered")`,
    "rejects-unreadably": `void Promise.reject(new Proxy({}, { get() { throw new Error("unreadable") } })); return respond(200, "answered")`,
    "stack-hook": `Error.prepareStackTrace = () => { for (;;); }; try { null.x } catch (error) { return respond(200, { frames: error.stack.split("\\n").length > 1 }) }`,
    "deep-recursion": `const deeper = () => deeper() + 1; return respond(200, String(deeper()))`,
    "deep-recursion-open": { body: `onRequest(req) { const deeper = () => deeper() + 1; deeper() }`, onFailure: "open" },
  },
});

test("a promise that never settles ends with the wall time: closed answers, open passes on", async () => {
  await gateway.amidVisitors(async () => {
    assert.equal((await gateway.ask("/never-settles")).code, "RULE_WALL");
    assert.equal((await gateway.ask("/never-settles-open")).status, 200);
    assert.equal((await gateway.ask("/sleeps-for-ever")).code, "RULE_WALL");
    assert.match((await gateway.ask("/timer-after-timer")).code, /^RULE_(?:WALL|CALLS)$/);
  });
  assert.deepEqual(
    gateway.failuresOf("never-settles-open").map(({ outcome, failure }) => [outcome, failure?.kind]),
    [["failed-open", "wall"]],
  );
});

test("work that never settles after the answer is given up, and its rule is named", async () => {
  await gateway.amidVisitors(async () => {
    assert.equal((await gateway.ask("/waits-for-ever")).text, "answered");
    while (!gateway.logs.some(({ rule, text }) => rule === "waits-for-ever.ts" && text.includes("waitUntil"))) await gateway.ask("/healthy/at-once/1");
  });
});

test("rejections that nobody awaits cost nobody an answer, and are told", async () => {
  await gateway.amidVisitors(async () => {
    for (let hit = 0; hit < 5; hit++) {
      assert.equal((await gateway.ask("/rejects-unawaited")).text, "answered");
      assert.equal((await gateway.ask("/rejects-unreadably")).text, "answered");
    }
  });
  assert.ok(gateway.logs.some(({ rule, text }) => rule === "rejects-unawaited.ts" && text.includes("outside any hook: nobody awaits")));
});

test("Error.prepareStackTrace is not called", async () => {
  await gateway.amidVisitors(async () => assert.deepEqual(await gateway.json("/stack-hook"), { frames: true }));
});

test("deep recursion is an error of the rule like any other", async () => {
  await gateway.amidVisitors(async () => {
    assert.equal((await gateway.ask("/deep-recursion")).code, "RULE_THREW");
    assert.equal((await gateway.ask("/deep-recursion-open")).status, 200);
  });
  assert.match(gateway.failuresOf("deep-recursion")[0]!.failure!.message, /Maximum call stack/);
});

test("none of this cost a sandbox, and nobody is quarantined", () => {
  assert.equal(gateway.status.restarts, 0);
  assert.deepEqual(gateway.status.quarantined, []);
});
