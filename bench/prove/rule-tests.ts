/** `sluice test` in a project made by `sluice init`: a hundred rule tests in five files, each with a rule and a gateway of its own. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sluiceCommand } from "../load/checkout.ts";
import { figure } from "../load/results.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { makeFolder } from "./gateway.ts";

const RUNS = 7;
const LIMIT_MS = 3_000;
const FILES = 5;
const TESTS_PER_FILE = 20;

export const ruleTests: Claim = {
  name: "rule-tests",
  asked: "100 rule tests (5 files, each with its own gateway), from the command to its exit: ≤ 3 s, every time of 7",
  when: "always",
  measure,
};

function measure({ short, say }: Proof): Promise<Finding> {
  const folder = makeFolder();
  sluice("init", folder);
  for (let file = 0; file < FILES; file++) {
    const rules = join(folder, "rules", `part-${file}`);
    mkdirSync(rules);
    writeFileSync(join(rules, "rule.ts"), ruleText(file));
    writeFileSync(join(rules, "rule.test.ts"), testText(file));
  }
  const files = Array.from({ length: FILES }, (_, file) => join(folder, "rules", `part-${file}`, "rule.test.ts"));
  const tookMs: number[] = [];
  let passed = 0;
  for (let run = 0; run < (short ? 1 : RUNS); run++) {
    const startedMs = performance.now();
    const { pass } = JSON.parse(sluice("test", "--json", "--config", folder, ...files)) as { pass: number };
    tookMs.push(performance.now() - startedMs);
    passed = pass;
    say(`  ${pass} tests in ${tookMs.at(-1)!.toFixed(0)} ms`);
  }
  const { median, highest } = figure(tookMs);
  return Promise.resolve(
    judged(`${passed} tests passed; median ${median.toFixed(0)} ms, longest ${highest.toFixed(0)} ms of ${tookMs.length} runs`, [
      passed !== FILES * TESTS_PER_FILE && "not all ran",
      highest > LIMIT_MS && `longer than ${LIMIT_MS} ms`,
    ]),
  );
}

function sluice(...given: readonly string[]): string {
  const [program, ...args] = sluiceCommand(...given);
  const { status, stdout, stderr } = spawnSync(program!, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`sluice ${given[0]} failed: ${stdout}${stderr}`);
  return stdout;
}

/** Answers, changes both messages, keeps a value: what rules do most. */
function ruleText(file: number): string {
  return `import { defineRule, redirect, respond } from "sluice";

export default defineRule({
  async onRequest(req, ctx) {
    if (req.path === "/old") return redirect("/new");
    if (req.path === "/closed") return respond(403, "closed");
    if (req.path === "/count") return respond(200, String(await ctx.kv.increment("count")));
    req.headers.set("x-part", "${file}");
  },
  onResponse(res) {
    res.headers.set("x-content-type-options", "nosniff");
  },
});
`;
}

function testText(file: number): string {
  return `import { expect, gateway, test } from "sluice/testing";

const gw = await gateway({ rules: "./rule.ts", upstreams: { site: ({ target }) => \`page \${target}\` } });

for (let i = 0; i < ${TESTS_PER_FILE / 4}; i++) {
  test(\`passes page \${i}\`, async () => {
    const res = await gw.request(\`/page/\${i}\`);
    expect(res.text()).toBe(\`page /page/\${i}\`);
    expect(res.upstreamRequests[0]?.headers.get("x-part")).toBe("${file}");
    expect(res.headers.get("x-content-type-options")).toBe("nosniff");
  });
  test(\`redirects \${i}\`, async () => {
    expect((await gw.request("/old")).headers.get("location")).toBe("/new");
  });
  test(\`refuses \${i}\`, async () => {
    const res = await gw.request("/closed");
    expect(res.status).toBe(403);
    expect(res.upstreamRequests).toEqual([]);
  });
  test(\`counts \${i}\`, async () => {
    expect((await gw.request("/count")).text()).toBe(String(i + 1));
    expect(await gw.store.kv.get("count")).toBe(i + 1);
  });
}
`;
}
