import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import { onRequest, rule, SandboxProcess } from "./process-harness.ts";

test("subclasses, own toString and assignments over inherited members work as elsewhere", async () => {
  await using sandbox = await SandboxProcess.with(
    onRequest(`
      class Problem extends Error { constructor(message) { super(message); this.name = "Problem"; this.message = "about " + message; this.toString = () => "own" } }
      class Sub extends Problem {} Sub.prototype.name = "Sub";
      function Old() {} Old.prototype = Object.create(Error.prototype); Old.prototype.constructor = Old; Old.prototype.name = "Old"; Old.prototype.toString = function () { return "old" };
      function Plain() { this.constructor = "mine"; this.hasOwnProperty = "own" }
      const object = {}; object.toString = () => "o"; object.valueOf = () => 7; object.constructor = null; object.toLocaleString = 1;
      const list = []; list.toString = () => "l"; list.constructor = Array;
      const map = new Map(); map.toString = () => "m";
      const fn = () => 1; fn.toString = () => "f"; fn.call = 1; fn.apply = 2; fn.bind = 3; Object.defineProperty(fn, "name", { value: "named" });
      const date = new Date(0); date.toJSON = () => "d";
      const copy = Object.assign(Object.create({}), { toString: 1, constructor: 2 });
      class Collection extends Array { get first() { return this[0] } } class Dict extends Map { get(key) { return super.get(key) ?? "none" } }
      const err = new Error("a"); err.message = "b"; err.name = "C"; err.stack = "s"; err.code = 1;
      for (const key in object) if (key === "polluted") throw key;
      Error.stackTraceLimit = 5; Error.prepareStackTrace = undefined; Error.captureStackTrace?.(object);
      return respond(200, [
        String(new Problem("x")), new Problem("x") instanceof Error, new Problem("x").name, new Sub("y").name, String(new Old()), new Plain().constructor, String(object), object + 1, String(list), String(map),
        String(fn), fn.name, JSON.stringify(date), copy.toString, Collection.from([3]).first, new Dict().get("a"), [err.message, err.name, err.stack, err.code].join(), fn instanceof Function, Object.keys(object).join(),
      ]);
    `),
  );
  const done = await sandbox.hook();
  assert.equal(done.failure, null);
  assert.deepEqual(JSON.parse(String(done.effects[0]?.fields.at(-1))), [
    ...["own", true, "Problem", "Problem", "old", "mine", "o", 8, "l", "m"],
    ...["f", "named", `"d"`, 1, 3, "none", "b,C,s,1", true, "toString,valueOf,constructor,toLocaleString"],
  ]);
});

async function bundled(contents: string): Promise<string> {
  const result = await build({
    stdin: { contents, resolveDir: import.meta.dirname, loader: "ts" },
    bundle: true,
    write: false,
    format: "cjs",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["import"],
    external: ["sluice"],
    target: "es2024",
    logLevel: "silent",
  });
  return result.outputFiles[0]!.text;
}

test("zod checks bodies", async () => {
  const code = await bundled(`
    import { z } from "zod"; import { defineRule, respond } from "sluice"
    const Order = z.object({ id: z.string().min(2), amount: z.coerce.number().positive(), tags: z.array(z.string()).default([]), mail: z.email().optional() });
    export default defineRule({ async onRequest(req) { const order = Order.safeParse(await req.json()); return order.success ? respond(200, order.data) : respond(422, order.error.issues.map((issue) => issue.path.join("."))) } })`);
  // It keeps a registry on the global object, and so has a context of its own.
  await using sandbox = await SandboxProcess.with({ code, context: 1 });
  const answers: unknown[] = [];
  for (const body of [
    { id: "ab", amount: "3" },
    { id: "a", amount: -1, mail: "no" },
  ]) {
    sandbox.send(sandbox.hookRecord({ cpuMs: 500, context: 1 }).record);
    sandbox.reply(await sandbox.next("CALL"), { bytes: JSON.stringify(body) });
    answers.push((await sandbox.next("DONE")).effects.at(-1)?.fields.at(-1));
  }
  assert.deepEqual(answers, [`{"id":"ab","amount":3,"tags":[]}`, `["id","amount","mail"]`]);
});

