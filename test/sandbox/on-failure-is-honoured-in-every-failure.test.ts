import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode } from "../../runtime/errors.ts";
import { Room, type RuleText } from "./room.ts";

const FAILURES: readonly { readonly name: string; readonly code: ErrorCode; readonly body: string; readonly services?: readonly string[] }[] = [
  { name: "a throw", code: "RULE_THREW", body: `onRequest(req) { req.headers.set("x-half", "1"); throw new Error("no") }` },
  { name: "a rejection", code: "RULE_THREW", body: `async onRequest(req) { req.headers.set("x-half", "1"); await null; throw new Error("no") }` },
  { name: "CPU", code: "RULE_CPU", body: `onRequest(req) { req.headers.set("x-half", "1"); for (;;); }` },
  { name: "wall time", code: "RULE_WALL", body: `async onRequest(req, ctx) { req.headers.set("x-half", "1"); await ctx.fetch("http://x.example/") }` },
  {
    name: "a refused service",
    code: "SERVICE_REFUSED",
    services: [],
    body: `async onRequest(req, ctx) { req.headers.set("x-half", "1"); await ctx.fetch("http://x.example/") }`,
  },
];
const before: RuleText = { name: "before.ts", body: `onRequest(req) { req.headers.set("x-before", "1") }` };
const after: RuleText = { name: "after.ts", body: `onRequest(req) { req.headers.set("x-after", "1") }` };

for (const { name, code, body, services = ["fetch"] } of FAILURES) {
  test(`${name}: closed answers ${code}, open carries on, and nothing of the failing hook counts`, async (t) => {
    const room = await Room.open(t, { limits: { ruleWallMs: 1000 }, services: { fetch: () => new Promise(() => undefined) } });
    const failing: RuleText = { name: "failing.ts", body, services };
    const closed = await room.load(before, failing, after);
    const closedRun = room.run(closed);
    const closedOutcome = await closedRun;
    assert.equal(closedOutcome.failure?.code, code);
    assert.equal(closedOutcome.rule, "failing.ts");
    assert.equal(closedOutcome.answer, null);
    assert.equal(closedRun.view.request.fields.get("x-after"), undefined);

    const open = await room.load(before, { ...failing, onFailure: "open" }, after);
    const openRun = room.run(open);
    const openOutcome = await openRun;
    assert.equal(openOutcome.failure, null);
    assert.equal(openOutcome.answer, null);
    const { fields } = openRun.view.request;
    assert.equal(fields.get("x-before"), "1");
    assert.equal(fields.get("x-half"), undefined);
    assert.equal(fields.get("x-after"), "1");
    assert.deepEqual(
      room.hooks.slice(-3).map((hook) => [hook.rule, hook.outcome]),
      [
        ["before.ts", "next"],
        ["failing.ts", "failed-open"],
        ["after.ts", "next"],
      ],
    );
  });
}

test("no sandbox at all: closed answers SANDBOX_UNAVAILABLE, open carries on, at once when the room closes", async (t) => {
  const room = await Room.open(t);
  const closed = await room.load(before);
  const open = await room.load({ ...before, onFailure: "open" });
  await room.sandbox.close();
  assert.equal((await room.run(closed)).failure?.code, "SANDBOX_UNAVAILABLE");
  assert.equal((await room.run(open)).failure, null);
});
