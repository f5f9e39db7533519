import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { Store, StoreEvent } from "../../runtime/store/store.ts";
import { redisWorkers } from "./redis.ts";
import { freePort, startRedis, type RedisServer } from "./redis-server.ts";
import { append, lastingAdd } from "./scripts.ts";
import { until } from "../support/until.ts";

const TLS = join(import.meta.dirname, "../upstream/tls");

async function servers(t: TestContext, args: readonly (readonly string[])[]): Promise<RedisServer[]> {
  const started = await Promise.all(args.map((each) => startRedis({ args: each })));
  t.after(() => Promise.all(started.map((server) => server.stop())));
  return started;
}

/** What a store is used for, once. */
async function works(store: Store, other: Store): Promise<void> {
  const heard: StoreEvent[] = [];
  const subscription = other.subscribe("purge", (event) => void heard.push(event));
  await subscription.ready;
  const keys = Array.from({ length: 30 }, (_, i) => `key-${i}`);
  await Promise.all(keys.map((key) => store.set(key, key, { ttlMs: 60_000 })));
  assert.deepEqual((await other.getMany(keys)).map(String), keys);
  assert.equal(await store.delete(keys.slice(0, 10)), 10);
  const sums = await Promise.all(Array.from({ length: 30 }, (_, i) => store.run(lastingAdd, [`{tag-${i % 3}}a`, `{tag-${i % 3}}b`], [1])));
  assert.deepEqual(
    sums.map(([a]) => Number(a)).sort((x, y) => x - y),
    Array.from({ length: 30 }, (_, i) => Math.floor(i / 3) + 1),
  );
  await Promise.all(["a", "b", "c"].map((message) => store.publish("purge", message)));
  await until(() => heard.length === 3);
  assert.deepEqual(new Set(heard.map((event) => event.type === "message" && event.message)), new Set(["a", "b", "c"]));
  await until(() => store.liveGateways() === 2 && other.liveMembers() === 2);
  subscription.close();
}

test("a cluster of three: keys spread, scripts run where their tag lives, topics and members work", async (t) => {
  const nodes = await servers(
    t,
    Array.from({ length: 3 }, () => ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]),
  );
  await Promise.all(
    nodes.map(async ({ ask }, i) => {
      const [from, to] = [Math.floor((i * 16384) / 3), Math.floor(((i + 1) * 16384) / 3) - 1];
      assert.equal(await ask("CLUSTER", "ADDSLOTSRANGE", String(from), String(to)), "+OK");
    }),
  );
  for (const { port } of nodes.slice(1)) await nodes[0]!.ask("CLUSTER", "MEET", "127.0.0.1", String(port));
  await until(async () =>
    (await Promise.all(nodes.map(({ askAll }) => askAll("CLUSTER", "INFO")))).every(
      (info) => /cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info),
    ),
  );
  const open = redisWorkers(t, { cluster: nodes.map(({ port }) => `127.0.0.1:${port}`) });
  const [store, other] = [await open({ gateway: "a" }), await open({ gateway: "b" })];
  await works(store, other);
  await Promise.all(nodes.map(({ ask }) => ask("SCRIPT", "FLUSH")));
  for (let i = 0; i < 6; i++) assert.deepEqual(await store.run(append, [`text-${i}`], ["x", 0]), [1, "x", null]);
  const sizes = await Promise.all(nodes.map(async ({ ask }) => Number((await ask("DBSIZE")).slice(1))));
  assert.ok(
    sizes.every((size) => size > 0),
    `every node has keys: ${sizes.join()}`,
  );
  for (const { ask } of nodes) await ask("CONFIG", "SET", "requirepass", "secret");
  const stranger = await open();
  await until(() => stranger.health().state === "refused");
  assert.match(stranger.health().reason, /^NOAUTH/);
});

test("TLS with a certificate of one's own authority; without the authority it is told", async (t) => {
  const pem = (name: string) => join(TLS, name);
  const redis = await startRedis({
    tls: true,
    args: ["--tls-cert-file", pem("origin.pem"), "--tls-key-file", pem("origin.key"), "--tls-ca-cert-file", pem("ca.pem"), "--tls-auth-clients", "no"],
  });
  t.after(() => redis.stop());
  const url = `rediss://127.0.0.1:${redis.port}`;
  const open = redisWorkers(t, { url, tls: { ca: pem("ca.pem"), servername: "origin.test" } });
  await works(await open({ gateway: "a" }), await open({ gateway: "b" }));
  const stranger = await redisWorkers(t, url)({ timeout: "200ms" });
  await until(() => stranger.health().state === "unavailable");
  assert.match(stranger.health().reason, /certificate/);
});

test("Sentinel: the master is found, and found again after a failover", async (t) => {
  const [master] = await servers(t, [[]]);
  const [replica] = await servers(t, [["--replicaof", "127.0.0.1", String(master!.port)]]);
  await until(async () => /master_link_status:up/.test(await replica!.askAll("INFO", "replication")));
  const port = await freePort();
  const sentinel = await startRedis({
    port,
    sentinel: [
      `sentinel monitor mymaster 127.0.0.1 ${master!.port} 1`,
      "sentinel down-after-milliseconds mymaster 500",
      "sentinel failover-timeout mymaster 5000",
    ],
  });
  t.after(() => sentinel.stop());
  await until(async () => /slaves=1/.test(await sentinel.askAll("INFO", "sentinel")));
  const open = redisWorkers(t, { sentinels: { name: "mymaster", nodes: [`127.0.0.1:${port}`] } });
  const [store, other] = [await open({ gateway: "a" }), await open({ gateway: "b" })];
  await works(store, other);
  await store.set("kept", "1", { ttlMs: null });
  await until(async () => (await replica!.askAll("GET", "x")) !== "" && (await replica!.ask("DBSIZE")) === (await master!.ask("DBSIZE")));
  const lost = [store, other].map((each) => new Promise<void>((resolve) => void each.onHealth(({ state }) => state !== "ready" && resolve())));
  await master!.kill();
  // Each of them has lost the old master and found the new one.
  await Promise.all(lost);
  await until(() => [store, other].every((each) => each.health().state === "ready"));
  assert.equal(String(await store.get("kept")), "1");
  await store.set("after", "2", { ttlMs: null });
  assert.equal(String(await other.get("after")), "2");
});