test("an unmodified Hono app with middleware, cookies and validation answers", async () => {
  const code = await bundled(`
    import { Hono } from "hono"; import { getCookie, setCookie } from "hono/cookie"; import { HTTPException } from "hono/http-exception"; import { secureHeaders } from "hono/secure-headers"; import { fromFetchHandler } from "sluice"
    const app = new Hono(); app.use(secureHeaders());
    app.get("/hello/:name", (c) => { setCookie(c, "seen", "1", { path: "/" }); setCookie(c, "twice", "2"); return c.json({ hello: c.req.param("name"), seen: getCookie(c, "seen") ?? null, q: c.req.query("q") }) });
    app.post("/echo", async (c) => c.text((await c.req.parseBody()).field));
    app.get("/fail", () => { throw new HTTPException(418, { message: "teapot" }) });
    export default fromFetchHandler(app)`);
  await using sandbox = await SandboxProcess.with(code);
  const hello = await sandbox.hook({ head: "GET https shop.example.com /hello/ada?q=%C3%BC", headers: ["cookie:seen=yes"], cpuMs: 500 });
  const fields = hello.effects.at(-1)!.fields;
  assert.equal(fields[0], 200);
  assert.deepEqual(
    fields.filter((_, i) => fields[i - 1] === "set-cookie"),
    ["seen=1; Path=/", "twice=2; Path=/"],
  );
  assert.equal(fields.at(-1), `{"hello":"ada","seen":"yes","q":"\u00c3\u00bc"}`);
  assert.equal((await sandbox.hook({ head: "GET https h /fail", cpuMs: 500 })).effects.at(-1)?.fields[0], 418);
  sandbox.send(sandbox.hookRecord({ head: "POST https h /echo", headers: ["content-type:application/x-www-form-urlencoded"], cpuMs: 500 }).record);
  sandbox.reply(await sandbox.next("CALL"), { bytes: "field=a+b" });
  assert.equal((await sandbox.next("DONE")).effects.at(-1)?.fields.at(-1), "a b");
});

test("jose signs and verifies with the sandbox's crypto", async () => {
  const code = await bundled(`
    import { jwtVerify } from "jose"; import { defineRule, respond } from "sluice"
    const key = new TextEncoder().encode("0123456789abcdef0123456789abcdef");
    export default defineRule({ async onRequest(req) { try { const { payload } = await jwtVerify(req.headers.get("x-token"), key, { issuer: "me" }); return respond(200, payload.sub) } catch (error) { return respond(401, error.code) } } })`);
  const { SignJWT } = await import("jose");
  const token = await new SignJWT({ sub: "ada" })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuer("me")
    .sign(new TextEncoder().encode("0123456789abcdef0123456789abcdef"));
  await using sandbox = await SandboxProcess.with(code);
  const good = await sandbox.hook({ headers: [`x-token:${token}`], cpuMs: 500 });
  assert.equal(good.effects.at(-1)?.fields.at(-1), "ada");
  const bad = await sandbox.hook({ headers: [`x-token:${token.slice(0, -4)}AAAA`], cpuMs: 500 });
  assert.equal(bad.effects.at(-1)?.fields.at(-1), "ERR_JWS_SIGNATURE_VERIFICATION_FAILED");
});

test("globals that packages set while they load stay, later ones are refused", async () => {
  // What some packages do: a registry on the global object. The empty `catch` stands in the rule's text: that the late assignment throws is one of
  // the two sound outcomes, and `late` tells which.
  const code = `globalThis.__registry ??= { count: 0 };\n${rule(`{ onRequest() { __registry.count++; let late = "refused"; try { globalThis.__late = 1; late = typeof __late } catch {} return respond(200, [__registry.count, late]) } }`)}`;
  await using sandbox = await SandboxProcess.with({ code, context: 1 });
  await sandbox.hook({ context: 1 });
  assert.match(String((await sandbox.hook({ context: 1 })).effects[0]?.fields.at(-1)), /^\[2,"(refused|undefined)"\]$/);
});
