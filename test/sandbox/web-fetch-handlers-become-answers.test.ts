import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createWebContext } from "./web-context.ts";

const web = await createWebContext(`
  globalThis.reads = 0;
  globalThis.run = (fetch, method = "POST", limit = 1000) =>
    web.runFetchHandler({ fetch }, { method, url: "https://a.example/x", headers: [["x-a", "1"]], bytes: async () => { reads++; return new TextEncoder().encode("sent") } },
      { vars: { v: 1 }, secrets: { s: "2" }, waitUntil() {} }, limit);
  globalThis.call = (send, ...args) => web.fetchThrough(send, ...args);`);
after(() => web.dispose());

test("the body is read only when the handler asks, and not at all for GET", async () => {
  assert.deepEqual(
    await web.run(
      `await run(() => new Response("ok")); const before = reads; const answer = await run(async (request) => new Response(await request.clone().text() + await request.text())); return [before, reads, new TextDecoder().decode(answer.body)]`,
    ),
    [...[0, 1, "sentsent"]],
  );
  assert.deepEqual(
    await web.run(
      `reads = 0; const answer = await run(async (request) => new Response(String(request.body) + await request.text()), "GET"); return [reads, new TextDecoder().decode(answer.body)]`,
    ),
    [0, "null"],
  );
  assert.equal(
    await web.run(
      `const answer = await run(async (request) => { const { value } = await request.body.getReader().read(); return new Response(value) }); return new TextDecoder().decode(answer.body)`,
    ),
    "sent",
  );
});

test("framing fields stay behind, repeated fields stay repeated", async () => {
  const found = await web.run(`
    const headers = new Headers({ "content-length": "99", connection: "close", "transfer-encoding": "chunked", "x-b": "1" });
    headers.append("set-cookie", "a=1"); headers.append("set-cookie", "b=2"); headers.append("x-b", "2");
    const answer = await run(() => new Response(null, { status: 201, headers }));
    return [answer.kind, answer.status, answer.headers.map((pair) => [...pair]), answer.body]`);
  assert.deepEqual(found, [
    "respond",
    201,
    [
      ["x-b", "1"],
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["x-b", "2"],
    ],
    null,
  ]);
});

test("a throw rejects, and carries on only after passThroughOnException", async () => {
  const found = await web.run(`
    const rejected = await run(() => { throw new RangeError("why") }).catch((error) => error.message);
    const passed = await run(async (request, env, context) => { context.passThroughOnException(); throw new Error("why") });
    const wrong = await run(() => "text").catch((error) => error instanceof TypeError);
    const env = await run((request, env) => Response.json(env)).then((answer) => new TextDecoder().decode(answer.body));
    return [rejected, passed.kind, wrong, env]`);
  assert.deepEqual(found, ["why", "next", true, '{"v":1,"s":"2"}']);
});

test("an answer above the limit is refused, an endless stream too", async () => {
  const found = await web.run(`
    const endless = () => new Response(new ReadableStream({ pull(controller) { controller.enqueue(new Uint8Array(600)) } }));
    return Promise.all([run(() => new Response("x".repeat(1001))), run(endless)].map((work) => work.then(() => "passed", (error) => error.message)))`);
  assert.deepEqual(found, ["a body of at most 1000 bytes is expected", "a body of at most 1000 bytes is expected"]);
});

test("fetch turns web arguments into one call and its result into a Response", async () => {
  const found = (await web.run(`
    const calls = [];
    const send = async (call) => { calls.push(call); return { status: 200, url: "https://b.example/", redirected: true, headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x", "y"]], body: "\\xc3\\xa4" } };
    const response = await call(send, "https://b.example", { method: "POST", body: "ü", headers: { "X-A": "b" }, redirect: "manual" });
    let frozen; try { response.headers.set("x", "z") } catch (error) { frozen = error instanceof TypeError }
    await call(send, new Request("https://b.example/2", { headers: { a: "b" } }));
    return [calls, response.status, response.ok, response.url, response.redirected, response.headers.getSetCookie(), frozen, await response.text()]`)) as unknown[];
  assert.deepEqual(found, [
    [
      {
        url: "https://b.example/",
        method: "POST",
        headers: [
          ["content-type", "text/plain;charset=UTF-8"],
          ["x-a", "b"],
        ],
        body: "\xc3\xbc",
        redirect: "manual",
      },
      { url: "https://b.example/2", method: "GET", headers: [["a", "b"]], body: null, redirect: "follow" },
    ],
    ...[200, true, "https://b.example/", true, ["a=1", "b=2"], true, "ä"],
  ]);
});

test("fetch rejects with a TypeError when it failed, and with the signal's reason when aborted", async () => {
  await web.run(`
    globalThis.failed = call(async () => { throw new Error("SERVICE_REFUSED") }, "https://b.example/").catch((error) => [error instanceof TypeError, error.cause.message]);
    globalThis.timedOut = call(() => new Promise(() => {}), "https://b.example/", { signal: AbortSignal.timeout(10) }).catch((error) => error.name);
    globalThis.aborted = call(() => { throw new Error("never called") }, "https://b.example/", { signal: AbortSignal.abort("early") }).catch((error) => error);
    globalThis.relative = call(() => {}, "/x").catch((error) => error instanceof TypeError);`);
  web.advance(10);
  assert.deepEqual(await web.run("return Promise.all([failed, timedOut, aborted, relative])"), [[true, "SERVICE_REFUSED"], "TimeoutError", "early", true]);
});
