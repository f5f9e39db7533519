import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { typecheck } from "../../runtime/compile/compile.ts";
import { Project } from "./project.ts";

/** Of each child process that is no zombie: how much of a core it has used, in ticks of 10 ms. */
function children(): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      // proc(5): pid (name) state parent …
      const [state, parent, ...rest] = readFileSync(`/proc/${name}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ");
      return Number(parent) === process.pid && state !== "Z" ? [Number(rest[9])] : [];
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
  // In the middle of it: Node has made way for the compiler, which does not listen to everything any more.
  while (Math.max(0, ...children()) <= 50) await soon();
  const used = Math.max(...children());
  ending.abort();
  await assert.rejects(checked, { name: "AbortError" });
  for (; children().length > before; await soon()) assert.ok(Math.max(0, ...children()) < used + 100, "it goes on for more than a second of a core");
});
