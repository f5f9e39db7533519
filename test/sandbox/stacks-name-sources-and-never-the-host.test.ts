import assert from "node:assert/strict";
import { test } from "node:test";
import { transformSync } from "esbuild";
import { StackMapper } from "../../runtime/sandbox/stacks.ts";
import { releaseOf } from "./room.ts";

const source = `interface A { a: number }\n\nexport function fails(): never {\n  throw new Error("x")\n}\n`;
const { code, map } = transformSync(source, { loader: "ts", sourcemap: true, sourcefile: "rules/auth/login.ts" });
const line = code.split("\n").findIndex((text) => text.includes("throw")) + 1;
const column = code.split("\n")[line - 1]!.indexOf("new") + 1;

test("places in the bundle become places in TypeScript; every other frame is left out", () => {
  const mapper = new StackMapper(releaseOf({ name: "auth/login.ts", body: "" }), { "auth/login.ts": map });
  const stack = [
    "Error: x",
    "of two lines",
    `    at fails (auth/login.ts:${line}:${column})`,
    `    at async auth/login.ts:${line}:${column}`,
    "    at Object.<anonymous> (/home/me/gateway/runtime/sandbox/process/main.ts:1:2)",
    "    at node:internal/process/task_queues:105:5",
    "    at file:///srv/secret.js:1:1",
    "    at <anonymous>",
  ].join("\n");
  assert.equal(mapper.map(stack), ["Error: x", "of two lines", "    at fails (rules/auth/login.ts:4:9)", "    at async rules/auth/login.ts:4:9"].join("\n"));
});

test("without a map, or with one that leads out of the project, the rule's name stands", () => {
  const release = releaseOf({ name: "a.ts", body: "" });
  assert.equal(new StackMapper(release, {}).map("E\n    at a.ts:3:4"), "E\n    at a.ts:3:4");
  const outside = JSON.stringify({ version: 3, sources: ["/home/me/a.ts"], names: [], mappings: "AAAA" });
  assert.equal(new StackMapper(release, { "a.ts": outside }).map("E\n    at a.ts:1:1"), "E\n    at a.ts:1:1");
  assert.equal(new StackMapper(release, { "a.ts": "{" }).map("E\n    at a.ts:1:1"), "E\n    at a.ts:1:1");
});
