import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ask, get, startStub, stateDir, stubConfig, stubRelease } from "./stub-gateway.ts";
import { until } from "../support/until.ts";

const timeout = 60_000;

function requests(text: string): number {
  return Number(/^sluice_requests_total\{method="GET",status="2xx",route="none",from="gateway"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

test("counters survive worker restarts and replacements, and never go backwards", { timeout }, async (t) => {
  const { supervisor, port } = await startStub(t, stubConfig({ workers: 2 }));
  for (let i = 0; i < 20; i++) await get(port);
  assert.equal(requests(await supervisor.metrics()), 20);
  await supervisor.replaceWorkers();
  assert.equal(requests(await supervisor.metrics()), 20);
  const { pid } = await ask(port);
  assert.equal(requests(await supervisor.metrics()), 21);
  process.kill(pid, "SIGKILL");
  await until(() => supervisor.status().workerRestarts["killed"] === 1);
  assert.equal(requests(await supervisor.metrics()), 21);
  assert.match(await supervisor.metrics(), /^sluice_worker_restarts_total\{reason="killed"\} 1$/m);
});

test("what a draining worker counts in its last moments is kept", { timeout }, async (t) => {
  const { supervisor, port } = await startStub(t, stubConfig());
  const held = get(port, "/hold");
  await until(async () => (await supervisor.metrics()).includes("sluice_requests_in_flight 1"));
  await supervisor.replaceWorkers();
  assert.equal((await held).text, "first,last");
  assert.equal(requests(await supervisor.metrics()), 1);
});

test("the admin listener shows workers, release and the last reload, to whoever has the token", { timeout }, async (t) => {
  const dir = stateDir(t);
  let broken = true;
  const compile = async () =>
    broken ? { release: null, maps: {}, problems: ["a.ts:1:1: broken"] } : { release: stubRelease("dddddddddddd"), maps: {}, problems: [] };
  broken = false;
  const { supervisor } = await startStub(t, stubConfig({ workers: 2, stateDir: dir, admin: { host: "127.0.0.1", port: 0 } }), { compile });
  broken = true;
  await assert.rejects(supervisor.reload(), /a\.ts:1:1: broken/);
  const admin = supervisor.adminAddress!.port;
  const token = readFileSync(path.join(dir, "admin-token"), "utf8").trim();
  assert.equal((await get(admin, "/ready")).status, 200);
  const { status, text } = await get(admin, "/v1/status", { authorization: `Bearer ${token}` });
  assert.equal(status, 200);
  const shown = JSON.parse(text) as ReturnType<typeof supervisor.status>;
  assert.equal(shown.state, "serving");
  assert.equal(shown.release.id, "dddddddddddd");
  assert.deepEqual(
    shown.workers.map(({ state, release }) => [state, release]),
    [
      ["serving", "dddddddddddd"],
      ["serving", "dddddddddddd"],
    ],
  );
  assert.deepEqual([shown.lastReload?.ok, shown.lastReload?.reason], [false, "a.ts:1:1: broken"]);
  assert.equal((await get(admin, "/metrics", { authorization: `Bearer ${token}` })).status, 200);
});

test("a worker that does not answer for half a minute is replaced", { timeout }, async (t) => {
  const { ManualClock } = await import("../../runtime/clock.ts");
  const clock = new ManualClock();
  const { supervisor, port } = await startStub(t, stubConfig(), { clock });
  const { pid } = await ask(port);
  process.kill(pid, "SIGSTOP");
  clock.advance(40_000);
  await until(() => supervisor.status().workers.some((worker) => worker.state === "serving" && worker.pid !== pid));
  assert.equal(supervisor.status().workerRestarts["unresponsive"], 1);
  assert.notEqual((await ask(port)).pid, pid);
});

test("a worker that crashes again and again is started ever more slowly", { timeout }, async (t) => {
  const { ManualClock } = await import("../../runtime/clock.ts");
  const clock = new ManualClock();
  const { supervisor, port, lines } = await startStub(t, stubConfig(), { clock, random: () => 0.999 });
  const starts = () => lines.filter((line) => line.event === "worker-started").length;
  const lost = () => lines.filter((line) => line.event === "worker-lost").length;
  const serves = () => supervisor.status().workers.some((worker) => worker.state === "serving");
  await get(port, "/die").catch(() => undefined);
  await until(() => lost() === 1 && serves());
  assert.equal(starts(), 2);
  await get(port, "/die").catch(() => undefined);
  await until(() => lost() === 2);
  assert.equal(starts(), 2);
  clock.advance(90);
  assert.equal(starts(), 2);
  clock.advance(11);
  assert.equal(starts(), 3);
  await until(serves);
  await get(port, "/die").catch(() => undefined);
  await until(() => lost() === 3);
  clock.advance(190);
  assert.equal(starts(), 3);
  clock.advance(11);
  assert.equal(starts(), 4);
  await until(serves);
});
