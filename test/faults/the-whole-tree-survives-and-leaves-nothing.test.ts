import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { Agent } from "node:http";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import { get, type RealGateway, startGateway, startOrigin } from "./real-gateway.ts";
import { isAlive, until } from "../support/until.ts";

const timeout = 120_000;
const RULE = (value: string) => `import { defineRule } from "sluice"
export default defineRule({ onResponse(res) { res.headers.set("x-rule", ${JSON.stringify(value)}) } })
`;

/** Clients that ask without pause until `stop`; what failed. */
function load(port: number, clients: number, agents: readonly (Agent | false)[]): { stop: () => Promise<{ served: number; failures: string[] }> } {
  const ended = new AbortController();
  const failures: string[] = [];
  let served = 0;
  const client = async (agent: Agent | false) => {
    while (!ended.signal.aborted) {
      try {
        const { status, text } = await get(port, "/", { agent });
        if (status === 200 && text === "origin") served++;
        else failures.push(`${status} ${text}`);
      } catch (thrown) {
        failures.push(String(thrown));
      }
    }
  };
  const running = Array.from({ length: clients }, (_, i) => client(agents[i % agents.length]!));
  return {
    stop: async () => {
      ended.abort();
      await Promise.all(running);
      return { served, failures };
    },
  };
}

async function pids(gateway: RealGateway): Promise<number[]> {
  const { workers } = await gateway.status();
  return workers.flatMap(({ pid, sandbox }) => [pid, sandbox?.activePid ?? 0, sandbox?.sparePid ?? 0]).filter((pid) => pid > 0);
}

test("HUP under load, with new connections and kept ones, takes new rules over without a failed request", { timeout }, async (t) => {
  const origin = await startOrigin(t);
  const gateway = await startGateway(t, origin.port, { workers: 2, rules: { "mark.ts": RULE("first") } });
  const agents = [false, new Agent({ keepAlive: true, maxSockets: 4 })] as const;
  t.after(() => agents[1].destroy());
  assert.equal((await get(gateway.port)).headers["x-rule"], "first");
  const before = await pids(gateway);
  const running = load(gateway.port, 8, agents);
  gateway.writeRule("mark.ts", RULE("second"));
  gateway.supervisor.kill("SIGHUP");
  await until(async () => (await gateway.status()).lastReload?.ok === true);
  const { served, failures } = await running.stop();
  assert.deepEqual(failures, []);
  assert.ok(served > 0);
  assert.equal((await get(gateway.port)).headers["x-rule"], "second");
  await until(() => before.every((pid) => !isAlive(pid)));
});

test("kill -9 of the only worker, with its sandboxes, refuses nobody and leaves no orphan", { timeout }, async (t) => {
  const origin = await startOrigin(t);
  const gateway = await startGateway(t, origin.port, { workers: 1, rules: { "mark.ts": RULE("kept") } });
  await until(async () => ((await gateway.status()).workers[0]?.sandbox?.activePid ?? 0) > 0);
  const before = await pids(gateway);
  assert.ok(before.length >= 2);
  process.kill(before[0]!, "SIGKILL");
  const outcomes = await Promise.all(
    Array.from({ length: 50 }, () =>
      get(gateway.port).then(
        ({ status }) => String(status),
        (thrown: unknown) => (thrown as NodeJS.ErrnoException).code ?? "error",
      ),
    ),
  );
  assert.equal(outcomes.filter((outcome) => outcome === "ECONNREFUSED").length, 0);
  assert.equal((await get(gateway.port)).headers["x-rule"], "kept");
  await until(() => before.every((pid) => !isAlive(pid)));
  assert.match(await gateway.metrics(), /^sluice_worker_restarts_total\{reason="killed"\} 1$/m);
});

