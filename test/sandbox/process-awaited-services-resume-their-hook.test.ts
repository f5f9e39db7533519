import assert from "node:assert/strict";
import { test } from "node:test";
import { rule, SandboxProcess } from "./process-harness.ts";

test("a service call leaves as CALL, numbered within its hook, and REPLY resumes the hook", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ async onRequest(req, ctx) {
      const [one, two] = await Promise.all([ctx.fetch("https://a.example/1"), ctx.fetch("https://a.example/2", { method: "POST", body: "é", headers: { "x-a": "b" } })]);
      return respond(200, [one.status, await one.text(), two.headers.get("x-r"), await two.json()]);
    } }`),
  );
  const { record } = sandbox.hookRecord();
  sandbox.send(record);
  const first = await sandbox.next("CALL", ({ callNo }) => callNo === 1);
  const second = await sandbox.next("CALL", ({ callNo }) => callNo === 2);
  assert.deepEqual(first.args, { url: "https://a.example/1", method: "GET", headers: [], body: null, redirect: "follow" });
  assert.equal(second.service, "fetch");
  assert.equal(second.args["body"], "\u00c3\u00a9");
  const result = { status: 200, url: "https://a.example/", redirected: false, headers: [["x-r", "yes"]], body: `{"ok":1}` };
  sandbox.reply(second, result);
  sandbox.reply(first, { ...result, status: 404, body: "\u00c3\u00a9" });
  const done = await sandbox.next("DONE");
  assert.equal(done.effects[0]?.fields.at(-1), `[404,"\u00c3\u00a9","yes",{"ok":1}]`);
});

test("a refused call rejects, which the rule may catch or fail by", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(
      `{ async onRequest(req, ctx) { try { await ctx.fetch("https://no.example") } catch (error) { return respond(502, error.name + ": " + error.message) } } }`,
    ),
    rule(`{ async onRequest(req, ctx) { await req.text() } }`),
  );
  sandbox.send(sandbox.hookRecord().record);
  sandbox.refuse(await sandbox.next("CALL"), "not allowed");
  assert.equal((await sandbox.next("DONE")).effects[0]?.fields.at(-1), "TypeError: fetch failed: not allowed");

  sandbox.send(sandbox.hookRecord({ rules: [{ rule: 1 }] }).record);
  const call = await sandbox.next("CALL");
  assert.deepEqual([call.service, call.rule], ["requestBody", 1]);
  sandbox.refuse(call, "body too large", "calls");
  const done = await sandbox.next("DONE");
  assert.deepEqual([done.failure?.kind, done.failure?.message], ["calls", "TypeError: body too large"]);
});

test("a body is asked for once, however many rules read it in however many ways", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ async onRequest(req) { req.headers.set("x-a", (await req.text()).length + ":" + (await req.json()).n) } }`),
    rule(`{ async onRequest(req) { req.headers.set("x-b", (await req.bytes()).length + ":" + (await req.arrayBuffer()).byteLength) } }`),
  );
  sandbox.send(sandbox.hookRecord({ rules: [{ rule: 0 }, { rule: 1 }] }).record);
  sandbox.reply(await sandbox.next("CALL"), { bytes: `{"n":"\u00c3\u00a9"}` });
  const done = await sandbox.next("DONE");
  // UTF-8, one unit a byte: field values hold bytes, and the rule's "é" is one of them.
  assert.deepEqual(
    done.effects.map(({ fields }) => fields[1]),
    ["9:\u00e9", "10:10"],
  );
  assert.deepEqual(sandbox.left(), []);
});

