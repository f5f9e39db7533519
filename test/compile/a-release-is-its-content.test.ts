import assert from "node:assert/strict";
import { test } from "node:test";
import { createCompiler } from "../../runtime/compile/compile.ts";
import { EMPTY_RELEASE } from "../../runtime/compile/release.ts";
import { Project } from "./project.ts";

const RULE =
  'import { defineRule } from "sluice"\nimport { name } from "./_names.ts"\nexport default defineRule({ when: { path: "/a/*" }, onRequest(req) { req.headers.set("x-name", name) } })\n';
const PROJECT = {
  "rules/a.ts": RULE,
  "rules/_names.ts": 'import esm from "esm"\nimport cjs from "cjs"\nexport const name: string = esm + cjs.value\n',
  "node_modules/esm/package.json": '{"name":"esm","type":"module","exports":{"worker":"./worker.js","node":"./node.js"}}',
  "node_modules/esm/worker.js": 'export default "worker"',
  "node_modules/esm/node.js": 'import "node:fs"; export default "node"',
  "node_modules/cjs/package.json": '{"name":"cjs"}',
  "node_modules/cjs/index.js": "exports.value = process.env.NODE_ENV",
};

test("the same project gives the same id and the same code in any folder, and tells nothing of it", async () => {
  await using here = await Project.open(PROJECT);
  await using there = await Project.open(PROJECT, { below: "some/where/else" });
  const [one, two] = [await here.compile(), await there.compile()];
  assert.deepEqual(one.problems, []);
  assert.match(one.release!.id, /^[0-9a-f]{12}$/);
  assert.deepEqual(one, two);
  for (const folder of [here.folder, there.folder]) assert.ok(!JSON.stringify(one).includes(folder), "no path of the host");
  assert.match(one.release!.rules[0]!.code, /worker/, "the package's side for bare runtimes is taken");
});

test("another rule, another order of running, another when and another route are another release", async () => {
  const ids = new Set<string>();
  const rule = (members: string): string => `import { defineRule } from "sluice"\nexport default defineRule({ ${members} })\n`;
  for (const source of [
    rule("onRequest() {}"),
    rule("onResponse() {}"),
    rule("order: 1, onRequest() {}"),
    rule('when: { path: "/a" }, onRequest() {}'),
    rule('onFailure: "open", onRequest() {}'),
  ]) {
    await using project = await Project.open({ "rules/a.ts": source });
    ids.add((await project.compile()).release!.id);
  }
  await using renamed = await Project.open({ "rules/b.ts": rule("onRequest() {}") });
  ids.add((await renamed.compile()).release!.id);
  await using routed = await Project.open({ "rules/a.ts": rule("onRequest() {}") }, { config: { routes: [{ match: { path: "/x" }, upstream: "site" }] } });
  ids.add((await routed.compile()).release!.id);
  assert.equal(ids.size, 7);
});

test("rules run by order, ties by name; tests, helpers and declarations are no rules", async () => {
  const rule = (order: number): string => `import { defineRule } from "sluice"\nexport default defineRule({ order: ${order}, onRequest() {} })\n`;
  await using project = await Project.open({
    "rules/z.ts": rule(-1),
    "rules/b.ts": rule(0),
    "rules/a/deep.ts": rule(0),
    "rules/c.ts": rule(0.5),
    "rules/c.test.ts": "throw 1",
    "rules/_shared/d.ts": "throw 1",
    "rules/_e.ts": "throw 1",
    "rules/types.d.ts": "declare const x: string",
    "rules/readme.md": "#",
  });
  const { release, problems } = await project.compile();
  assert.deepEqual(problems, []);
  assert.deepEqual(
    release!.rules.map(({ manifest }) => manifest.name),
    ["z.ts", "a/deep.ts", "b.ts", "c.ts"],
  );
});

test("the manifest tells what the module is and what it may call", async () => {
  await using project = await Project.open(
    {
      "rules/login.ts": `import { defineRule } from "sluice"
        // forward and hmac are only named in this comment
        export default defineRule({
          when: [{ host: "shop.example.com", path: "/account/:page" }, { method: ["POST"], not: { cookie: { staff: true } } }],
          order: 10, secrets: ["jwtKey"], onFailure: "open",
          async onRequest(req, ctx) {
            await ctx.auth.jwt({ key: ctx.secrets.jwtKey })
            await ctx.fetch("https://auth.example.com:8443/check?x=1")
          },
          onResponse(res) { res.headers.delete("server") },
        })`,
    },
    { config: { secrets: { jwtKey: { env: "JWT_KEY" } } } },
  );
  const { release, problems, maps } = await project.compile();
  assert.deepEqual(problems, []);
  assert.deepEqual(release!.rules[0]!.manifest, {
    name: "login.ts",
    order: 10,
    when: [
      { host: "shop.example.com", path: "/account/:page" },
      { method: ["POST"], not: { cookie: { staff: true } } },
    ],
    phases: ["onRequest", "onResponse"],
    secrets: ["jwtKey"],
    onFailure: "open",
    services: ["fetch", "jwt"],
    hosts: ["https://auth.example.com:8443"],
    readsBody: false,
    stateless: true,
  });
  assert.deepEqual((JSON.parse(maps["login.ts"]!) as { sources: string[] }).sources, ["rules/login.ts"]);
  assert.ok(!JSON.stringify({ release, maps }).includes("value-of-the-secret"));
});

test("no rules make a release all the same", async () => {
  await using project = await Project.open({});
  const { release, problems } = await project.compile();
  assert.deepEqual([release!.rules, problems], [[], []]);
  assert.notEqual(release!.id, EMPTY_RELEASE.id, "the config is part of it");
});

test("a compiler that is kept sees each save, and comes back to the first id with the first text", async () => {
  await using project = await Project.open(PROJECT);
  await using compiler = createCompiler(project.config, { warm: true });
  const first = (await compiler.rebuild()).release!;
  await project.put("rules/_names.ts", 'export const name: string = "other"\n');
  const second = (await compiler.rebuild()).release!;
  assert.notEqual(second.id, first.id, "a helper is part of the rules that import it");
  await project.put("rules/a.ts", "export default {{");
  assert.equal((await compiler.rebuild()).release, null);
  await project.put("rules/a.ts", RULE);
  await project.put("rules/b.ts", RULE);
  assert.equal((await compiler.rebuild()).release!.rules.length, 2, "a new file is a new rule");
  await project.put("rules/_names.ts", PROJECT["rules/_names.ts"]);
  await project.put("rules/b.ts", RULE.replace("default", "const never ="));
  assert.equal((await compiler.rebuild()).problems.length, 1);
});
