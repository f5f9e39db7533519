import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import { fetchAnswer, Gate, Room } from "./room.ts";

test("a hook that waits longer than the exchange's wall time ends with RULE_WALL, and its call is aborted", async (t) => {
  const gate = new Gate();
  const room = await Room.open(t, { services: { fetch: gate.service }, limits: { ruleWallMs: 200 } });
  const release = await room.load({ name: "slow.ts", body: `async onRequest(req, ctx) { await ctx.fetch("http://auth.example.com/") }` });
  const running = room.run(release);
  const { failure, rule } = await running;
  assert.equal(failure?.code, "RULE_WALL");
  assert.equal(rule, "slow.ts");
  assert.ok(running.view.exchange.ruleWallMs >= 200);
  assert.ok(gate.calls[0]!.signal.aborted);
  assert.equal(room.sandbox.status().outstanding, 0);
});

test("a promise that never settles ends with RULE_WALL and harms no one", async (t) => {
  const room = await Room.open(t, { limits: { ruleWallMs: 1500 }, silenceMs: 300 });
  const release = await room.load({ body: `onRequest(req) { return req.path === "/never" ? new Promise(() => undefined) : respond(200) }` });
  const never = room.run(release, { target: "/never" });
  assert.equal((await room.run(release)).answer?.status, 200);
  assert.equal((await never).failure?.code, "RULE_WALL");
  assert.equal(room.sandbox.status().restarts, 0, "a sandbox that merely waits is not killed for silence");
});

test("a rule that fails open does not use up the time of one that fails closed", async (t) => {
  const room = await Room.open(t, { limits: { ruleWallMs: 300 } });
  const release = await room.load(
    { name: "open.ts", onFailure: "open", body: `onRequest() { return new Promise(() => undefined) }` },
    { name: "closed.ts", body: `onRequest() { return respond(401) }` },
  );
  const { answer, rule } = await room.run(release);
  assert.equal(answer?.status, 401);
  assert.equal(rule, "closed.ts");
  assert.deepEqual(
    room.hooks.map((hook) => [hook.rule, hook.outcome, hook.failure?.kind]),
    [
      ["open.ts", "failed-open", "wall"],
      ["closed.ts", "answer", undefined],
    ],
  );
});

test("fetch calls above limits.ruleFetches are refused as RULE_CALLS, over the phases of one exchange", async (t) => {
  const room = await Room.open(t, { services: { fetch: async () => fetchAnswer("x") }, limits: { ruleFetches: 2 } });
  const release = await room.load({
    body: `async onRequest(req, ctx) { for (let i = 0; i < Number(req.query.get("n")); i++) await ctx.fetch("http://auth.example.com/" + i) }`,
  });
  const two = room.run(release, { target: "/?n=2" });
  assert.equal((await two).failure, null);
  assert.equal(two.view.exchange.fetches, 2);
  assert.equal((await room.run(release, { target: "/?n=1", exchange: two.view.exchange })).failure?.code, "RULE_CALLS");
});

test("services that the release does not name, or the gateway does not have, are refused", async (t) => {
  let asked = 0;
  const room = await Room.open(t, { services: { fetch: async () => (asked++, fetchAnswer("")) } });
  const release = await room.load({ services: [], body: `async onRequest(req, ctx) { await ctx["fet" + "ch"]("http://auth.example.com/") }` });
  assert.equal((await room.run(release)).failure?.code, "SERVICE_REFUSED");
  const unknown = await room.load({ services: ["auth"], body: `async onRequest(req, ctx) { await ctx.auth.forward({ url: "http://auth.example.com/" }) }` });
  assert.equal((await room.run(unknown)).failure?.code, "SERVICE_REFUSED");
  assert.equal(asked, 0);
});

test("calls of any kind are bounded in one hook", async (t) => {
  const room = await Room.open(t, { services: { timer: async () => ({}) } });
  const release = await room.load({ body: `async onRequest() { for (;;) await new Promise((resolve) => setTimeout(resolve, 0)) }` });
  assert.equal((await room.run(release)).failure?.code, "RULE_CALLS");
});

test("a value above the crossing bound does not cross, in or out", async (t) => {
  const room = await Room.open(t, {
    services: { fetch: async () => fetchAnswer(""), forward: async () => ({ identity: "x".repeat(20_000) }) },
    limits: { crossingBytes: 10_000 },
  });
  const release = await room.load(
    { body: `async onRequest(req, ctx) { await ctx.fetch("http://auth.example.com/", { method: "POST", body: "x".repeat(20000) }) }` },
    { body: `async onRequest(req, ctx) { await ctx.auth.forward({ url: "http://auth.example.com/" }) }` },
  );
  assert.ok((await room.run(release, { rules: [0] })).failure instanceof GatewayError);
  assert.equal((await room.run(release, { rules: [1] })).failure?.code, "SERVICE_REFUSED");
});

test("a service's error reaches the rule with its code, and a stranger's error tells the rule nothing", async (t) => {
  const room = await Room.open(t, {
    services: {
      fetch: async ({ args }) => {
        if ((args as { url: string }).url.endsWith("/known")) throw new GatewayError("UPSTREAM_TIMEOUT", "too slow");
        throw new Error("/secret/path");
      },
    },
  });
  const release = await room.load({
    body: `async onRequest(req, ctx) { try { await ctx.fetch("http://auth.example.com" + req.path) } catch (error) { return respond(200, String(error.cause?.message ?? error.message)) } }`,
  });
  assert.match(String((await room.run(release, { target: "/known" })).answer?.body), /UPSTREAM_TIMEOUT/);
  const told = String((await room.run(release, { target: "/strange" })).answer?.body);
  assert.doesNotMatch(told, /secret/);
  assert.ok(
    room.logs.some((line) => line.level === "error" && line.text.includes("/secret/path")),
    "the operator reads it",
  );
});
