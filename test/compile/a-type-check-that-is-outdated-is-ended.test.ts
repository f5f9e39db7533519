import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { typecheck } from "../../runtime/compile/compile.ts";
import { Project } from "./project.ts";

/** Processes of ours that are not zombies. */
function children(): number {
  return readdirSync("/proc").filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      // proc(5): pid (name) state parent …
      const [state, parent] = /\) (\S) (\d+)/.exec(readFileSync(`/proc/${name}/stat`, "utf8"))!.slice(1);
      return Number(parent) === process.pid && state !== "Z";
    } catch {
      // It ended while we looked.
      return false;
    }
  }).length;
}

test("a type check that somebody ends rejects at once, and its process is gone", { timeout: 60_000 }, async () => {
  await using project = await Project.open({});
  // The nearest tsconfig.json is the checkout's own, which takes seconds.
  const config = { ...project.config, baseDir: import.meta.dirname };
  const before = children();
  const ending = new AbortController();
  const checked = typecheck(config, { signal: ending.signal, inBackground: true });
  assert.equal(children(), before + 1);
  ending.abort();
  await assert.rejects(checked, { name: "AbortError" });
  while (children() > before) await new Promise((resolve) => setImmediate(resolve));
});