test("timers are the worker's: they fire by its reply, cleared ones never", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ async onRequest() {
      let fired = "";
      const cleared = setTimeout(() => { fired += "cleared" }, 5);
      clearTimeout(cleared);
      const value = await new Promise((resolve) => setTimeout(resolve, 20, "twenty"));
      return respond(200, fired + value);
    } }`),
  );
  sandbox.send(sandbox.hookRecord().record);
  const first = await sandbox.next("CALL");
  const second = await sandbox.next("CALL");
  assert.deepEqual([first.args, second.args], [{ ms: 5 }, { ms: 20 }]);
  sandbox.reply(first, {});
  sandbox.reply(second, {});
  assert.equal((await sandbox.next("DONE")).effects[0]?.fields.at(-1), "twenty");
});

test("an aborted fetch rejects at once, without waiting for the call", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(
      `{ async onRequest(req, ctx) { try { await ctx.fetch("https://slow.example", { signal: AbortSignal.timeout(50) }) } catch (error) { return respond(504, error.name) } } }`,
    ),
  );
  sandbox.send(sandbox.hookRecord().record);
  sandbox.reply(await sandbox.next("CALL", ({ service }) => service === "timer"), {});
  assert.equal((await sandbox.next("DONE")).effects[0]?.fields.at(-1), "TimeoutError");
});

test("waitUntil work goes on after the hook, and what it logs follows as TAIL", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ onRequest(req, ctx) {
      ctx.waitUntil((async () => { await ctx.fetch("https://a.example/log"); ctx.log("sent"); ctx.metric("sent", 2, { to: "a" }); try { req.headers.set("x", "y") } catch (error) { ctx.log(error.message) } })());
      ctx.waitUntil(Promise.reject(new Error("lost")));
    } }`),
  );
  sandbox.send(sandbox.hookRecord().record);
  const done = await sandbox.next("DONE");
  assert.deepEqual([done.tail, done.outcome], [true, "next"]);
  sandbox.reply(await sandbox.next("CALL"), { status: 200, url: "", redirected: false, headers: [], body: "" });
  const tail = await sandbox.next("TAIL");
  assert.deepEqual(
    tail.effects.map(({ kind, fields }) => [kind, fields].flat()),
    [
      ["LOG", "warn", "waitUntil: lost"],
      ["LOG", "info", "sent"],
      ["METRIC", "sent", "2", `{"to":"a"}`],
      ["LOG", "info", "onRequest is over: nothing can be changed any more"],
    ],
  );
});

test("a cancelled hook says no more, and a late reply finds nobody", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ async onRequest(req, ctx) { try { await ctx.fetch("https://a.example/") } finally { req.headers.set("x", "late") } } }`),
  );
  const { call, record } = sandbox.hookRecord();
  sandbox.send(record);
  const pending = await sandbox.next("CALL");
  sandbox.cancel(call);
  sandbox.reply(pending, {});
  // The next hook is answered, and nothing of the cancelled one came before it.
  const next = sandbox.hookRecord();
  sandbox.send(next.record);
  await sandbox.next("CALL", (word) => word.call === next.call);
  assert.deepEqual(sandbox.left(), []);
});

test("a hook that awaits lets others finish first", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ async onRequest(req, ctx) { if (req.query.has("wait")) await req.text(); return respond(200, req.url) } }`),
  );
  const waiting = sandbox.hookRecord({ head: "GET http h /?wait" });
  const quick = sandbox.hookRecord({ head: "GET http h /" });
  sandbox.send(waiting.record, quick.record);
  assert.equal((await sandbox.next("DONE")).call, quick.call);
  sandbox.reply(await sandbox.next("CALL"), { bytes: "" });
  assert.equal((await sandbox.next("DONE")).call, waiting.call);
});

test("calls beyond 256 open ones are refused", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ async onRequest(req, ctx) { await Promise.all(Array.from({ length: 10_000 }, () => ctx.fetch("https://a.example/"))) } }`),
  );
  // Its time is not what ends it, however busy the machine is.
  const done = await sandbox.hook({ cpuMs: 20_000 });
  assert.equal(done.outcome, "failure");
  assert.match(done.failure?.message ?? "", /256 calls/);
  assert.equal(sandbox.left().filter(({ is }) => is === "CALL").length, 256);
});
