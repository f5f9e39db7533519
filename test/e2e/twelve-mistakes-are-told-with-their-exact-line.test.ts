import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { gateway, get, tailing } from "../observe/tailed-gateway.ts";
import { sluice } from "./sluice-command.ts";

const timeout = 120_000;

const CONFIG = `import { defineConfig } from "sluice";

export default defineConfig({
  upstreams: { site: { targets: ["http://127.0.0.1:9"] } },
  rules: "./rules",
});
`;
const RULE = `import { defineRule } from "sluice";

export default defineRule({ onRequest() {} });
`;

interface Mistake {
  readonly name: string;
  readonly config?: string;
  readonly rule?: string;
  /** What is printed names this place … */
  readonly place: string;
  /** … and this. */
  readonly says: RegExp;
}

/** Found before anything runs. */
const BEFORE: readonly Mistake[] = [
  {
    name: "syntax",
    rule: `import { defineRule } from "sluice";

export default defineRule({
  onRequest() {
    const page = = 1;
  },
});
`,
    place: "rules/rule.ts:5:18",
    says: /Unexpected "="/,
  },
  {
    name: "type",
    rule: `import { defineRule } from "sluice";

export default defineRule({
  onRequest(req) {
    req.path = 1;
  },
});
`,
    place: "rules/rule.ts:5:5",
    says: /TS2322|not assignable/,
  },
  {
    name: "an import of what is not there",
    rule: `import { defineRule } from "sluice";
import { price } from "./prices.ts";

export default defineRule({ onRequest: () => void price });
`,
    place: "rules/rule.ts:2:23",
    says: /Could not resolve/,
  },
  {
    name: "a throw while the module is evaluated",
    rule: `import { defineRule } from "sluice";

const pages: string[] = [];
const first = pages[0]!.length;

export default defineRule({ onRequest: () => void first });
`,
    place: "rules/rule.ts:4:25",
    says: /Cannot read properties of undefined/,
  },
  {
    name: "config",
    config: `import { defineConfig } from "sluice";

export default defineConfig({
  upstreams: { site: { target: ["http://127.0.0.1:9"] } },
  rules: "./rules",
} as never);
`,
    place: "upstreams.site.target",
    says: /did you mean "targets"\?/,
  },
  {
    name: "config that is no TypeScript",
    config: `import { defineConfig } from "sluice";

export default defineConfig({
  upstreams: { site: { targets: ["http://127.0.0.1:9"] } }
  rules: "./rules",
});
`,
    place: "sluice.config.ts:5:3",
    says: /Expected/,
  },
];

for (const { name, config = CONFIG, rule = RULE, place, says } of BEFORE) {
  test(`before it runs: ${name}`, { timeout }, async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), "sluice-mistake-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    // With the compiler options that a project begins with.
    assert.equal((await sluice(folder, ["init"])).code, 0);
    rmSync(path.join(folder, "rules"), { recursive: true });
    mkdirSync(path.join(folder, "rules"));
    writeFileSync(path.join(folder, "sluice.config.ts"), config);
    writeFileSync(path.join(folder, "rules/rule.ts"), rule);
    const { code, text } = await sluice(folder, ["check"]);
    assert.equal(code, 1, text);
    assert.ok(text.includes(place), text);
    assert.match(text, says);
    assertNoHostPath(text, folder);
  });
}

const rule = (at: string, hook: string): string => `import { defineRule, respond } from "sluice";

export default defineRule({
  when: { path: "/${at}" },
  ${hook}
});
`;

/** Found when a request comes. */
const AT_RUN: readonly (Mistake & { readonly kind: string })[] = [
  {
    name: "throw",
    rule: rule("throw", `onRequest() {\n    const user = null as unknown as { name: string };\n    return respond(200, user.name);\n  },`),
    place: "rules/throw.ts:7:30",
    kind: "threw",
    says: /reading 'name'/,
  },
  {
    name: "async",
    rule: rule("async", `async onRequest(req) {\n    await new Promise((resolve) => setTimeout(resolve, 1));\n    throw new RangeError("late");\n  },`),
    place: "rules/async.ts:7:11",
    kind: "threw",
    says: /RangeError: late/,
  },
  {
    name: "time-out",
    rule: rule("time-out", `onRequest() {\n    for (;;);\n  },`),
    place: "rules/time-out.ts:5:3",
    kind: "cpu",
    says: /CPU|on a core/,
  },
  {
    name: "never",
    rule: rule("never", `async onRequest() {\n    await new Promise(() => undefined);\n  },`),
    place: "rules/never.ts:5:9",
    kind: "wall",
    says: /longer than/,
  },
  {
    name: "memory",
    rule: rule("memory", `onRequest() {\n    const all: string[][] = [];\n    for (;;) all.push(new Array<string>(1_000_000).fill("x"));\n  },`),
    place: "rules/memory.ts:5:3",
    kind: "memory",
    says: /memory/i,
  },
  {
    name: "header",
    rule: rule("header", `onRequest(req) {\n    req.headers.set("x-page", "one\\r\\ntwo");\n  },`),
    place: "rules/header.ts:6:17",
    kind: "threw",
    says: /x-page/,
  },
];

test("while it runs: throw, async throw, endless loop, endless wait, memory, a header that cannot be", { timeout }, async (t) => {
  const served = await gateway(t, {
    config: { upstreams: { site: { targets: ["http://127.0.0.1:9"] } }, limits: { ruleWall: "1s", ruleCpu: "200ms" } },
    rules: Object.fromEntries(AT_RUN.map((mistake) => [`${mistake.name}.ts`, mistake.rule!])),
  });
  const live = await tailing(t, [served], "--errors");
  for (const { name, place, kind, says } of AT_RUN) {
    const answer = await get(served.port, `/${name}`);
    const exception = await live.event(({ id, type }) => id === answer.id && type === "exception");
    assert.match(String(exception["stack"]), says);
    const [first] = /rules\/\S+?:\d+:\d+/.exec(String(exception["stack"])) ?? [];
    assert.deepEqual([name, first, exception["kind"]], [name, place, kind]);
    const exchange = await live.event(({ id, type }) => id === answer.id && type === "exchange");
    assert.ok(String(exchange["detail"]).includes(place), String(exchange["detail"]));
    assertNoHostPath(answer.text, served.folder);
  }
  assertNoHostPath(live.running.text(), served.folder);
});

function assertNoHostPath(text: string, folder: string): void {
  const checkout = path.resolve(import.meta.dirname, "../..");
  for (const host of [folder, checkout, tmpdir() + path.sep, "file://", "node:internal"]) assert.ok(!text.includes(host), `${host} in\n${text}`);
}
