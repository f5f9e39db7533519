import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..", "..");
const examples = join(root, "rules-examples");
const folders = readdirSync(examples, { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name !== "shop");

test("each example has its rule, its test and its README", () => {
  for (const { name } of folders) {
    for (const file of ["rule.ts", "rule.test.ts", "README.md"]) assert.ok(existsSync(join(examples, name, file)), `${name}/${file}`);
  }
});

test("every example is live in the demo", () => {
  assert.deepEqual(readdirSync(join(examples, "shop", "rules")).sort(), folders.map(({ name }) => `${name}.ts`).sort());
});

test("sluice test runs all of them, and they pass", async () => {
  // Node's runner marks the processes below it, and refuses to run tests in one that carries the mark.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const args = [
    join(root, "runtime", "cli", "sluice.js"),
    "test",
    "--config",
    join(examples, "shop"),
    ...folders.map(({ name }) => join(examples, name, "rule.test.ts")),
  ];
  const { code, output } = await new Promise<{ code: number; output: string }>((resolve) => {
    execFile(process.execPath, args, { cwd: root, env: { ...env, SHOP_JWT_KEY: "for the tests" }, timeout: 100_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr });
    });
  });
  assert.equal(code, 0, output);
  assert.match(output, /^ℹ pass (?!0)\d+/m);
  assert.match(output, /^ℹ fail 0/m);
});
