import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { typecheck } from "../../runtime/compile/compile.ts";
import { Project } from "./project.ts";

/** Programs of our child processes that are not zombies. */
function children(): string[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      // proc(5): pid (name) state parent …
      const [program, state, parent] = /\((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${name}/stat`, "utf8"))!.slice(1);
      return Number(parent) === process.pid && state !== "Z" ? [program!] : [];
    } catch {
      // It ended while we looked.
      return [];
    }
  });
}
const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test("a type check that somebody ends rejects at once, and its process is gone", { timeout: 60_000 }, async () => {
  await using project = await Project.open({});
  // The nearest tsconfig.json is the checkout's own, which takes seconds.
  const config = { ...project.config, baseDir: import.meta.dirname };
  const before = children().length;
  const ending = new AbortController();
  const checked = typecheck(config, { signal: ending.signal, inBackground: true });
  assert.equal(children().length, before + 1);
  // Node makes way for the compiler in the same process, which does not listen to everything.
  while (!children().includes("tsc")) await soon();
  ending.abort();
  await assert.rejects(checked, { name: "AbortError" });
  while (children().length > before) await soon();
});
