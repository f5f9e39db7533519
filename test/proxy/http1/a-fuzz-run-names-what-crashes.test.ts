import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { runBlock } from "../../../bench/fuzz/block.ts";
import { fuzz } from "../../../bench/fuzz/run.ts";

test("a process that crashes is replaced, and the input that it was given is kept", async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "sluice-fuzzed-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const child = path.join(folder, "child.mjs");
  const tried = { side: "requests", text: "GET /killer", toHead: false, pieces: [], index: 7 };
  writeFileSync(
    child,
    `import fs from "node:fs"
     process.on("message", ({ block, traceFile }) => {
       if (block !== 1) return process.send({ finds: [], kinds: [["requests", String(block), "GET"]] })
       if (traceFile) fs.writeFileSync(traceFile, ${JSON.stringify(JSON.stringify(tried))})
       process.kill(process.pid, "SIGSEGV")
     })`,
  );
  const finds = path.join(folder, "finds");
  const { cases, kinds, finds: found } = await fuzz({ count: 30_000, seed: 5, processes: 1, findsFolder: finds, child, say: () => undefined });
  assert.deepEqual([cases, kinds], [30_000, 2], "the other blocks were tried");
  assert.deepEqual([...found], [["requests: the process crashed (SIGSEGV)", 1]]);
  const [file] = readdirSync(finds);
  assert.equal(file, "requests-5-1-7.json");
  assert.equal((JSON.parse(readFileSync(path.join(finds, file), "utf8")) as { text: string }).text, "GET /killer");
});

test("the same seed and block give the same cases", () => {
  const texts = (): string[] => {
    const tried: string[] = [];
    runBlock(11, 3, 500, ({ text }) => void tried.push(text));
    return tried;
  };
  assert.deepEqual(texts(), texts());
  assert.ok(new Set(texts()).size > 400);
});
