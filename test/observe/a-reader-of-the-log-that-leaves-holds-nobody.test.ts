import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { test } from "node:test";

const PROGRAM = path.join(import.meta.dirname, "log-writer.ts");

function writer(lines: number) {
  const child = spawn(process.execPath, ["--conditions=sluice-source", PROGRAM, String(lines)], { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (piece: string) => (errors += piece));
  return { child, errors: () => errors };
}

test("everything buffered is written at the end of the process", { timeout: 60_000 }, async () => {
  const { child } = writer(5000);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => (text += piece));
  await once(child, "close");
  const lines = text.trimEnd().split("\n");
  assert.equal(lines.length, 5000);
  for (const line of lines) assert.equal((JSON.parse(line) as { event: string }).event, "exchange");
});

test("a process whose log nobody reads any more goes on and ends by itself", { timeout: 60_000 }, async () => {
  const { child, errors } = writer(50_000);
  child.stdout.destroy();
  const [code] = (await once(child, "close")) as [number];
  assert.deepEqual([code, errors()], [0, ""]);
});
