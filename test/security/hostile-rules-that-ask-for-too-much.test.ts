import assert from "node:assert/strict";
import { test } from "node:test";
import { Room } from "../sandbox/room.ts";
import { HostileGateway, type HostileRule } from "./hostile-gateway.ts";

const chatty: HostileRule = {
  body: `when: { path: "/chatty" }, onRequest(req, ctx) { for (let i = 0; i < 200; i++) { console.log("line " + i); ctx.metric("m" + i) } }`,
};

const gateway = await HostileGateway.open({
  quarantine: false,
  rules: {
    "thousands-of-changes": `for (let i = 0; i < 3000; i++) req.headers.set("x-a", String(i))`,
    "changes-of-all-kinds": `try { for (;;) { req.headers.append("x-a", "1"); req.headers.delete("x-a"); req.method = "GET" } } catch (error) { return respond(200, { told: error.message }) }`,
    ...Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`chatty-${index}`, chatty])),
  },
});

test("thousands of changes are refused inside: the sandbox lives", async () => {
  const { restarts } = gateway.status;
  await gateway.amidVisitors(async () => {
    assert.equal((await gateway.ask("/thousands-of-changes")).code, "RULE_EFFECT");
    assert.deepEqual(await gateway.json("/changes-of-all-kinds"), { told: "at most 1000 changes may be made in one hook" });
  });
  assert.equal(gateway.status.restarts, restarts);
});

test("many rules that each say as much as they may are all heard", async () => {
  const { restarts } = gateway.status;
  assert.equal((await gateway.ask("/chatty")).status, 200);
  assert.equal(gateway.logs.filter(({ rule }) => rule.startsWith("chatty-")).length, 8 * 200);
  assert.equal(gateway.status.restarts, restarts);
});

test("a hundred innocent heavy hooks in one turn are no silence", async (t) => {
  // Some 20 ms each: together more than a sandbox may be silent.
  const room = await Room.open(t, { limits: { ruleCpuMs: 500, ruleWallMs: 60_000 } });
  const release = await room.load({
    name: "heavy.ts",
    body: `onRequest() { let sum = 0; for (let i = 0; i < 1e7; i++) sum += Math.sqrt(i); return respond(200, String(sum)) }`,
  });
  const outcomes = await Promise.all(Array.from({ length: 100 }, () => room.run(release)));
  assert.deepEqual([...new Set(outcomes.map(({ answer, failure }) => failure?.message ?? answer?.status))], [200]);
  assert.equal(room.sandbox.status().restarts, 0);
});
