import assert from "node:assert/strict";
import { test } from "node:test";
import { onRequest, rule, SandboxProcess } from "./process-harness.ts";

test("what defineRule was given comes back with LOADED", async () => {
  await using sandbox = SandboxProcess.start();
  const loaded = await sandbox.load([
    rule(
      `{ when: { path: "/a/:id", method: ["GET"], not: { cookie: { staff: "yes" } } }, order: -3, secrets: ["b", "a"], onFailure: "open", onRequest() {}, async onComplete() {} }`,
    ),
    `import { fromFetchHandler } from "sluice"\nexport default fromFetchHandler({ fetch: () => new Response("hi") }, { when: { path: "/hi" } })`,
  ]);
  assert.deepEqual(loaded.json, {
    rules: [
      {
        order: -3,
        when: [{ path: "/a/:id", method: ["GET"], not: { cookie: { staff: "yes" } } }],
        phases: ["onRequest", "onComplete"],
        secrets: ["a", "b"],
        onFailure: "open",
        globals: [],
      },
      { order: 0, when: [{ path: "/hi" }], phases: ["onRequest"], secrets: [], onFailure: "closed", globals: [] },
    ],
  });
});

const BAD: Readonly<Record<string, { code: string; message: RegExp; stack?: RegExp }>> = {
  "a loop at the top level": { code: "for (;;);", message: /did not finish loading within (?:1000|3000) ms/ },
  "a loop in a getter of what is exported": { code: `export default { get kind() { for (;;); } }`, message: /did not finish loading/ },
  "endless microtasks": { code: `${rule("{}")}; (async () => { for (;;) await null })()`, message: /did not finish loading/ },
  "a throw at the top level": {
    code: `const nothing = null;\nnothing.x;`,
    message: /^TypeError: Cannot read properties of null/,
    stack: /at .*bad\/rule\.ts:\d+:\d+/,
  },
  "no default export": { code: "export const x = 1", message: /the default export is undefined/ },
  "a default export that is no rule": { code: "export default { onRequest() {} }", message: /the default export is an object; a rule made with defineRule/ },
  "an unknown hook": { code: rule(`{ onRequst() {} }`), message: /"onRequst" is not known here; did you mean "onRequest"\?/, stack: /bad\/rule\.ts/ },
  "a syntax error": { code: "((sluice) => {", message: /^SyntaxError/ },
  "a script that is no function": { code: "((sluice) => ({}))(1)", message: /the compiled rule is no function|default export is undefined/ },
  "a timer at the top level": {
    code: `setTimeout(() => {}, 1);
${rule("{}")}`,
    message: /setTimeout is only to be had within a hook/,
  },
  "randomness for keys at the top level": {
    code: `const key = crypto.randomUUID();
${rule("{}")}`,
    message: /crypto's randomness is only to be had within a hook/,
  },
  "a rejection nobody awaits": { code: `Promise.reject(new Error("early"));\n${rule("{}")}`, message: /early/ },
  "a forged description": { code: `export default { kind: "rule", hooks: {}, when: [{ toJSON() { throw new Error("forged") } }] }`, message: /forged/ },
};

for (const [name, { code, message, stack }] of Object.entries(BAD)) {
  test(`${name} is a located error, and the process goes on`, async () => {
    await using sandbox = SandboxProcess.start();
    const loaded = await sandbox.load([onRequest(""), { code, name: "bad/rule.ts" }]);
    assert.equal(loaded.ok, false);
    assert.equal(loaded.json.error?.rule, "bad/rule.ts");
    assert.match(loaded.json.error.message, message);
    if (stack) assert.match(loaded.json.error.stack, stack);
    assert.doesNotMatch(loaded.json.error.stack, /\/runtime\/|node_modules|file:|sluice:kernel/);
    assert.equal((await sandbox.load([onRequest("")])).ok, true);
    assert.equal((await sandbox.hook()).outcome, "next");
  });
}

test("lines logged while a module is evaluated leave with its first hook", async () => {
  await using sandbox = await SandboxProcess.with(`console.log("loading");\n${onRequest("")}`);
  assert.deepEqual((await sandbox.hook()).effects, [{ kind: "LOG", rule: 0, fields: ["info", "loading"] }]);
  assert.deepEqual((await sandbox.hook()).effects, []);
});

test("a release can be unloaded and its number used again", async () => {
  await using sandbox = await SandboxProcess.with(onRequest(`return respond(200, "old")`));
  sandbox.send("2;1;");
  sandbox.send(sandbox.hookRecord().record);
  assert.equal((await sandbox.next("LOST")).guilty, false);
  await sandbox.load([onRequest(`return respond(200, "new")`)]);
  assert.equal((await sandbox.hook()).effects[0]?.fields.at(-1), "new");
});
