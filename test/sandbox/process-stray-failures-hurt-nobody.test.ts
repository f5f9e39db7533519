import assert from "node:assert/strict";
import { test } from "node:test";
import { onRequest, rule, SandboxProcess } from "./process-harness.ts";

test("a rejection that nobody awaited is told as STRAY, the hook is done all the same", async () => {
  await using sandbox = await SandboxProcess.with(onRequest(""), onRequest(`Promise.reject(new TypeError("nobody")); return respond(200, "done")`));
  const done = await sandbox.hook({ rules: [{ rule: 1 }] });
  assert.equal(done.outcome, "answer");
  const { rule: index, failure } = await sandbox.next("STRAY");
  assert.equal(index, 1);
  assert.equal(failure.message, "TypeError: nobody");
  assert.match(failure.stack, /rule1\.ts:\d+:\d+/);
  assert.doesNotMatch(failure.stack, /\/|file:|kernel|isolated/);
});

test("a batch with a stray rejection in its middle loses no answer", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ async onRequest(req) { if (req.query.has("stray")) Promise.reject(1); await null; return respond(200, req.url) } }`),
  );
  const records = Array.from({ length: 9 }, (_, n) => sandbox.hookRecord({ head: `GET http h /${n}${n % 3 === 0 ? "?stray" : ""}` }));
  sandbox.send(...records.map(({ record }) => record));
  for (const { call } of records) assert.equal((await sandbox.next("DONE", (word) => word.call === call)).outcome, "answer");
});

test("an error thrown in a timer is told as STRAY", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ async onRequest(req) { setTimeout(() => { throw new Error("in a timer") }, 1); await req.text() } }`),
  );
  sandbox.send(sandbox.hookRecord().record);
  const timer = await sandbox.next("CALL", ({ service }) => service === "timer");
  const body = await sandbox.next("CALL", ({ service }) => service === "requestBody");
  sandbox.reply(timer, {});
  assert.match((await sandbox.next("STRAY")).failure.message, /in a timer/);
  sandbox.reply(body, { bytes: "" });
  assert.equal((await sandbox.next("DONE")).outcome, "next");
});

const ODD: Readonly<Record<string, string>> = {
  undefined: "undefined",
  "a symbol": `Symbol("s")`,
  "a function": "() => {}",
  "a proxy": "new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 } })",
  "an error with odd members": `Object.assign(new Error("x"), { name: { toString() { throw 3 } } })`,
  "an object without prototype": "Object.create(null)",
  "a revoked proxy": "(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy })()",
};
for (const [name, value] of Object.entries(ODD)) {
  test(`throwing and dropping ${name} fails the hook and nothing else`, async () => {
    await using sandbox = await SandboxProcess.with(
      onRequest(`throw ${value}`),
      onRequest(`Promise.reject(${value})`),
      rule(`{ async onRequest() { throw ${value} } }`),
    );
    assert.equal((await sandbox.hook({ rules: [{ rule: 0 }] })).outcome, "failure");
    assert.equal((await sandbox.hook({ rules: [{ rule: 1 }] })).outcome, "next");
    assert.equal((await sandbox.hook({ rules: [{ rule: 2 }] })).outcome, "failure");
    assert.equal((await sandbox.next("STRAY")).rule, 1);
  });
}

test("a frame that is none ends the process with a line and exit code 70", async () => {
  await using sandbox = SandboxProcess.start();
  sandbox.send("no record");
  assert.deepEqual(await sandbox.exit, { code: 70, signal: null });
  assert.match(sandbox.stderr(), /^sandbox: .*no number at 0/);
});

test("the process ends when the pipe does", async () => {
  await using sandbox = await SandboxProcess.with(onRequest(""));
  sandbox.hangUp();
  assert.deepEqual(await sandbox.exit, { code: 0, signal: null });
});
