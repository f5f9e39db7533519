import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import { StartError } from "../../runtime/supervisor/supervisor.ts";
import { startRedis } from "../store/redis-server.ts";
import { startStub, stateDir, stubConfig } from "./stub-gateway.ts";
import { isAlive, until } from "../support/until.ts";

const redisAt = (port: number, password = ""): ResolvedConfig["store"] => ({
  timeoutMs: 500,
  memoryBytes: 0,
  redis: { mode: "standalone", nodes: [{ host: "127.0.0.1", port }], sentinel: null, username: "", password, db: 0, tls: null, prefix: "sluice:" },
});

test("killed, it is started again, and every worker finds it; stopped, nothing is left of it", async (t) => {
  const dir = stateDir(t);
  const { supervisor, lines } = await startStub(t, stubConfig({ workers: 2, stateDir: dir }));
  const first = supervisor.status().store.process!;
  assert.ok(first.pid > 0 && first.pid !== process.pid);
  assert.ok(existsSync(path.join(dir, "store/store.log")));
  await until(async () => (await supervisor.metrics()) !== "" && supervisor.status().store.state === "ready");
  const { kind, reason, liveGateways } = supervisor.status().store;
  assert.deepEqual({ kind, reason, liveGateways }, { kind: "embedded", reason: "", liveGateways: 1 });
  process.kill(first.pid, "SIGKILL");
  await until(async () => {
    const metrics = await supervisor.metrics();
    return supervisor.status().store.process!.restarts === 1 && metrics.includes('sluice_store_workers{kind="embedded",state="ready"} 2\n');
  });
  assert.ok(lines.some(({ event }) => event === "store-lost"));
  const second = supervisor.status().store.process!.pid;
  await supervisor.stop();
  assert.ok(!isAlive(second));
});

test("a reload with another size or with Redis takes another store; one that Redis refuses changes nothing", async (t) => {
  const redis = await startRedis({ args: ["--requirepass", "secret"] });
  t.after(() => redis.stop());
  const dir = stateDir(t);
  let config = stubConfig({ stateDir: dir });
  const { supervisor } = await startStub(t, config, { loadConfig: async () => config });
  const first = supervisor.status().store.process!.pid;
  await supervisor.reload();
  assert.equal(supervisor.status().store.process!.pid, first, "the same store goes on");

  config = { ...config, store: { ...config.store, memoryBytes: 2 * 1024 * 1024 } };
  await supervisor.reload();
  const second = supervisor.status().store.process!;
  assert.notEqual(second.pid, first);
  assert.equal(second.limitBytes, 2 * 1024 * 1024);
  assert.ok(!isAlive(first));

  config = { ...config, store: redisAt(redis.port) };
  await assert.rejects(supervisor.reload(), (error: Error) => error instanceof StartError && /Redis refuses: NOAUTH/.test(error.message));
  assert.equal(supervisor.status().store.process!.pid, second.pid);

  config = { ...config, store: redisAt(redis.port, "secret") };
  await supervisor.reload();
  await until(async () => (await supervisor.metrics()) !== "" && supervisor.status().store.state === "ready");
  assert.deepEqual([supervisor.status().store.kind, supervisor.status().store.process], ["redis", null]);
  assert.ok(!isAlive(second.pid));
});

test("a log that is none of ours is told, and the gateway serves without it", async (t) => {
  const dir = stateDir(t);
  mkdirSync(path.join(dir, "store"));
  writeFileSync(path.join(dir, "store/store.log"), "something else altogether\n");
  const { supervisor, lines } = await startStub(t, stubConfig({ stateDir: dir }));
  assert.ok(lines.some(({ event, facts }) => event === "store-lost" && /is no log of this version of the store; move it away/.test(String(facts["detail"]))));
  assert.match(supervisor.status().store.process!.trouble, /move it away/);
});
