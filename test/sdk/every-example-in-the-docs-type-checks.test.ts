import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";

const root = path.join(import.meta.dirname, "../..");
const sdk = path.join(root, "sdk");

interface Example {
  /** `file.line`, to find it again. */
  readonly name: string;
  readonly code: string;
}

/** Every `@example` block of one file, without the comment's stars. */
function examplesOf(file: string): Example[] {
  const examples: Example[] = [];
  let code: string[] | null = null;
  let name = "";
  const lines = fs.readFileSync(path.join(sdk, file), "utf8").split("\n");
  for (const [index, line] of lines.entries()) {
    const text = /^\s*\* ?(?!\/)(.*)$/.exec(line)?.[1];
    if (text === undefined || text.startsWith("@")) {
      if (code !== null) examples.push({ name, code: code.join("\n") });
      code = null;
      name = `${path.basename(file, ".ts")}.${index + 1}`;
      if (text === "@example") code = [];
    } else code?.push(text);
  }
  return examples;
}

test("all @example blocks of the SDK type-check with the tsconfig that rules get, and there are many", () => {
  const examples = fs
    .readdirSync(sdk)
    .filter((file) => file.endsWith(".ts"))
    .flatMap(examplesOf);
  assert.ok(examples.length >= 20, `${examples.length} examples`);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sluice-examples-"));
  try {
    for (const { name, code } of examples) fs.writeFileSync(path.join(folder, `${name}.ts`), `${code}\nexport {}\n`);
    const compilerOptions = {
      ...{
        target: "es2024",
        lib: ["es2024", "webworker", "webworker.iterable"],
        types: [],
        module: "esnext",
        moduleResolution: "bundler",
        strict: true,
        noEmit: true,
        skipLibCheck: true,
      },
      ...{ allowImportingTsExtensions: true, paths: { sluice: [path.join(sdk, "index.ts")], "sluice/testing": [path.join(sdk, "testing.ts")] } },
    };
    fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
    const tsc = path.join(root, "node_modules/typescript/bin/tsc");
    const { stdout, error } = spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8", timeout: 60_000 });
    assert.equal(error, undefined);
    assert.equal(stdout, "");
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
