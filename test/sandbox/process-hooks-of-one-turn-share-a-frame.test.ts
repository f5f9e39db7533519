import assert from "node:assert/strict";
import { test } from "node:test";
import { onRequest, rule, SandboxProcess } from "./process-harness.ts";

test("a hook's changes leave as effects, path and query together", async () => {
  await using sandbox = await SandboxProcess.with(
    onRequest(`
      req.headers.set("X-Variant", "a");
      req.headers.append("x-list", "1");
      req.headers.delete("Cookie");
      req.path = "/new" + req.path.slice(4);
      req.query.delete("a");
      req.query.set("b", "ü");
      req.method = "POST";
      req.upstream = "shop";
    `),
  );
  const done = await sandbox.hook({ headers: ["cookie:x=1"] });
  assert.equal(done.outcome, "next");
  assert.deepEqual(
    done.effects.map(({ kind, fields }) => [kind, fields].flat()),
    [
      ["SET_FIELD", "x-variant", "a"],
      ["APPEND_FIELD", "x-list", "1"],
      ["DELETE_FIELD", "cookie"],
      ["METHOD", "POST"],
      ["UPSTREAM", "shop"],
      ["TARGET", "/new/x?b=%C3%BC"],
    ],
  );
});

test("all hooks of a frame are answered by one frame, in their order", async () => {
  await using sandbox = await SandboxProcess.with(onRequest(`req.headers.set("x-n", req.query.get("n"))`));
  const before = sandbox.frames;
  const records = Array.from({ length: 40 }, (_, n) => sandbox.hookRecord({ head: `GET http shop.example.com /?n=${n}` }));
  sandbox.send(...records.map(({ record }) => record));
  for (const [n, { call }] of records.entries()) {
    const done = await sandbox.next("DONE");
    assert.equal(done.call, call);
    assert.deepEqual(done.effects[0]?.fields, ["x-n", String(n)]);
  }
  assert.equal(sandbox.frames - before, 1);
});

test("synchronous and awaiting hooks share a frame without mixing their clocks, randomness and logs", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ async onRequest(req) {
      const name = req.query.get("n");
      if (Number(name) % 2) for (let i = 0; i < 5; i++) await null;
      console.log(name);
      req.headers.set("x-seen", [name, Date.now(), Math.random() === globalThis.undefined, new Date().getTime()].join());
    } }`),
  );
  const records = Array.from({ length: 10 }, (_, n) => sandbox.hookRecord({ head: `GET http h /?n=${n}`, clockMs: 1000 + n, seed: n }));
  sandbox.send(...records.map(({ record }) => record));
  for (const [n, { call }] of records.entries()) {
    const done = await sandbox.next("DONE", (word) => word.call === call);
    assert.deepEqual(done.effects.find(({ kind }) => kind === "SET_FIELD")?.fields, ["x-seen", `${n},${1000 + n},false,${1000 + n}`]);
    assert.deepEqual(done.effects.find(({ kind }) => kind === "LOG")?.fields, ["info", String(n)]);
  }
});

test("each rule sees the changes of those before it, and an answer ends the phase", async () => {
  await using sandbox = await SandboxProcess.with(
    onRequest(`req.headers.set("x-user", "ada"); req.path = "/one"`),
    rule(`{ async onRequest(req) { await null; req.headers.set("x-seen", req.headers.get("x-user") + req.path) } }`),
    onRequest(`return respond(201, { user: req.headers.get("x-seen") }, { "x-by": "third" })`),
    onRequest(`throw new Error("never reached")`),
  );
  const done = await sandbox.hook({ rules: [{ rule: 0 }, { rule: 1 }, { rule: 2 }, { rule: 3 }] });
  assert.equal(done.outcome, "answer");
  assert.equal(done.by, 2);
  assert.deepEqual(done.effects.at(-1), { kind: "RESPOND", rule: 2, fields: [201, "x-by", "third", "content-type", "application/json", `{"user":"ada/one"}`] });
});

test("a failing rule leaves the effects of those before it, and of its own only the logs", async () => {
  await using sandbox = await SandboxProcess.with(
    onRequest(`req.headers.set("x-first", "1")`),
    onRequest(`req.headers.set("x-second", "2"); ctx.log.warn("about to", { fail: true }); throw new TypeError("no")`),
  );
  const done = await sandbox.hook({ rules: [{ rule: 0 }, { rule: 1 }] });
  assert.equal(done.outcome, "failure");
  assert.equal(done.by, 1);
  assert.deepEqual(
    done.effects.map(({ kind, rule, fields }) => [kind, rule, fields].flat()),
    [
      ["SET_FIELD", 0, "x-first", "1"],
      ["LOG", 1, "warn", `about to {"fail":true}`],
    ],
  );
  assert.equal(done.failure?.kind, "threw");
  assert.equal(done.failure?.message, "TypeError: no");
  assert.match(done.failure.stack, /at .*\(rule1\.ts:\d+:\d+\)/);
});

test("response hooks change status, fields and body, and read the request", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ onResponse(res, req, ctx) {
      res.status = 404;
      res.headers.delete("server");
      for (const cookie of res.headers.getSetCookie()) res.headers.append("x-cookie", cookie);
      res.headers.set("x-for", req.method + " " + req.url + " " + res.from + " " + req.id);
      res.setBody({ gone: true });
    } }`),
  );
  const response = "200\nserver:nginx\nset-cookie:a=1\nset-cookie:b=2\ncontent-type:text/html\ncontent-encoding:gzip\n";
  const done = await sandbox.hook({ phase: "onResponse", response, extra: { from: "upstream", requestId: "r-1" } });
  assert.deepEqual(
    done.effects.map(({ kind, fields }) => [kind, fields].flat()),
    [
      ["STATUS", 404],
      ["DELETE_FIELD", "server"],
      ["APPEND_FIELD", "x-cookie", "a=1"],
      ["APPEND_FIELD", "x-cookie", "b=2"],
      ["SET_FIELD", "x-for", "GET http://shop.example.com/old/x?a=1 upstream r-1"],
      ["BODY", `{"gone":true}`],
      ["DELETE_FIELD", "content-encoding"],
    ],
  );
});

