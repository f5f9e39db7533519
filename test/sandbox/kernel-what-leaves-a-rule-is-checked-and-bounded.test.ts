import assert from "node:assert/strict";
import { test } from "node:test";
import { onRequest, rule, SandboxProcess } from "./process-harness.ts";

test("names and values that could break a header are refused at once, in the rule's own line", async () => {
  const bad: [name: string, value: string][] = [
    [`"x\\r\\ny"`, `"a"`],
    [`"x y"`, `"a"`],
    [`""`, `"a"`],
    [`"x:"`, `"a"`],
    [`"\\u0130"`, `"a"`],
    [`Symbol("x")`, `"a"`],
    [`"x"`, `"a\\r\\nb: c"`],
    [`"x"`, `"a\\nb"`],
    [`"x"`, `"a\\0"`],
    [`"x"`, `"\\u010d\\u010a"`],
    [`"x"`, `"\\x7f"`],
    [`"content-length"`, `"1"`],
    [`"Transfer-Encoding"`, `"chunked"`],
    [`"Connection"`, `"close"`],
    [`"host"`, `"other"`],
  ];
  await using sandbox = await SandboxProcess.with(
    ...bad.flatMap(([name, value]) => [onRequest(`req.headers.set(${name}, ${value})`), onRequest(`return respond(200, "", [[${name}, ${value}]])`)]),
  );
  for (const [index, [name, value]] of bad.entries()) {
    const { failure, effects } = await sandbox.hook({ rules: [{ rule: 2 * index }] });
    assert.match(failure?.message ?? "", /^TypeError: headers: /, `${name}: ${value}`);
    assert.match(failure?.stack ?? "", /rule\d+\.ts:\d+:\d+/);
    assert.deepEqual(effects, []);
    const answer = await sandbox.hook({ rules: [{ rule: 2 * index + 1 }] });
    // Framing fields in an answer are dropped: the gateway writes its own.
    assert.ok(
      answer.failure !== null || ["content-length", "transfer-encoding", "connection", "host"].includes(name.slice(1, -1).toLowerCase()),
      `${name}: ${value}`,
    );
  }
});

test("hand-made answers are checked like any stranger's", async () => {
  const bad = [
    `{ kind: "respond", status: 99, headers: [], body: null }`,
    `{ kind: "respond", status: "200", headers: [], body: null }`,
    `{ kind: "respond", status: 200, headers: [["a", "b\\r\\nc: d"]], body: null }`,
    `{ kind: "respond", status: 200, headers: { a: "b" }, body: null }`,
    `{ kind: "respond", status: 200, headers: new Array(1e6).fill(["a", "b"]), body: null }`,
    `{ kind: "respond", status: 200, headers: new Proxy([], { get: (list, key) => key === "length" ? 1e9 : ["a", "b"] }), body: null }`,
    `{ kind: "respond", status: 200, headers: [], body: Symbol("x") }`,
    `{ kind: "fetch" }`,
    `{ kind: "unknown" }`,
    `"text"`,
    `42`,
    `() => {}`,
    `new Response("x")`,
  ];
  await using sandbox = await SandboxProcess.with(...bad.map((value) => onRequest(`return ${value}`)));
  for (const [index, value] of bad.entries()) assert.equal((await sandbox.hook({ rules: [{ rule: index }] })).outcome, "failure", value);
});

test("a hook that may not answer fails when it does", async () => {
  await using sandbox = await SandboxProcess.with(rule(`{ onResponse() { return respond(200) } }`));
  assert.match((await sandbox.hook({ phase: "onResponse", response: "200\n" })).failure?.message ?? "", /onResponse cannot answer/);
});

const TOO_MUCH: Readonly<Record<string, string>> = {
  "an answer": `return respond(200, "x".repeat(17e6))`,
  "a state": `ctx.state.x = "x".repeat(2_000_000)`,
  "a header": `req.headers.set("x", "x".repeat(2_000_000))`,
  "many headers": `for (let i = 0; i < 100_000; i++) req.headers.append("x" + i, "value")`,
  "a path": `req.path = "/" + "x".repeat(2_000_000)`,
  metrics: `for (let i = 0; i < 1000; i++) ctx.metric("m" + i)`,
};
for (const [name, body] of Object.entries(TOO_MUCH)) {
  test(`${name} beyond its bound is a failure of kind effect`, async () => {
    await using sandbox = await SandboxProcess.with(onRequest(body));
    const done = await sandbox.hook({ cpuMs: 2000 });
    assert.equal(done.failure?.kind, "effect");
    assert.ok(JSON.stringify(done).length < 100_000);
  });
}

test("bodies beyond their bound are failures of kind effect, one set twice is not", async () => {
  const onResponse = (body: string): string => rule(`{ onResponse(res) { ${body} } }`);
  await using sandbox = await SandboxProcess.with(
    onResponse(`res.setBody("x".repeat(17_000_000))`),
    onResponse(`for (;;) res.setBody("x".repeat(900_000))`),
    onResponse(`res.setBody("x".repeat(900_000)); res.setBody("y".repeat(900_000))`),
  );
  const outcomes: unknown[] = [];
  for (let index = 0; index < 3; index++)
    outcomes.push((await sandbox.hook({ phase: "onResponse", cpuMs: 1000, response: "200\n", rules: [{ rule: index }] })).failure?.kind ?? "well");
  assert.deepEqual(outcomes, ["effect", "effect", "well"]);
});

