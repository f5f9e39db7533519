import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
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

test("the list of examples names each of them", () => {
  const list = readFileSync(join(examples, "README.md"), "utf8");
  const named = [...list.matchAll(/\]\(([a-z-]+)\/README\.md\)/g)].map(([, name]) => name ?? "");
  assert.deepEqual(named.filter((name) => name !== "shop").sort(), folders.map(({ name }) => name).sort());
});

test("every rule that is live in the demo is an example, as it stands", () => {
  for (const file of readdirSync(join(examples, "shop", "rules"))) {
    const name = file.replace(/\.ts$/, "");
    assert.equal(readFileSync(join(examples, "shop", "rules", file), "utf8"), `export { default } from "../../${name}/rule.ts";\n`);
    assert.ok(existsSync(join(examples, name, "rule.ts")), name);
  }
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
    execFile(process.execPath, args, { cwd: root, env: { ...env, SHOP_JWT_KEY: "for the tests" }, timeout: 240_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr });
    });
  });
  assert.equal(code, 0, output);
  assert.match(output, /^ℹ pass (?!0)\d+/m);
  assert.match(output, /^ℹ fail 0/m);
});