test("what a phase may not change is refused with a sentence", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{
      onResponse(res, req) { req.path = "/other" },
      onOriginResponse(res) { res.status = 500 },
      onOriginRequest(req) { req.upstream = "other" },
      onRequest(req) { req.target = "http://127.0.0.1:1" },
      onComplete(done, req) { req.headers.set("x", "y") },
      onError(error, req) { return respond(599, error.code + " " + error.status) },
    }`),
  );
  const messages = await Promise.all(
    (["onResponse", "onOriginResponse", "onOriginRequest", "onRequest", "onComplete"] as const).map(
      async (phase) => (await sandbox.hook({ phase, response: "200\n" })).failure?.message,
    ),
  );
  assert.deepEqual(messages, [
    "TypeError: req.path cannot be changed in onResponse",
    "TypeError: res.status cannot be changed in onOriginResponse",
    "TypeError: req.upstream cannot be changed in onOriginRequest",
    "TypeError: req.target cannot be changed in onRequest; to rewrite the path, assign req.path",
    "TypeError: headers: x cannot be changed: the request is over in onComplete",
  ]);
  const answered = await sandbox.hook({ phase: "onError", extra: { error: { code: "NO_TARGET", status: 503, message: "" } } });
  assert.deepEqual(answered.effects[0]?.fields, [599, "content-type", "text/plain;charset=UTF-8", "NO_TARGET 503"]);
});

test("state, vars, secrets, params and client arrive, and changed state leaves", async () => {
  await using sandbox = await SandboxProcess.with({
    code: onRequest(`
      ctx.state.visits = (ctx.state.visits ?? 0) + 1;
      return respond(200, [ctx.vars.theme ?? null, ctx.secrets.key, ctx.secrets.other ?? null, req.params.id, ctx.client.address, ctx.now()]);
    `),
    context: 3,
    secrets: { key: "s3cret" },
  });
  const rules = [{ rule: 0, params: { id: "7" }, state: { visits: 4 } }];
  const done = await sandbox.hook({
    context: 3,
    rules,
    clockMs: 99,
    extra: { client: { address: "192.0.2.1", port: 5, scheme: "http", httpVersion: "1.1", country: "" } },
  });
  assert.deepEqual(done.effects[0], { kind: "STATE", rule: 0, fields: [`{"visits":5}`] });
  assert.equal(done.effects[1]?.fields.at(-1), `[null,"s3cret",null,"7","192.0.2.1",99]`);
});

test("text beyond Latin-1 and bodies of any bytes cross unharmed in both directions", async () => {
  await using sandbox = await SandboxProcess.with(
    onRequest(`ctx.log(req.query.get("q")); return respond(200, new Uint8Array([0, 255, 10, 13, 128]), { "x-sum": req.headers.get("x-raw").length })`),
  );
  const done = await sandbox.hook({ head: "GET http h /?q=%E2%9C%93%F0%9F%90%98", headers: ["x-raw:\u00e4\u00ff"] });
  assert.deepEqual(done.effects.find(({ kind }) => kind === "LOG")?.fields, ["info", "✓🐘"]);
  assert.deepEqual(done.effects.find(({ kind }) => kind === "RESPOND")?.fields, [200, "x-sum", "2", "\u0000\u00ff\n\r\u0080"]);
});

test("an answer to many hooks that is larger than a frame leaves as several", async () => {
  await using sandbox = await SandboxProcess.with(onRequest(`return respond(200, "x".repeat(1_000_000))`));
  const records = Array.from({ length: 40 }, () => sandbox.hookRecord());
  const before = sandbox.frames;
  sandbox.send(...records.map(({ record }) => record));
  for (const { call } of records) assert.equal((await sandbox.next("DONE", (word) => word.call === call)).outcome, "answer");
  assert.ok(sandbox.frames - before > 1);
});

test("hooks of a release that is not loaded are lost without guilt, others of the frame run", async () => {
  await using sandbox = await SandboxProcess.with(onRequest(""));
  const good = sandbox.hookRecord();
  const bad = sandbox.hookRecord({ release: 9 });
  sandbox.send(bad.record, good.record);
  assert.equal((await sandbox.next("LOST")).guilty, false);
  assert.equal((await sandbox.next("DONE")).call, good.call);
});

test("a ping is answered after everything that stood before it", async () => {
  await using sandbox = await SandboxProcess.with(onRequest(""));
  const { record } = sandbox.hookRecord();
  sandbox.send(record, "6;41;");
  await sandbox.next("PONG", ({ sequence }) => sequence === 41);
  assert.deepEqual(
    sandbox.left().map(({ is }) => is),
    ["DONE"],
  );
});
