import assert from "node:assert/strict";
import { test } from "node:test";
import { Room } from "../sandbox/room.ts";
import { HostileGateway, type HostileRule } from "./hostile-gateway.ts";

const chatty: HostileRule = {
  body: `when: { path: "/chatty" }, onRequest(req, ctx) { for (let i = 0; i < 200; i++) { console.log("line " + i); ctx.metric("m" + i) } }`,
};

const FETCHES = 16;
let fetched = 0;

const gateway = await HostileGateway.open({
  quarantine: false,
  limits: { ruleCpu: "900ms", ruleFetches: FETCHES },
  egress: {
    fetch: async ({ url }) => {
      fetched++;
      return { status: 200, url, redirected: false, headers: [], body: Buffer.from("fetched") };
    },
    close: () => undefined,
  },
  rules: {
    "hundred-megabytes": `return respond(200, "x".repeat(100e6))`,
    "hundred-megabytes-of-json": `return respond(200, { toJSON: () => "x".repeat(100e6) })`,
    "hundred-megabytes-replaced": { body: `onResponse(res) { res.setBody("x".repeat(100e6)) }` },
    "hundred-megabytes-passed-on": { body: `onOriginRequest(req) { req.setBody(new Uint8Array(100e6)) }` },
    "thousands-of-lines": `for (let i = 0; i < 200_000; i++) console.log("line " + i); return respond(200, "said")`,
    "ten-million-lines": `for (let i = 0; i < 1e7; i++) console.log("line " + i); return respond(200, "said")`,
    "long-line": `console.log("x".repeat(5e6)); return respond(200, "said")`,
    "lines-of-late-work": {
      body: `onRequest(req, ctx) { ctx.waitUntil((async () => { await new Promise((r) => setTimeout(r, 1)); for (let i = 0; i < 1e5; i++) console.log("late " + i) })()); return respond(200, "said") }`,
    },
    "thousands-of-fetches": {
      body: `async onRequest(req, ctx) { const all = await Promise.allSettled(Array.from({ length: 10_000 }, (_, i) => ctx.fetch("https://api.example.com/" + i))); return respond(200, { answered: all.filter(({ status }) => status === "fulfilled").length, refused: all.filter(({ status }) => status === "rejected").length }) }`,
    },
    "fetches-nobody-awaits": {
      body: `onRequest(req, ctx) { for (let i = 0; i < 10_000; i++) ctx.fetch("https://api.example.com/" + i).catch(() => {}); return respond(200, "answered") }`,
    },
    "fetches-one-by-one": { body: `async onRequest(req, ctx) { for (let i = 0; i < 10_000; i++) await ctx.fetch("https://api.example.com/" + i) }` },
    "typed-arrays": `const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1))`,
    "typed-arrays-that-nobody-fills": `const all = []; for (;;) all.push(new Float64Array(1e6))`,
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

const TOO_MUCH: ReadonlySet<string> = new Set(["RULE_EFFECT", "RULE_CPU", "RULE_MEMORY", "RULE_THREW"]);
for (const name of ["hundred-megabytes", "hundred-megabytes-of-json", "hundred-megabytes-replaced", "hundred-megabytes-passed-on"]) {
  test(`${name.replaceAll("-", " ")} are refused, and the gateway itself holds none of them`, async () => {
    const before = process.memoryUsage().rss;
    await gateway.amidVisitors(async () => {
      const { status, code, text } = await gateway.ask(`/${name}`);
      assert.equal(status, 503);
      assert.ok(TOO_MUCH.has(code), code);
      assert.ok(text.length < 1000);
    });
    assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024);
    assert.equal(gateway.failuresOf(name).length, 1);
  });
}

for (const name of ["typed-arrays", "typed-arrays-that-nobody-fills"]) {
  test(`${name.replaceAll("-", " ")} without bound end with the memory that rules may hold`, async () => {
    await gateway.warm();
    await gateway.amidVisitors(async () => {
      const { status, code } = await gateway.ask(`/${name}`);
      assert.equal(status, 503);
      assert.ok(TOO_MUCH.has(code), code);
    });
    assert.equal(gateway.failuresOf(name).length, 1);
  });
}

test("ten million log lines are bounded, and how many were dropped is said", async () => {
  const linesOf = (name: string): readonly { readonly text: string }[] => gateway.logs.filter(({ rule }) => rule === `${name}.ts`);
  await gateway.amidVisitors(async () => {
    assert.equal((await gateway.ask("/thousands-of-lines")).text, "said");
    const { status, code } = await gateway.ask("/ten-million-lines");
    assert.ok(status === 200 || code === "RULE_CPU", code);
    assert.equal((await gateway.ask("/long-line")).text, "said");
    assert.equal((await gateway.ask("/lines-of-late-work")).text, "said");
    while (!linesOf("lines-of-late-work").some(({ text }) => text.includes("dropped"))) await gateway.ask("/healthy/at-once/1");
  });
  assert.equal(linesOf("thousands-of-lines").length, 201);
  assert.match(linesOf("thousands-of-lines").at(-1)!.text, /^199800 more lines were dropped/);
  assert.ok(linesOf("ten-million-lines").length <= 201);
  assert.ok(linesOf("long-line").every(({ text }) => text.length < 16_384));
  assert.ok(linesOf("lines-of-late-work").length <= 201);
});

test("ten thousand parallel fetches: as many leave as limits.ruleFetches says, whether they are awaited or not", async () => {
  await gateway.amidVisitors(async () => {
    fetched = 0;
    assert.deepEqual(await gateway.json("/thousands-of-fetches"), { answered: FETCHES, refused: 10_000 - FETCHES });
    assert.equal(fetched, FETCHES);
    fetched = 0;
    assert.equal((await gateway.ask("/fetches-nobody-awaits")).text, "answered");
    assert.ok(fetched <= FETCHES, String(fetched));
    fetched = 0;
    assert.equal((await gateway.ask("/fetches-one-by-one")).code, "RULE_CALLS");
    assert.equal(fetched, FETCHES);
  });
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

test("a CPU bound above what a sandbox may be silent is given all the same", async (t) => {
  const room = await Room.open(t, { limits: { ruleCpuMs: 10_000, ruleWallMs: 60_000 } });
  const release = await room.load({
    name: "slow.ts",
    body: `onRequest() { let sum = 0; for (let i = 0; i < 6e8; i++) sum += Math.sqrt(i); return respond(200, String(sum)) }`,
  });
  const { answer, failure } = await room.run(release);
  assert.equal(failure?.message ?? answer?.status, 200);
  assert.equal(room.sandbox.status().restarts, 0);
});
