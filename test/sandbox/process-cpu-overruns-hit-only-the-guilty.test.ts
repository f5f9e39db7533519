import assert from "node:assert/strict";
import { test } from "node:test";
import { onRequest, rule, SandboxProcess } from "./process-harness.ts";

const LOOPS: Readonly<Record<string, string>> = {
  "an endless loop": onRequest("for (;;);"),
  "an endless loop after an await": rule("{ async onRequest() { await null; for (;;); } }"),
  "endless microtasks": onRequest("(async () => { for (;;) await null })()"),
  "endless promise recursion": onRequest("function next() { Promise.resolve().then(next) } next()"),
  "catastrophic backtracking": onRequest(`/^(a+)+$/.test("a".repeat(40) + "!")`),
  "a getter that never returns in what is returned": onRequest("return { get kind() { for (;;); } }"),
  "a proxy in what is returned": onRequest("return new Proxy({}, { get() { for (;;); } })"),
  "a toJSON that never returns": onRequest("ctx.state.x = { toJSON() { for (;;); } }"),
  "a thenable that never returns": onRequest("return { then() { for (;;); } }"),
  "an error whose message never comes": onRequest("throw Object.defineProperty(new Error(), 'message', { get() { for (;;); } })"),
};

for (const [name, code] of Object.entries(LOOPS)) {
  test(`${name} is cut off, judged by its CPU, and the isolate comes back`, async () => {
    await using sandbox = await SandboxProcess.with(code);
    const { call, record } = sandbox.hookRecord({ cpuMs: 20 });
    // On a busy machine a time-out may come before the CPU was used: then the hook is lost without guilt and tried again.
    for (let tries = 0; ; tries++) {
      sandbox.send(record);
      const lost = await sandbox.next("LOST");
      assert.equal(lost.call, call);
      assert.equal((await sandbox.next("ISOLATE_LOST")).reason, "timeout");
      assert.equal((await sandbox.next("LOADED")).ok, true);
      if (lost.guilty) {
        assert.equal(lost.failure?.kind, "cpu");
        break;
      }
      assert.ok(tries < 10, "never found guilty");
    }
  });
}

test("innocent hooks of the same frame are lost without guilt and can run again", async () => {
  await using sandbox = await SandboxProcess.with(onRequest(`if (req.query.has("loop")) for (;;); return respond(200, "fine")`));
  const innocent = Array.from({ length: 5 }, () => sandbox.hookRecord({ cpuMs: 20 }));
  const guilty = sandbox.hookRecord({ head: "GET http h /?loop", cpuMs: 20 });
  sandbox.send(...innocent.slice(0, 3).map(({ record }) => record), guilty.record, ...innocent.slice(3).map(({ record }) => record));
  await sandbox.next("LOADED");
  const lost = sandbox.left().filter((word) => word.is === "LOST");
  const done = sandbox.left().filter((word) => word.is === "DONE");
  assert.equal(lost.length + done.length, 6);
  assert.ok(lost.every((word) => word.call === guilty.call || !word.guilty));
  sandbox.send(...innocent.map(({ record }) => record));
  for (const { call } of innocent) assert.equal((await sandbox.next("DONE", (word) => word.call === call)).outcome, "answer");
});

test("hooks that wait for a service when the isolate is lost are lost without guilt", async () => {
  await using sandbox = await SandboxProcess.with(rule(`{ async onRequest(req, ctx) { if (req.query.has("loop")) for (;;); await req.text(); } }`));
  const waiting = sandbox.hookRecord();
  sandbox.send(waiting.record);
  await sandbox.next("CALL");
  const loop = sandbox.hookRecord({ head: "GET http h /?loop", cpuMs: 20 });
  sandbox.send(loop.record);
  assert.equal((await sandbox.next("LOST", ({ call }) => call === waiting.call)).guilty, false);
  await sandbox.next("LOST", ({ call }) => call === loop.call);
});

test("microtasks left behind by a synchronous hook are not blamed on the hooks after it", async () => {
  await using sandbox = await SandboxProcess.with(onRequest(`if (req.query.has("loop")) (async () => { for (;;) await null })(); return respond(200, "fine")`));
  const guilty = sandbox.hookRecord({ head: "GET http h /?loop", cpuMs: 20 });
  const innocent = Array.from({ length: 3 }, () => sandbox.hookRecord({ cpuMs: 20 }));
  const all = [guilty, ...innocent];
  sandbox.send(...all.map(({ record }) => record));
  await sandbox.next("LOADED");
  assert.ok(
    all.every(({ call }) => sandbox.left().some((word) => word.is === "LOST" && word.call === call && !word.guilty)),
    "nobody can be named yet",
  );
  // From then on one record is begun per entry, and the culprit shows.
  for (let tries = 0; tries < 10; tries++) {
    sandbox.send(guilty.record, ...innocent.map(({ record }) => record));
    const lost = await sandbox.next("LOST", ({ call }) => call === guilty.call);
    for (const { call } of innocent) {
      const word = await Promise.race([sandbox.next("DONE", (done) => done.call === call), sandbox.next("LOST", (other) => other.call === call)]);
      assert.ok(word.is === "DONE" || !word.guilty);
    }
    if (tries > 0 && lost.guilty) return;
  }
  assert.fail("never found guilty");
});

test("CPU is charged to the rule that used it", async () => {
  await using sandbox = await SandboxProcess.with(onRequest(""), onRequest("let x = 0; for (let i = 0; i < 1e6; i++) x += Math.sqrt(i); if (x < 0) throw x"));
  const total = [0, 0];
  for (let i = 0; i < 30; i++) {
    const { cpu } = await sandbox.hook({ rules: [{ rule: 0 }, { rule: 1 }] });
    total[0]! += cpu[0] ?? 0;
    total[1]! += cpu[1] ?? 0;
  }
  assert.ok(total[1]! > 3 * total[0]!, `idle ${total[0]} µs, busy ${total[1]} µs`);
});

test("a rejection that says it timed out is a stray failure and costs nobody the isolate", async () => {
  await using sandbox = await SandboxProcess.with(onRequest(`Promise.reject(new Error("Script execution timed out.")); req.headers.set("x", "y")`));
  const done = await sandbox.hook();
  assert.deepEqual(done.effects, [{ kind: "SET_FIELD", rule: 0, fields: ["x", "y"] }]);
  assert.equal((await sandbox.next("STRAY")).failure.message, "Script execution timed out.");
  assert.deepEqual(sandbox.left(), []);
});

test("a rule that holds more memory than it may is named, and the isolate comes back", async () => {
  await using sandbox = SandboxProcess.start();
  await sandbox.load([onRequest(`globalThis.kept = 1`), onRequest(`let list = ""; const all = []; for (let i = 0; ; i++) all.push({ i, text: "x" + i })`)], {
    memoryBytes: 16 * 1024 * 1024,
  });
  const { call, record } = sandbox.hookRecord({ rules: [{ rule: 1 }], cpuMs: 2000 });
  sandbox.send(record);
  const lost = await sandbox.next("LOST");
  assert.deepEqual([lost.call, lost.guilty, lost.failure?.kind], [call, true, "memory"]);
  assert.equal((await sandbox.next("ISOLATE_LOST")).reason, "memory");
  assert.equal((await sandbox.next("LOADED")).ok, true);
});
