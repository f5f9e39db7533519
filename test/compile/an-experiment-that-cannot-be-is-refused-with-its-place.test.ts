import assert from "node:assert/strict";
import { test } from "node:test";
import { createCompiler } from "../../runtime/compile/compile.ts";
import { onlyProblem, Project } from "./project.ts";

const experiment = (body: string): string => `import { cookie, defineExperiment, html } from "sluice"

export default defineExperiment({
  key: "hero",
${body}
})
`;
const REST = `  variants: { control: 50, bold: 50 },
  goals: { bought: { when: { method: "POST", path: "/checkout" } } },`;

/** Source of `rules/hero.ts` → line and column, and what the sentence says. */
const cases: Readonly<Record<string, { source: string; line: number; column: number; says: RegExp }>> = {
  "weights that do not add up": {
    source: experiment(`  when: { path: "/" },\n  variants: { control: 50, bold: 40 },\n  goals: { bought: { tracked: "conversion" } },`),
    line: 6,
    column: 3,
    says: /variants: weights that add up to 100 expected, found 50 \+ 40 = 90/,
  },
  "a weight that is none": {
    source: experiment(`  variants: { control: 50, "bold.er": -5 },\n  goals: { bought: { tracked: "conversion" } },`),
    line: 5,
    column: 39,
    says: /variants\.bold\.er: a weight above 0 expected, found -5/,
  },
  "a selector that cannot be read": {
    source: experiment(`${REST}\n  apply: {\n    bold: {\n      html: [html.setText("h1", "x"), html.remove("main a:hover > b")],\n    },\n  },`),
    line: 9,
    column: 58,
    says: /apply\.bold\.html\[1\]: the selector "main a:hover > b" at character 7: :hover/,
  },
  "a selector that stands elsewhere": {
    source: `import { html } from "sluice"\nconst edits = [\n  html.setText("h1[", "x"),\n]\n${experiment(`${REST}\n  apply: { bold: { html: edits } },`)}`,
    line: 3,
    column: 19,
    says: /the selector "h1\[" at character 3/,
  },
  "a primary goal that there is none of": {
    source: experiment(`${REST}\n  primary: "buoght" as "bought",`),
    line: 7,
    column: 12,
    says: /primary: "buoght" is not known here; did you mean "bought"/,
  },
  "changes of a variant that there is none of": {
    source: experiment(`${REST}\n  apply: { blod: { path: "/b" } } as object,`),
    line: 7,
    column: 3,
    says: /apply: "blod" is not known here; did you mean "bold"/,
  },
  "a header that no variant may change": {
    source: experiment(`${REST}\n  apply: { bold: {\n    path: "/b",\n    headers: { "content-length": "1" },\n  } },`),
    line: 9,
    column: 5,
    says: /apply\.bold\.headers: "content-length" is no header/,
  },
  "an upstream that config does not name": {
    source: experiment(`${REST}\n  apply: { bold: {\n    upstream: "stie",\n  } },`),
    line: 8,
    column: 15,
    says: /apply\.bold\.upstream: "stie" is not in config; did you mean "site"/,
  },
  "a goal's path that is no pattern": {
    source: experiment(`  variants: { control: 50, bold: 50 },\n  goals: { bought: { when: {\n    path: "/:x/:x",\n  } } },`),
    line: 7,
    column: 11,
    says: /goals\.bought\.when\.path: found "\/:x\/:x"/,
  },
  "a pre-period longer than anything is kept": {
    source: experiment(`  variants: { control: 50, bold: 50 },\n  goals: { spent: { tracked: "value" } },\n  prePeriod: "120d",`),
    line: 7,
    column: 14,
    says: /prePeriod: "1h" to "90d" expected, found "120d"/,
  },
  "a pre-period where no goal has a value": {
    source: experiment(`${REST}\n  prePeriod: "14d",`),
    line: 7,
    column: 14,
    says: /prePeriod: a goal with a value, which is what it is for, expected, found none/,
  },
  "guardrails beyond what is one": {
    source: experiment(`${REST}\n  guardrails: { latencyP95: { maxIncrease: "20" as "20%" } },`),
    line: 7,
    column: 44,
    says: /guardrails\.latencyP95\.maxIncrease: a share/,
  },
};

test("mistakes in a definition are refused with file, line, column and code frame", async () => {
  await using project = await Project.open({});
  await using compiler = createCompiler(project.config, { warm: true });
  for (const [name, { source, line, column, says }] of Object.entries(cases)) {
    await project.put("rules/hero.ts", source);
    const problem = onlyProblem(await compiler.rebuild());
    assert.match(problem.text, says, name);
    assert.deepEqual([problem.file, problem.line, problem.column], ["rules/hero.ts", line, column], `${name}: ${problem.text}\n${problem.frame}`);
    const rows = problem.frame.split("\n");
    const marked = rows.findIndex((row) => /^> +\d+ \|/.test(row));
    assert.equal(rows[marked + 1]!.indexOf("^") - rows[marked + 1]!.indexOf("|") - 2, column - 1, `${name}: the caret stands below the column`);
  }
});

