import assert from "node:assert/strict";
import { test } from "node:test";
import { onlyProblem, Project } from "./project.ts";

/** Source → line, column, and what the sentence says. Every file is `rules/bad.ts`. */
const cases: Readonly<Record<string, { source: string; line: number; column: number; says: RegExp }>> = {
  "a syntax error": { source: "const a = 1\nexport default {{\n", line: 2, column: 17, says: /Expected/ },
  "an import of a Node module": {
    source: 'import { defineRule } from "sluice"\nimport fs from "node:fs"\nexport default defineRule({ onRequest() { fs.statSync("/") } })\n',
    line: 2,
    column: 16,
    says: /"node:fs" is a Node module/,
  },
  "an import of a Node module by its bare name": {
    source: 'import { readFile } from "fs/promises"\nexport default readFile\n',
    line: 1,
    column: 26,
    says: /"fs\/promises" is a Node module/,
  },
  "an import that is not there": { source: 'import x from "no-such-package"\nexport default x\n', line: 1, column: 15, says: /no-such-package/ },
  "no default export": { source: 'export const a = "rule"\n', line: 1, column: 1, says: /default export is undefined.*defineRule/ },
  "a default export that is no rule": {
    source: "const a = 1\nexport default { onRequest() {} }\n",
    line: 2,
    column: 1,
    says: /default export is .*defineRule/,
  },
  "a throw while it loads": {
    source:
      'import { defineRule } from "sluice"\nconst map: any = undefined\nconst first = map.first\nexport default defineRule({ onRequest() { return first } })\n',
    line: 3,
    column: 19,
    says: /undefined/,
  },
  "a loop while it loads": {
    source: 'import { defineRule } from "sluice"\nlet n = 0\nwhile (true) n++\nexport default defineRule({ onRequest() {} })\n',
    line: 3,
    column: 1,
    says: /did not finish/,
  },
  "an unknown hook": {
    source: 'import { defineRule } from "sluice"\nexport default defineRule({ onRequst() {} } as never)\n',
    line: 2,
    column: 16,
    says: /"onRequst".*did you mean "onRequest"/,
  },
  "a when that is no URLPattern": {
    source: 'import { defineRule } from "sluice"\nexport default defineRule({\n  when: { path: "/:x/:x" },\n  onRequest() {},\n})\n',
    line: 3,
    column: 18,
    says: /when\.path: found "\/:x\/:x", expected URLPattern syntax/,
  },
  "a secret that config does not name": {
    source: 'import { defineRule } from "sluice"\nexport default defineRule({ secrets: ["jwtkey"], onRequest() {} })\n',
    line: 2,
    column: 40,
    says: /secret "jwtkey" is not in config; did you mean "jwtKey"\?/,
  },
  "a secret that every object seems to have": {
    source: 'import { defineRule } from "sluice"\nexport default defineRule({ secrets: ["constructor"], onRequest() {} })\n',
    line: 2,
    column: 40,
    says: /secret "constructor" is not in config; config names jwtKey/,
  },
};

for (const [name, { source, line, column, says }] of Object.entries(cases)) {
  test(`${name} is refused with file, line, column and code frame`, async () => {
    await using project = await Project.open({ "rules/bad.ts": source }, { config: { secrets: { jwtKey: { env: "JWT_KEY" } } } });
    const problem = onlyProblem(await project.compile());
    assert.match(problem.text, says);
    assert.deepEqual([problem.file, problem.line, problem.column], ["rules/bad.ts", line, column], problem.text);
    const marked = problem.frame.split("\n").findIndex((row) => row.startsWith(`> ${line} | `) || row.startsWith(`>  ${line} | `));
    assert.ok(marked >= 0, problem.frame);
    const rows = problem.frame.split("\n");
    assert.equal(rows[marked + 1]!.indexOf("^") - rows[marked + 1]!.indexOf("|") - 2, column - 1, "the caret stands below the column");
    assert.doesNotMatch(JSON.stringify(problem), new RegExp(project.folder), "no path of the host");
    assert.doesNotMatch(JSON.stringify(problem), /value-of-the-secret/);
  });
}

test("a rule that was forged instead of made is refused, whatever it claims", async () => {
  const forged = 'export default { kind: "rule", when: [], hooks: { onRequest() {} }, order: "first", secrets: "abc", onFailure: "closed" }\n';
  await using project = await Project.open({ "rules/bad.ts": forged });
  assert.match(onlyProblem(await project.compile()).text, /defineRule did not make it/);
});

test("all broken rules are told at once, and one that is sound does not save them", async () => {
  await using project = await Project.open({
    "rules/a.ts": "throw new Error('first')\n",
    "rules/b.ts": 'import { defineRule } from "sluice"\nexport default defineRule({ onRequest() {} })\n',
    "rules/deep/c.ts": "export default 7\n",
  });
  const { release, problems } = await project.compile();
  assert.equal(release, null);
  assert.deepEqual(problems.map(({ file }) => file).sort(), ["rules/a.ts", "rules/deep/c.ts"]);
});

test("a module that kills the process that evaluates it is named", async () => {
  await using project = await Project.open({
    "rules/bomb.ts": 'const s = ("x".repeat(2 ** 28) + "y").split("")\nexport default s\n',
    "rules/sound.ts": 'import { defineRule } from "sluice"\nexport default defineRule({ onRequest() {} })\n',
  });
  const problem = onlyProblem(await project.compile());
  assert.equal(problem.file, "rules/bomb.ts");
});

test("more code than limits.releaseSize is refused with both sizes", async () => {
  const rule = `import { defineRule } from "sluice"\nconst text = ${JSON.stringify("x".repeat(4096))}\nexport default defineRule({ onRequest() { text.at(0) } })\n`;
  await using project = await Project.open({ "rules/big.ts": rule }, { config: { limits: { releaseSize: "4KiB" } } });
  assert.match(onlyProblem(await project.compile()).text, /takes \d+ bytes of code, limits\.releaseSize is 4096/);
});
