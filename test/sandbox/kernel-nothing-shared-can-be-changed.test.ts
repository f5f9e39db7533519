/** Empty `catch` blocks stand in the text of attacks: an attempt that throws has failed, as it should. What was reached is asserted outside. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { onRequest, rule, SandboxProcess } from "./process-harness.ts";

/** What `expression` gives in a hook. */
async function evaluate(...expressions: string[]): Promise<unknown[]> {
  await using sandbox = await SandboxProcess.with(
    ...expressions.map((expression) =>
      onRequest(
        `let value; try { value = (() => { ${expression.startsWith("{") ? expression.slice(1, -1) : `return (${expression})`} })() } catch (error) { value = error.name + ": " + error.message } return respond(200, { value })`,
      ),
    ),
  );
  const values: unknown[] = [];
  for (const index of expressions.keys()) {
    const done = await sandbox.hook({ rules: [{ rule: index }] });
    values.push((JSON.parse(String(done.effects.at(-1)?.fields.at(-1))) as { value: unknown }).value);
  }
  return values;
}

test("what could reach threads, timing, machine code or the host is not there", async () => {
  const names = [
    "WebAssembly",
    "SharedArrayBuffer",
    "Atomics",
    "WeakRef",
    "FinalizationRegistry",
    "process",
    "Buffer",
    "global",
    "XMLHttpRequest",
    "fetch",
    "ShadowRealm",
    "Deno",
    "Bun",
    "ivm",
    "gc",
  ];
  assert.deepEqual(
    await evaluate(...names.map((name) => `typeof ${name}`)),
    names.map(() => "undefined"),
  );
});

test("no code is made from strings, whichever constructor is found", async () => {
  const ways = [
    `eval("1")`,
    `(0, eval)("1")`,
    `Function("return 1")()`,
    `new Function("return 1")()`,
    `(() => {}).constructor("return 1")()`,
    `(async () => {}).constructor("return 1")`,
    `(function* () {}).constructor("yield 1")`,
    `(async function* () {}).constructor("yield 1")`,
    `Reflect.construct(Object.getPrototypeOf(function () {}).constructor, ["return 1"])`,
    `new (Object.getPrototypeOf(Object.getPrototypeOf(async () => {})).constructor)("return 1")`,
    `[].constructor.constructor("return 1")()`,
    `req.headers.get.constructor("return 1")()`,
    `Object.getPrototypeOf(ctx).now.constructor("return 1")()`,
    `class A extends Function {} ; new A("return 1")`.replace(/^/, "{").replace(/$/, "}"),
  ];
  for (const [index, value] of (await evaluate(...ways)).entries())
    assert.ok(/EvalError: .*code cannot be made from strings|not a constructor/.test(String(value)), `${ways[index]} gave ${String(value)}`);
  assert.match(String((await evaluate(`{ setTimeout("1") }`))[0]), /a function is expected/);
});

