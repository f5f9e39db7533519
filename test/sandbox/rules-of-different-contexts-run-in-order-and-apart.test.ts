import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { Room, runOf } from "./room.ts";

const stamp = (letter: string): string =>
  `onRequest(req, ctx) { req.headers.set("x-order", (req.headers.get("x-order") ?? "") + "${letter}"); req.headers.set("x-seen-${letter}", JSON.stringify(ctx.secrets)) }`;

test("each rule sees the changes of those before it, whatever contexts lie between, and no other rule's secrets", async (t) => {
  const room = await Room.open(t, { secrets: { one: "s1", two: "s2" } });
  const release = await room.load(
    { body: stamp("a") },
    { secrets: ["one"], body: stamp("b") },
    { body: stamp("c") },
    { secrets: ["two"], body: stamp("d") },
    { body: stamp("e") },
  );
  const running = room.run(release);
  assert.equal((await running).failure, null);
  const { fields } = running.view.request;
  assert.equal(fields.get("x-order"), "abcde");
  assert.equal(fields.get("x-seen-a"), "{}");
  assert.equal(fields.get("x-seen-b"), '{"one":"s1"}');
  assert.equal(fields.get("x-seen-c"), "{}");
  assert.equal(fields.get("x-seen-d"), '{"two":"s2"}');
});

test("a secret that config does not have refuses the release", async (t) => {
  const room = await Room.open(t);
  await assert.rejects(room.load({ secrets: ["missing"], body: "" }), (thrown) => thrown instanceof GatewayError && /missing/.test(thrown.detail));
});

test("method, target, state and the answer come out; rules after an answer do not run", async (t) => {
  const room = await Room.open(t);
  const release = await room.load(
    { body: `onRequest(req, ctx) { req.method = "POST"; req.path = "/new"; ctx.state.n = 1; req.upstream = "other" }` },
    { body: `onRequest(req, ctx) { return respond(201, { made: req.method + req.path }, { "x-b": "2" }) }` },
    { body: `onRequest(req) { req.headers.set("x-late", "1") }` },
  );
  const running = room.run(release, { target: "/old?q=1" });
  const outcome = await running;
  const { request, exchange } = running.view;
  assert.equal(request.method, "POST");
  assert.equal(request.target, "/new?q=1");
  assert.equal(request.fields.get("x-late"), undefined);
  assert.equal(outcome.upstream, "other");
  assert.equal(outcome.rule, "rule-1.ts");
  assert.equal(outcome.answer?.status, 201);
  assert.equal(outcome.answer.fields.get("x-b"), "2");
  assert.deepEqual(JSON.parse(outcome.answer.body.toString("utf8")), { made: "POST/new" });
  assert.equal(exchange.state.get(0), '{"n":1}');
});

test("response hooks change status, headers and body, in the order that the caller gives, and find their rule's state", async (t) => {
  const room = await Room.open(t);
  const phases = ["onRequest", "onResponse"] as const;
  const release = await room.load(
    { phases, body: `onRequest(req, ctx) { ctx.state.from = "request" }, onResponse(res, req, ctx) { res.headers.append("x-order", "0" + ctx.state.from) }` },
    { phases, body: `onResponse(res, req) { res.status = 418; res.setBody("tea"); res.headers.append("x-order", "1"); res.headers.delete("server") }` },
  );
  const first = room.run(release, { rules: [0] });
  await first;
  const run = runOf(release, {
    phase: "onResponse",
    rules: [1, 0],
    exchange: first.view.exchange,
    response: { status: 200, fields: Fields.of(["server", "x"]) },
  });
  const outcome = await room.sandbox.run(run);
  assert.equal(outcome.failure, null);
  assert.equal(run.response?.status, 418);
  assert.deepEqual(run.response.fields.getAll("x-order"), ["1", "0request"]);
  assert.equal(run.response.fields.get("server"), undefined);
  assert.equal(outcome.body?.toString(), "tea");
});

test("text beyond Latin-1 crosses both ways", async (t) => {
  const room = await Room.open(t, { vars: { greeting: "Grüße 世界" } });
  const release = await room.load({ body: `onRequest(req, ctx) { console.log(ctx.vars.greeting + "\\u{1f600}"); return respond(200, ctx.vars.greeting) }` });
  const { answer } = await room.run(release);
  assert.equal(answer?.body.toString("utf8"), "Grüße 世界");
  assert.deepEqual(
    room.logs.map((line) => line.text),
    ["Grüße 世界\u{1f600}"],
  );
});