const other = (key: string, selector: string, more = ""): string =>
  `import { defineExperiment, html } from "sluice"
export default defineExperiment({
  key: "${key}", variants: { control: 50, other: 50 }, goals: { bought: { tracked: "conversion" } },
  ${more}
  apply: { other: { html: [html.setText("${selector}", "x")] } },
})
`;
test("two experiments that edit the same elements are warned of, and compiled", async () => {
  await using project = await Project.open({ "rules/a.ts": other("a", "main > h1"), "rules/b.ts": other("b", "h1") });
  const { release, warnings = [] } = await project.compile();
  assert.equal(release?.rules.length, 2);
  assert.deepEqual(
    warnings.map(({ file, line, column }) => `${file}:${line}:${column}`),
    ["rules/b.ts:5:41"],
  );
  assert.match(warnings[0]!.text, /experiment "b" edits "h1", and experiment "a" edits elements that "main > h1" selects there on the same pages/);
  assert.match(warnings[0]!.frame, /> 5 \|/);
});

test("experiments of a layer that cannot share it are refused", async () => {
  await using project = await Project.open({
    "rules/a.ts": other("a", "h1", 'layer: { name: "l", from: "0%", to: "60%" },'),
    "rules/b.ts": other("b", "h1", 'layer: { name: "l", from: "50%", to: "100%" },'),
  });
  const problem = onlyProblem(await project.compile());
  assert.match(problem.text, /experiment "b": layer "l" is shared with experiment "a", and both take 0\.5 to 0\.6/);
  assert.deepEqual([problem.file, problem.line, problem.column], ["rules/b.ts", 4, 3]);
});

test("a goal that a rule tracks and no experiment has is refused", async () => {
  const rule = `import { defineRule } from "sluice"\nexport default defineRule({ onRequest(_req, ctx) { ctx.track("boght", 1) } })\n`;
  await using project = await Project.open({ "rules/a.ts": other("a", "h1"), "rules/track.ts": rule });
  const problem = onlyProblem(await project.compile());
  assert.match(problem.text, /ctx\.track: no experiment of this release has a tracked goal "boght"; did you mean "bought"/);
  assert.deepEqual([problem.file, problem.line, problem.column], ["rules/track.ts", 2, 63]);
  await project.put("rules/track.ts", rule.replace("boght", "bought"));
  assert.deepEqual((await project.compile()).problems, []);
});

test("who goes on with its counts as something else is warned, at its place, and is not when it counts anew", async () => {
  const definition = (html: string, path: string, version = 0): string =>
    `import { defineExperiment, html } from "sluice"
export default defineExperiment({
  key: "hero", bucketVersion: ${version},
  variants: { control: 50, bold: 50 },
  apply: { bold: { html: [html.setText("h1", "${html}")] } },
  goals: { bought: { when: { path: "${path}" } }, spent: { tracked: "value" } },
})`;
  await using project = await Project.open({ "rules/hero.ts": definition("a", "/a") });
  await using compiler = createCompiler(project.config);
  const serving = (await compiler.rebuild()).release!;
  const warned = async (text: string) => {
    await project.put("rules/hero.ts", text);
    return ((await compiler.rebuild(serving)).warnings ?? []).map(({ text: says, line, column }) => `${line}:${column} ${says.split(", and")[0]!}`);
  };
  assert.deepEqual(await warned(definition("b", "/b")), [
    '5:12 experiment "hero": variant bold changes something else than in the release that serves',
    '6:12 experiment "hero": goal bought is counted otherwise than in the release that serves',
  ]);
  assert.deepEqual(await warned(definition("b", "/b", 1)), []);
  assert.deepEqual(await warned(definition("a", "/a")), []);
  assert.deepEqual(await warned(definition("a", "/a").replace("bucketVersion: 0,", 'prePeriod: "14d",')), [], "no variant has made the past");
});

test("a changed experiment needs a new version; more traffic does not, nor does one that is new", async () => {
  const definition = (change: string): string => experiment(REST.replace("control: 50, bold: 50", change));
  await using project = await Project.open({ "rules/hero.ts": definition("control: 50, bold: 50") });
  await using compiler = createCompiler(project.config);
  const serving = (await compiler.rebuild()).release!;
  await project.put("rules/hero.ts", definition("control: 30, bold: 70"));
  assert.deepEqual((await compiler.rebuild()).problems, [], "nothing serves yet");
  const problem = onlyProblem(await compiler.rebuild(serving));
  assert.match(problem.text, /experiment "hero": variants was "control 0\.5, bold 0\.5" and is "control 0\.3, bold 0\.7".*raise bucketVersion above 0/);
  assert.deepEqual([problem.file, problem.line, problem.column], ["rules/hero.ts", 5, 3]);
  await project.put("rules/hero.ts", definition("control: 30, bold: 70").replace('key: "hero",', 'key: "hero", bucketVersion: 1,'));
  assert.deepEqual((await compiler.rebuild(serving)).problems, []);
  await project.put("rules/hero.ts", definition("control: 50, bold: 50").replace('key: "hero",', 'key: "hero", traffic: "20%",'));
  assert.deepEqual((await compiler.rebuild(serving)).problems, []);
});
