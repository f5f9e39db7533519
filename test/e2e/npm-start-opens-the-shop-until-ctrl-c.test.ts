import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const DEMO = join(import.meta.dirname, "..", "..", "rules-examples", "shop", "demo.ts");
const DEADLINE_MS = 60_000;

function startDemo(args: readonly string[], stateDir = "") {
  const env = stateDir === "" ? process.env : { ...process.env, SHOP_STATE_DIR: stateDir };
  const child = spawn(process.execPath, ["--conditions=sluice-source", DEMO, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const exit = once(child, "exit", { signal: AbortSignal.timeout(DEADLINE_MS) });
  let text = "";
  const waiting: { pattern: RegExp; resolve: (match: RegExpExecArray) => void; reject: (error: Error) => void }[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      for (const { pattern, resolve } of waiting) {
        const match = pattern.exec(text);
        if (match) resolve(match);
      }
    });
  }
  child.on("exit", () => waiting.forEach(({ pattern, reject }) => reject(new Error(`the demo ended without printing ${pattern}:\n${text}`))));
  const printed = (pattern: RegExp) => {
    const match = pattern.exec(text);
    return match ? Promise.resolve(match) : new Promise<RegExpExecArray>((resolve, reject) => waiting.push({ pattern, resolve, reject }));
  };
  return { child, exit, printed, text: () => text };
}

test("the demo prints what to try, serves it, sends visitors whom experiments count, and leaves nothing behind after Ctrl-C", async () => {
  const stateDir = await mkdtemp(join(tmpdir(), "sluice-demo-"));
  const demo = startDemo(["--port=0", "--admin-port=0", "--origin-port=0", "--traffic", "--visitors=40"], stateDir);
  const [, url] = await demo.printed(/The shop is open: (\S+)/);
  assert.match(demo.text(), /curl -i '?http:\/\/127\.0\.0\.1:\d+\/shop\/mugs/);
  const page = await fetch(`${url}/products/101`);
  assert.match(await page.text(), /Ferry mug/);
  const origins = [...demo.text().matchAll(/origin on (\S+)/g)].map(([, address]) => address!);
  assert.equal(origins.length, 3);
  await demo.printed(
    /hero-offer: 10\.5 % of those who see control order, 15\.8 % of those who see offer \(\+50 %\)\n[^]*experiments report hero-offer --admin \S+\n/,
  );
  const adminUrl = /--admin (\S+)/.exec(demo.text())![1]!;
  const authorization = `Bearer ${(await readFile(join(stateDir, "admin-token"), "utf8")).trim()}`;
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const seen = async (): Promise<number[]> => {
    const answer = await fetch(`${adminUrl}/v1/experiments/hero-offer`, { headers: { authorization }, signal: deadline });
    return ((await answer.json()) as { arms: { units: number }[] }).arms.map(({ units }) => units);
  };
  // Counts reach the store in batches.
  while (!(await seen()).every((units) => units > 0)) await new Promise((resolve) => setTimeout(resolve, 200));

  demo.child.kill("SIGINT");
  const [code] = await demo.exit;
  assert.equal(code, 0, demo.text());
  for (const address of [url!, ...origins]) await assert.rejects(fetch(address), `${address} still answers`);
  await rm(stateDir, { recursive: true });
});

test("a port that is taken is named in one sentence", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const demo = startDemo([`--port=${port}`, "--admin-port=0", "--origin-port=0"]);
  const [code] = await demo.exit;
  other.close();
  assert.equal(code, 1);
  assert.match(demo.text(), new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is taken`));
});
