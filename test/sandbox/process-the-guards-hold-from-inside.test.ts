import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { SandboxProcess } from "./process-harness.ts";

/** Runs a program under the very guards of a sandbox process, as if a rule had broken out, and gives what it reports on its only line out. */
async function inside(program: string): Promise<Record<string, string>> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sluice-guards-"));
  fs.chmodSync(folder, 0o755);
  const file = path.join(folder, "program.mjs");
  const report = `
    const told = {};
    const attempt = async (name, run) => { try { told[name] = "DID " + String(await run()).slice(0, 80) } catch (error) { told[name] = error.code ?? error.name } };
    ${program}
    const json = JSON.stringify(told);
    const head = Buffer.alloc(5); head.writeUInt32LE(json.length, 0);
    const { Socket } = await import("node:net");
    new Socket({ fd: 3 }).end(Buffer.concat([head, Buffer.from(json)]));`;
  fs.writeFileSync(file, report, { mode: 0o644 });
  try {
    await using sandbox = SandboxProcess.start(file);
    return JSON.parse(await sandbox.payload()) as Record<string, string>;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

test("files cannot be written or read, whichever module is used", async () => {
  const told = await inside(`
    const fs = await import("node:fs");
    await attempt("write", () => fs.writeFileSync("/tmp/sluice-written", "x"));
    await attempt("read", () => fs.readFileSync("/etc/passwd"));
    await attempt("list", () => fs.readdirSync("/"));
    await attempt("environ", () => fs.readFileSync("/proc/self/environ"));
    await attempt("parentEnviron", () => fs.readFileSync("/proc/" + process.ppid + "/environ"));
    await attempt("sqlite", async () => { const { DatabaseSync } = await import("node:sqlite"); new DatabaseSync("/tmp/sluice-sqlite").exec("create table t (x)"); return fs.existsSync("/tmp/sluice-sqlite") });
    await attempt("report", () => process.report.writeReport("/tmp/sluice-report"));
    await attempt("snapshot", async () => (await import("node:v8")).writeHeapSnapshot("/tmp/sluice-heap"));
    await attempt("binding", () => process.binding("fs"));
    await attempt("dlopen", () => process.dlopen({ exports: {} }, "/lib/x86_64-linux-gnu/libc.so.6"));
  `);
  for (const [name, outcome] of Object.entries(told)) assert.doesNotMatch(outcome, /^DID/, name);
  for (const name of ["sluice-written", "sluice-sqlite", "sluice-report", "sluice-heap"]) assert.equal(fs.existsSync(`/tmp/${name}`), false, name);
});

test("no other process, thread or inspector can be started", async () => {
  const told = await inside(`
    const { spawnSync, execSync } = await import("node:child_process");
    const { Worker } = await import("node:worker_threads");
    await attempt("spawn", () => { const { error } = spawnSync("/bin/true"); if (error) throw error });
    await attempt("exec", () => execSync("true"));
    await attempt("worker", () => new Worker("", { eval: true }));
    await attempt("inspector", async () => { (await import("node:inspector")).open(0); return "open" });
    await attempt("wasi", async () => { const { WASI } = await import("node:wasi"); return new WASI({ version: "preview1" }) });
  `);
  for (const [name, outcome] of Object.entries(told)) assert.doesNotMatch(outcome, /^DID/, name);
});

test("the environment is empty", async () => {
  process.env["SLUICE_TEST_SECRET"] = "s3cret";
  const { env } = await inside(`told.env = JSON.stringify(process.env)`);
  assert.deepEqual(JSON.parse(env!), {});
});

test("nobody can be signalled", async () => {
  const told = await inside(`
    await attempt("parent", () => process.kill(process.ppid, 0));
    await attempt("init", () => process.kill(1, 0));
    told.uid = String(process.getuid());
  `);
  if (process.getuid!() === 0) {
    // Another uid is what stops it: the permission model lets signals pass.
    assert.notEqual(told["uid"], "0");
    assert.equal(told["parent"], "EPERM");
    assert.equal(told["init"], "EPERM");
  } else assert.equal(told["uid"], String(process.getuid!()));
});

test("no network", async () => {
  const told = await inside(`
    const net = await import("node:net");
    await attempt("connect", () => new Promise((resolve, reject) => { const socket = net.connect(9, "127.0.0.1"); socket.on("error", reject); socket.on("connect", resolve) }));
    await attempt("fetch", () => fetch("http://127.0.0.1:9/").catch((error) => { throw error.cause ?? error }));
    await attempt("listen", () => new Promise((resolve, reject) => { process.once("uncaughtException", reject); const server = net.createServer().listen(0, "127.0.0.1", resolve); server.on("error", reject) }));
    await attempt("dns", async () => (await (await import("node:dns/promises")).lookup("localhost")).address);
  `);
  const { fetch, ...others } = told;
  assert.doesNotMatch(fetch!, /^DID/);
  assert.deepEqual(others, { connect: "ERR_ACCESS_DENIED", listen: "ERR_ACCESS_DENIED", dns: "ERR_ACCESS_DENIED" });
});
