import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { openCore } from "../faults/core-in-between.ts";
import { releaseOf } from "../sandbox/room.ts";
import { HostileGateway } from "../security/hostile-gateway.ts";

const MEBIBYTE = 2 ** 20;
const asked: (readonly (readonly [string, string])[])[] = [];
const gateway = await HostileGateway.open({
  limits: { ruleBodySize: "1KiB", ruleCpu: "500ms" },
  egress: {
    fetch: async ({ url, headers }) => {
      asked.push(headers);
      return { status: 200, url, redirected: false, headers: [], body: Buffer.from("") };
    },
    close: () => undefined,
  },
  rules: {
    reads: { body: `async onRequest(req) { await req.text() }` },
    "reads-open": { body: `async onRequest(req) { await req.text() }`, onFailure: "open" },
    "reads-response": {
      body: `when: { path: "/reads-response" }, onRequest(req) { req.headers.set("x-long", "y".repeat(2000)) }, async onResponse(res) { await res.text() }`,
    },
    answers: `return respond(200, "x".repeat(3 * 2 ** 20))`,
    "answers-too-much": `return respond(200, "x".repeat(17 * 2 ** 20))`,
    sets: { body: `onResponse(res) { res.setBody("y".repeat(3 * 2 ** 20)) }` },
    "edits-read": { body: `async onResponse(res) { res.setBody((await res.text()).toUpperCase()) }` },
    asks: { body: `async onRequest(req, ctx) { await ctx.auth.forward({ url: "https://auth.example.com/" }) }` },
  },
});
const send = (path: string, init: RequestInit = {}): Promise<Response> => fetch(`http://127.0.0.1:${gateway.port}${path}`, init);

test("a request body larger than rules may read is the client's 413, not the rule's failure", async () => {
  const refused = await send("/reads", { method: "POST", body: "b".repeat(5000) });
  assert.deepEqual([refused.status, refused.headers.get("sluice-error")], [413, "BODY_TOO_LARGE"]);
  assert.equal((await send("/reads", { method: "POST", body: "b".repeat(500) })).status, 200);
});

test("a rule that fails open passes such a body on", async () => {
  assert.equal((await send("/reads-open", { method: "POST", body: "b".repeat(5000) })).status, 200);
});

test("a response body larger than rules may read is not the client's fault", async () => {
  const refused = await send("/reads-response");
  assert.deepEqual([refused.status, refused.headers.get("sluice-error")], [503, "SERVICE_REFUSED"]);
});

test("nor is one that unpacks to more than rules may read, however small it comes", async (t) => {
  const bomb = gzipSync(Buffer.alloc(4 * MEBIBYTE));
  const core = await openCore(
    t,
    async (connection) => {
      await connection.head();
      connection.send(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n${bomb.toString("latin1")}`);
    },
    { release: releaseOf({ phases: ["onResponse"], body: `async onResponse(res) { await res.text() }` }) },
  );
  const received = await core.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.match(received, /^HTTP\/1\.1 503 [^]*\r\nsluice-error: SERVICE_REFUSED\r\n/);
});

test("bodies that rules set may be larger than limits.crossingSize", async () => {
  assert.equal((await (await send("/answers")).arrayBuffer()).byteLength, 3 * MEBIBYTE);
  assert.equal((await (await send("/sets")).arrayBuffer()).byteLength, 3 * MEBIBYTE);
});

test("and have a bound all the same", async () => {
  const refused = await send("/answers-too-much");
  assert.deepEqual([refused.status, refused.headers.get("sluice-error")], [503, "RULE_EFFECT"]);
});

test("the answer to HEAD names no length that a rule made of a body that was not there", async () => {
  const head = await send("/edits-read", { method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("content-length")], [200, null]);
});

test("an auth service is told who asks, and for what", async () => {
  assert.equal((await send("/asks")).status, 200);
  const told = Object.fromEntries(asked.at(-1)!);
  assert.equal(told["x-forwarded-for"], "127.0.0.1");
  assert.equal(told["x-forwarded-uri"], "/asks");
  assert.equal(told["x-forwarded-method"], "GET");
  assert.equal(told["x-forwarded-host"], `127.0.0.1:${gateway.port}`);
});
