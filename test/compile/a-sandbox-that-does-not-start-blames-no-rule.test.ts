import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { createDescriber } from "../../runtime/compile/describe.ts";
import { Project } from "./project.ts";

test("a sandbox process that cannot read what it needs is told as that, with the file, and no rule is run for it", async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "sluice-unborn-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const processFile = path.join(folder, "main.mjs");
  writeFileSync(processFile, 'import { readFileSync } from "node:fs"; readFileSync("/etc/passwd");\n');
  await using project = await Project.open({});
  const describer = createDescriber(project.config, false, processFile);
  t.after(() => describer.close());
  const described = await describer.describe(["a.ts", "b.ts"].map((name) => ({ name, file: name, code: "", map: "" })) as never);
  for (const name of ["a.ts", "b.ts"]) {
    const answer = described.get(name)!;
    assert.ok("problem" in answer);
    assert.match(answer.problem.message, /^no rule is to blame: the sandbox process that evaluates it does not start: Error: Access .* \(\/etc\/passwd\)$/);
  }
});