test("ten million log lines are cut off, and the number dropped is said", async () => {
  await using sandbox = await SandboxProcess.with(onRequest(`for (let i = 0; i < 1e6; i++) console.log("line"); console.error("x".repeat(1e6))`));
  const { effects } = await sandbox.hook({ cpuMs: 2000 });
  assert.equal(effects.length, 201);
  assert.deepEqual(effects[0]?.fields, ["info", "line"]);
  assert.match(String(effects.at(-1)?.fields[1]), /^999801 more lines were dropped/);
});

test("any value can be logged", async () => {
  await using sandbox = await SandboxProcess.with(
    onRequest(
      `const circle = {}; circle.self = circle; ctx.log.debug("a", 1, { b: [2n] }, circle, null, undefined, Symbol("s"), () => {}, 3n); console.warn(new TypeError("bad")); console.log(new Map([[1, 2]]), [1, "two"])`,
    ),
  );
  const { effects } = await sandbox.hook();
  assert.deepEqual(effects[0]?.fields, ["debug", `a 1 [an object without JSON] [an object without JSON] null undefined Symbol(s) [function] 3`]);
  assert.match(String(effects[1]?.fields[1]), /^TypeError: bad\n\s+at .*rule0\.ts/);
  assert.deepEqual(effects[2]?.fields, ["info", `{} [1,"two"]`]);
});

test("metrics name what is wrong with them", async () => {
  const bad = [
    `ctx.metric("a b")`,
    `ctx.metric("a", -1)`,
    `ctx.metric("a", NaN)`,
    `ctx.metric("a", 1, { "b c": "d" })`,
    `ctx.metric("a", 1, { b: "x".repeat(500) })`,
  ];
  await using sandbox = await SandboxProcess.with(...bad.map((body) => onRequest(body)), onRequest(`ctx.metric("a"); ctx.metric("b", 2.5, { c: "d" })`));
  for (const [index, body] of bad.entries()) assert.match((await sandbox.hook({ rules: [{ rule: index }] })).failure?.message ?? "", /ctx\.metric/, body);
  const good = await sandbox.hook({ rules: [{ rule: bad.length }] });
  assert.deepEqual(
    good.effects.map(({ fields }) => fields),
    [
      ["a", "1", "{}"],
      ["b", "2.5", `{"c":"d"}`],
    ],
  );
});

test("thenables, species and own constructors in results stay the rule's affair", async () => {
  await using sandbox = await SandboxProcess.with(
    onRequest(`return { then(resolve) { resolve(respond(201)) } }`),
    onRequest(`return { then: 1, kind: "next" }`),
    onRequest(`return { get then() { throw new Error("in then") } }`),
    onRequest(
      `const promise = Promise.resolve(respond(202)); promise.constructor = { [Symbol.species]: function () { throw new Error("species") } }; return promise`,
    ),
    onRequest(`class Odd extends Promise { static get [Symbol.species]() { throw new Error("species") } } return Odd.resolve(respond(203))`),
    onRequest(`return { then(resolve, reject) { resolve(respond(204)); reject(new Error("twice")); resolve(respond(205)); throw 1 } }`),
  );
  const seen: unknown[] = [];
  for (let index = 0; index < 6; index++) {
    const done = await sandbox.hook({ rules: [{ rule: index }] });
    seen.push(done.effects.at(-1)?.fields[0] ?? done.failure?.message ?? done.outcome);
  }
  assert.deepEqual(seen, [201, "next", "in then", "species", "species", 204]);
});

test("state that has no JSON fails the hook and says so", async () => {
  await using sandbox = await SandboxProcess.with(
    onRequest(`ctx.state.self = ctx.state`),
    onRequest(`ctx.state.big = 1n`),
    onRequest(`ctx.state = () => {}`),
    onRequest(`ctx.state = { toJSON() { return undefined } }`),
  );
  for (let index = 0; index < 4; index++) assert.equal((await sandbox.hook({ rules: [{ rule: index }] })).outcome, "failure");
});

test("stacks name the rule's file and nothing of the host or the kernel", async () => {
  await using sandbox = await SandboxProcess.with({
    name: "auth/login.ts",
    code: rule(`{ async onRequest(req) { function deep() { return [1].map(() => req.headers.set("bad name", "x")) } await null; deep() } }`),
  });
  const { failure } = await sandbox.hook();
  const lines = failure!.stack.split("\n");
  assert.match(lines[0]!, /^TypeError: headers: "bad name" is no header name/);
  assert.ok(lines.length >= 3);
  for (const line of lines.slice(1)) assert.match(line, /^ {4}at .*\(?auth\/login\.ts:\d+:\d+\)?$/);
});
