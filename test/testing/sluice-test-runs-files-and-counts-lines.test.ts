import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { sluice } from "../e2e/sluice-command.ts";

const folder = mkdtempSync(path.join(tmpdir(), "sluice-test-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): void {
  mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
  writeFileSync(path.join(folder, name), text);
}

write("package.json", '{ "type": "module" }');
write("sluice.config.json", '{ "upstreams": { "site": { "targets": ["http://127.0.0.1:9"] } }, "rules": "./rules" }');
mkdirSync(path.join(folder, "node_modules", "shouting"), { recursive: true });
symlinkSync(path.join(import.meta.dirname, "../.."), path.join(folder, "node_modules", "sluice"));
write("node_modules/shouting/package.json", '{ "name": "shouting", "main": "index.js", "type": "module" }');
write("node_modules/shouting/index.js", "export function shout(text) {\n  if (text === '') return '';\n  return text.toUpperCase();\n}\n");
write(
  "rules/_words.ts",
  `/** Shared by rules. */
export function greet(name: string): string {
  return \`hello, \${name}<b>!</b>\`;
}
export function part(name: string): string {
  return \`bye, \${name}\`;
}
`,
);
write(
  "rules/door.ts",
  `import { defineRule, respond } from "sluice";
import { shout } from "shouting";
import { greet, part } from "./_words.ts";

export default defineRule({
  async onRequest(req, ctx) {
    if (req.path === "/leave") {
      const word = part("Ada");
      return respond(200, word);
    }
    if (req.path === "/throw") throw new Error("as asked");
    const seen = await ctx.kv.get("seen");
    if (seen !== null) return respond(200, "again");
    await ctx.kv.set("seen", true);
    const lengths = [1, 2].map((n) => n * 2);
    return respond(200, shout(greet(String(lengths.length))), { "content-type": "text/html" });
  },
  onResponse(res) {
    res.html.on("b", {
      element(element) {
        element.remove();
      },
    });
    res.html.on("hello", {
      element(element) {
        element.remove();
      },
    });
  },
});
`,
);
write("rules/untested.ts", `import { defineRule } from "sluice";\nexport default defineRule({\n  onRequest() {\n    return;\n  },\n});\n`);
write(
  "rules/door.test.ts",
  `import { describe, expect, gateway, test } from "sluice/testing";
const gw = await gateway({ rules: "./door.ts" });
describe("at the door", () => {
  test("greets", async () => {
    const res = await gw.request("/");
    expect(res.text()).toBe("HELLO, 2");
    expect(res.logs).toEqual([]);
  });
  test("fails with its line", async () => {
    expect((await gw.request("/throw")).hooks[0]?.failure ?? "").toMatch("door.ts:11:38");
  });
});
`,
);
write(
  "other/node.test.ts",
  `import { test } from "node:test";\nimport { gateway } from "sluice/testing";\nconst gw = await gateway({ rules: "../rules/untested.ts" });\ntest("by Node's own runner", async () => { if ((await gw.request("/")).status !== 200) throw new Error("no"); });\n`,
);
write(
  "broken/bad.test.ts",
  `import { expect, test } from "sluice/testing";
test("is wrong", () => expect(1).toBe(2));
test("rejects behind one's back", async () => { void Promise.reject(new Error("nobody awaits this")); await new Promise((done) => setTimeout(done, 200)); });
test("is right all the same", () => expect(1).toBe(1));
`,
);
write("broken/ends.test.ts", `import { test } from "sluice/testing";\ntest("ends the process", () => process.exit(3));\n`);
write("broken/late.test.ts", `import { expect, test } from "sluice/testing";\ntest("runs after one that ended the process", () => expect(1).toBe(1));\n`);

interface Report {
  readonly pass: number;
  readonly fail: number;
  readonly files: readonly { readonly file: string; readonly failure: string | null; readonly tests: readonly { name: string; failure: string | null }[] }[];
  readonly coverage?: {
    readonly percent: number;
    readonly files: readonly { file: string; lines: number; covered: number; uncovered: readonly (readonly [number, number])[] }[];
  };
}

async function run(...args: readonly string[]): Promise<{ code: number; text: string; report: Report }> {
  const { code, text } = await sluice(folder, ["test", "--json", ...args]);
  const line = text.split("\n").find((one) => one.startsWith("{")) ?? "{}";
  return { code, text, report: JSON.parse(line) as Report };
}

test("the lines of rules and of what they import are counted, also of rules without a test; those of packages are not", async () => {
  const { code, report, text } = await run("--coverage", "rules/door.test.ts");
  assert.equal(code, 0, text);
  assert.deepEqual(
    report.files[0]!.tests.map(({ name, failure }) => [name, failure]),
    [
      ["at the door › greets", null],
      ["at the door › fails with its line", null],
    ],
  );
  assert.deepEqual(
    report.coverage?.files.map(({ file, uncovered }) => [file, uncovered]),
    [
      ["rules/_words.ts", [[6, 6]]],
      [
        "rules/door.ts",
        [
          [8, 9],
          [13, 13],
          [26, 26],
        ],
      ],
      ["rules/untested.ts", [[2, 6]]],
    ],
  );
});

test("less than the threshold fails, with a table; enough does not; a file for Node's own runner counts as well", async () => {
  const low = await sluice(folder, ["test", "--coverage-threshold", "95%", "rules/door.test.ts", "other/node.test.ts"]);
  assert.equal(low.code, 1, low.text);
  assert.match(low.text, /^ℹ pass 3$/m);
  assert.match(low.text, /^rules\/door\.ts +\d+\/\d+ +\d+\.\d % +8-9 13 26$/m);
  assert.match(low.text, /^rules\/untested\.ts +2\/2 +100\.0 %$/m);
  assert.match(low.text, /the tests run \d+(?:\.\d)? % of the rules' lines, expected at least 95 %/);
  assert.equal((await run("--coverage-threshold", "50%", "rules/door.test.ts")).code, 0);
});

test("a failed test, a stray rejection and a process that ends fail their own file and no other", async () => {
  const { code, report, text } = await run("broken/bad.test.ts", "broken/ends.test.ts", "broken/late.test.ts");
  assert.equal(code, 1);
  const [bad, ends, late] = report.files;
  assert.deepEqual(
    bad!.tests.map(({ failure }) => failure?.split("\n")[0] ?? null),
    ["AssertionError [ERR_ASSERTION]: expected 1 to be 2", "Error: nobody awaits this", null],
  );
  assert.match(bad!.tests[0]!.failure!, /bad\.test\.ts:2:/);
  assert.match(ends!.failure ?? "", /ended \(3\)/, text);
  assert.deepEqual([late!.failure, late!.tests.length, late!.tests[0]?.failure], [null, 1, null]);
  assert.deepEqual([report.pass, report.fail], [2, 3]);
});

test("no file, or a file that is not there, is told", async () => {
  assert.match((await sluice(folder, ["test", "gone.test.ts"])).text, /no such test file: .*gone\.test\.ts/);
  assert.equal((await sluice(folder, ["test", "--coverage-threshold", "120%"])).code, 2);
});