test("prototypes and globals stay as they were, for later requests and other rules", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ onRequest() {
      const attempts = [
        () => { Object.prototype.polluted = 1 }, () => { ({}).__proto__.polluted = 1 }, () => { Array.prototype.push = () => 0 }, () => { String.prototype.slice = () => "x" },
        () => { Object.defineProperty(Array.prototype, Symbol.iterator, { value: null }) }, () => { JSON.stringify = () => "{}" }, () => { Math.random = () => 4 }, () => { Math.max = () => 0 },
        () => { globalThis.URL = null }, () => { URL.prototype.toString = () => "u" }, () => { globalThis.polluted = 1 }, () => { console.log = null }, () => { Promise.prototype.then = null },
        () => { Promise.resolve = null }, () => { RegExp.prototype.exec = () => null }, () => { Object.setPrototypeOf(Object.prototype, null) }, () => { Object.setPrototypeOf(Array.prototype, { polluted: 1 }) },
        () => { Headers.prototype.get = () => "h" }, () => { Function.prototype.call = null }, () => { Error.prototype.name = "E" }, () => { Error.prepareStackTrace = () => "trace" }, () => { Error.stackTraceLimit = 0 },
        () => { Reflect.ownKeys = null }, () => { delete Map.prototype.get }, () => { Symbol.prototype.description = 1 }, () => { Date.now = () => 0 }, () => { Temporal.Now.instant = null }, () => { Intl.DateTimeFormat = null },
        () => { Object.getPrototypeOf([][Symbol.iterator]()).next = () => ({ done: true }) }, () => { Object.getPrototypeOf(function* () {}).prototype.next = null }, () => { Object.getPrototypeOf(Int8Array).prototype.set = null },
        () => { crypto.subtle.digest = null }, () => { Object.getPrototypeOf(crypto).randomUUID = () => "u" }, () => { ReadableStream.prototype.getReader = null }, () => { URLPattern.prototype.exec = null },
      ];
      for (const attempt of attempts) { try { attempt() } catch {} }
    } }`),
    onRequest(`
      const list = []; list.push("a");
      let stack; try { null.x } catch (error) { stack = error.stack }
      return respond(200, [
        typeof polluted, ({}).polluted, list[0], "abc".slice(1), [...[1, 2]].length, JSON.stringify({ a: 1 }), Math.random() < 1, Math.max(1, 2), String(new URL("http://h/")), typeof console.log,
        typeof Promise.prototype.then, /a/.exec("a")[0], Object.getPrototypeOf(Object.prototype), new Headers({ a: "b" }).get("a"), typeof Function.prototype.call, new Error().name, stack.split("\\n").length > 1,
        new Map([[1, 2]]).get(1), Date.now() > 0, [...(function* () { yield 1 })()].length, typeof crypto.subtle.digest, typeof Intl.DateTimeFormat, typeof Temporal.Now.instant, crypto.randomUUID().length,
      ]);
    `),
  );
  await sandbox.hook();
  const done = await sandbox.hook({ rules: [{ rule: 1 }] });
  assert.deepEqual(JSON.parse(String(done.effects[0]?.fields.at(-1))), [
    ...["undefined", null, "a", "bc", 2, `{"a":1}`, true, 2, "http://h/", "function"],
    ...["function", "a", null, "b", "function", "Error", true],
    ...[2, true, 1, "function", "function", "function", 36],
  ]);
});

test("every object that is reachable from the globals is frozen", async () => {
  const [loose] = await evaluate(`{
    const seen = new Set([globalThis]); const queue = []; const loose = [];
    const visit = (value, path) => { if ((typeof value !== "object" && typeof value !== "function") || value === null || seen.has(value)) return; seen.add(value); queue.push([value, path]) };
    for (const key of Reflect.ownKeys(globalThis)) visit(globalThis[key], String(key));
    for (const [sample, path] of [[(async () => {}), "async"], [(function* () {}).prototype, "generator"], [(async function* () {}).prototype, "asyncGenerator"], [new Map().entries(), "mapIterator"], ["".matchAll(/a/g), "matchAll"], [[].values().map((x) => x), "iteratorHelper"], [new Intl.Segmenter().segment("a"), "segments"]]) visit(Object.getPrototypeOf(sample), path);
    for (const object of [req, ctx, req.headers, req.query, ctx.auth]) visit(Object.getPrototypeOf(object), "facade");
    while (queue.length > 0) {
      const [value, path] = queue.pop();
      if (!Object.isFrozen(value) && path !== "Error") loose.push(path);
      visit(Object.getPrototypeOf(value), path + ".__proto__");
      for (const key of Reflect.ownKeys(value)) { const d = Object.getOwnPropertyDescriptor(value, key); visit(d.value, path + "." + String(key)); visit(d.get, path + ".get " + String(key)); visit(d.set, path + ".set " + String(key)) }
    }
    return loose;
  }`);
  assert.deepEqual(loose, []);
});

test("facades give no constructor away, and refuse a forged this", async () => {
  const values = await evaluate(
    `req.constructor === Object && ctx.constructor === Object && req.headers.constructor === Object`,
    `Object.getPrototypeOf(req.headers).get.call({}, "a")`,
    `Reflect.get(Object.getPrototypeOf(req), "method", {})`,
    `Object.keys(req).length + Object.keys(ctx).length + Reflect.ownKeys(req.headers).length`,
  );
  assert.equal(values[0], true);
  assert.match(String(values[1]), /^TypeError: Cannot read private member/);
  assert.match(String(values[2]), /^TypeError: Cannot read private member/);
  assert.equal(values[3], 0);
});

test("a facade kept beyond its hook changes nothing", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`(() => { let kept; return { onRequest(req, ctx) { if (kept === undefined) { kept = { req, ctx, headers: req.headers }; return }
      const said = []; for (const attempt of [() => kept.headers.set("x", "y"), () => { kept.req.path = "/z" }, () => kept.req.query.set("a", "b"), () => { kept.ctx.state = {} }, () => kept.ctx.waitUntil(null)]) { try { attempt(); said.push("did") } catch (error) { said.push(error.message) } }
      return respond(200, said) } } })()`),
  );
  await sandbox.hook();
  const done = await sandbox.hook();
  assert.deepEqual(
    JSON.parse(String(done.effects.at(-1)?.fields.at(-1))),
    Array.from({ length: 5 }, () => "onRequest is over: nothing can be changed any more"),
  );
  assert.equal(done.effects.length, 1);
});

test("a rule's secrets are not to be found from another rule's context", async () => {
  await using sandbox = await SandboxProcess.with(
    { code: rule(`{ onRequest(req, ctx) { try { globalThis.leak = ctx.secrets.key } catch {} ctx.state.kept = 1 } }`), context: 1, secrets: { key: "s3cret" } },
    { code: onRequest(`return respond(200, [typeof leak, Object.keys(ctx.secrets).length, ctx.secrets.key ?? null])`), context: 2, secrets: {} },
  );
  await sandbox.hook({ context: 1 });
  const done = await sandbox.hook({ context: 2, rules: [{ rule: 1 }] });
  assert.equal(done.effects[0]?.fields.at(-1), `["undefined",0,null]`);
});

test("vars are frozen, and secrets cannot be overwritten", async () => {
  await using sandbox = SandboxProcess.start();
  await sandbox.load(
    [
      onRequest(
        `try { ctx.vars.list.push(1) } catch {} try { ctx.vars.theme = "x" } catch {} try { ctx.secrets.a = "x" } catch {} return respond(200, [ctx.vars, ctx.secrets])`,
      ),
    ],
    { vars: { list: [], theme: "dark" } },
  );
  assert.equal((await sandbox.hook()).effects[0]?.fields.at(-1), `[{"list":[],"theme":"dark"},{}]`);
});