test("TERM lets a running download finish, then nothing is left and the port is free", { timeout }, async (t) => {
  const origin = await startOrigin(t);
  const gateway = await startGateway(t, origin.port, { workers: 1, rules: { "mark.ts": RULE("last") } });
  await until(async () => ((await gateway.status()).workers[0]?.sandbox?.activePid ?? 0) > 0);
  const before = await pids(gateway);
  const text = await new Promise<string>((resolve, reject) => {
    let got = "";
    const socket = net.connect(gateway.port, "127.0.0.1", () => socket.write("GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    socket.on("data", (bytes) => {
      const first = !got.includes("first,");
      got += bytes.toString("latin1");
      if (!first || !got.includes("first,")) return;
      gateway.supervisor.kill("SIGTERM");
      void until(() => gateway.output().includes('"draining"')).then(origin.release, reject);
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(got));
  });
  assert.match(text, /last/);
  assert.equal(await gateway.exit, 0);
  await until(() => before.every((pid) => !isAlive(pid)));
  await assert.rejects(get(gateway.port), { code: "ECONNREFUSED" });
});

test("kill -9 of the supervisor leaves no worker, no sandbox, and the port free", { timeout }, async (t) => {
  const origin = await startOrigin(t);
  const gateway = await startGateway(t, origin.port, { workers: 2, rules: { "mark.ts": RULE("x") } });
  await until(async () => (await gateway.status()).workers.every(({ sandbox }) => (sandbox?.activePid ?? 0) > 0));
  const before = await pids(gateway);
  assert.ok(before.length >= 4);
  gateway.supervisor.kill("SIGKILL");
  await until(() => before.every((pid) => !isAlive(pid)));
  await assert.rejects(get(gateway.port), { code: "ECONNREFUSED" });
});

test("Ctrl-C reaches every process of the group and still drains", { timeout }, async (t) => {
  const origin = await startOrigin(t);
  const gateway = await startGateway(t, origin.port, { workers: 1, rules: { "mark.ts": RULE("group") } });
  await until(async () => ((await gateway.status()).workers[0]?.sandbox?.activePid ?? 0) > 0);
  const before = await pids(gateway);
  // What a terminal does, except that the test's own group is spared; the supervisor is told last, when all others have had the signal.
  for (const pid of before) process.kill(pid, "SIGINT");
  const { status, headers } = await get(gateway.port);
  assert.deepEqual([status, headers["x-rule"]], [200, "group"]);
  gateway.supervisor.kill("SIGINT");
  assert.equal(await gateway.exit, 0);
  assert.equal((gateway.output().match(/"worker-lost"/g) ?? []).length, 0);
});

test("HUP with a broken rule or a broken config serves on and says why", { timeout }, async (t) => {
  const origin = await startOrigin(t);
  const gateway = await startGateway(t, origin.port, { workers: 1, rules: { "mark.ts": RULE("good") } });
  const { workers, release } = await gateway.status();
  gateway.writeRule("mark.ts", "export default 1 +\n");
  gateway.supervisor.kill("SIGHUP");
  await until(async () => (await gateway.status()).lastReload !== null);
  const after = await gateway.status();
  assert.match(after.lastReload!.reason, /mark\.ts:\d+:\d+/);
  assert.deepEqual([after.workers[0]!.pid, after.release.id], [workers[0]!.pid, release.id]);
  writeFileSync(path.join(gateway.dir, "sluice.config.json"), "{ broken");
  gateway.supervisor.kill("SIGHUP");
  await until(async () => (await gateway.status()).lastReload!.reason !== after.lastReload!.reason);
  assert.equal((await gateway.status()).lastReload!.ok, false);
  assert.equal((await get(gateway.port)).headers["x-rule"], "good");
});

test("a listening socket is not inherited by sandboxes", { timeout }, async (t) => {
  const { readdirSync, readlinkSync, readFileSync } = await import("node:fs");
  const origin = await startOrigin(t);
  const gateway = await startGateway(t, origin.port, { workers: 1, rules: { "mark.ts": RULE("x") } });
  await until(async () => ((await gateway.status()).workers[0]?.sandbox?.activePid ?? 0) > 0);
  const { workers } = await gateway.status();
  const inode = readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .find((columns) => columns[1] === `0100007F:${gateway.port.toString(16).toUpperCase().padStart(4, "0")}` && columns[3] === "0A")?.[9];
  assert.ok(inode);
  const holds = (pid: number) => readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`);
  assert.equal(holds(workers[0]!.pid), true);
  assert.equal(holds(workers[0]!.sandbox!.activePid), false);
});
