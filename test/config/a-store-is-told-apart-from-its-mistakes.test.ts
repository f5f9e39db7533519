import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ConfigError, resolveConfig } from "../../runtime/config/config.ts";
import type { RedisConfig, StoreConfig } from "../../runtime/config/resolved.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-config-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const upstreams = { site: { targets: ["http://127.0.0.1:9001"] } };

function storeOf(store: unknown, env: Record<string, string> = {}): StoreConfig {
  return resolveConfig({ upstreams, store }, { baseDir: folder, file: "", env }).store;
}

function redisOf(redis: unknown, env: Record<string, string> = {}): RedisConfig {
  return storeOf({ redis }, env).redis!;
}

function problems(store: unknown): string[] {
  try {
    storeOf(store);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map(({ path, text }) => `${path}: ${text}`);
  }
  return [];
}

test("without the key, or without redis in it, the store is embedded", () => {
  assert.deepEqual(storeOf(undefined), { timeoutMs: 500, memoryBytes: 64 * 2 ** 20, redis: null });
  assert.deepEqual(storeOf({ timeout: "1s", memory: "1GiB" }), { timeoutMs: 1000, memoryBytes: 2 ** 30, redis: null });
});

test("a URL says server, user, password, database and TLS", () => {
  assert.deepEqual(redisOf("redis://127.0.0.1"), {
    mode: "standalone",
    nodes: [{ host: "127.0.0.1", port: 6379 }],
    sentinel: null,
    username: "",
    password: "",
    db: 0,
    tls: null,
    prefix: "sluice:",
  });
  const full = redisOf("rediss://edge:p%40ss@[::1]:6380/3");
  assert.deepEqual([full.nodes, full.username, full.password, full.db], [[{ host: "::1", port: 6380 }], "edge", "p@ss", 3]);
  assert.deepEqual(full.tls, { ca: "", cert: "", key: "", servername: "" });
});

test("a cluster and Sentinels are lists of addresses; passwords and certificates are read from where they stand", () => {
  writeFileSync(join(folder, "redis.key"), "from a file\n");
  writeFileSync(join(folder, "ca.pem"), "PEM");
  const cluster = redisOf({ cluster: ["10.0.0.1:7000", "node-2", "::1"], username: "edge", password: { file: "./redis.key" }, tls: { ca: "./ca.pem" } });
  assert.equal(cluster.mode, "cluster");
  assert.deepEqual(cluster.nodes, [
    { host: "10.0.0.1", port: 7000 },
    { host: "node-2", port: 6379 },
    { host: "::1", port: 6379 },
  ]);
  assert.deepEqual([cluster.username, cluster.password, cluster.tls?.ca], ["edge", "from a file", "PEM"]);
  const sentinel = redisOf({ sentinels: { name: "mymaster", nodes: ["10.0.0.1"], password: { env: "SP" } }, db: 2, prefix: "edge:" }, { SP: "hush" });
  assert.equal(sentinel.mode, "sentinel");
  assert.deepEqual(sentinel.nodes, [{ host: "10.0.0.1", port: 26379 }]);
  assert.deepEqual(sentinel.sentinel, { name: "mymaster", username: "", password: "hush" });
  assert.deepEqual([sentinel.db, sentinel.prefix], [2, "edge:"]);
});

test("what contradicts itself or leads nowhere is told with its place", () => {
  assert.match(problems({ redis: {} }).join(), /^store\.redis: found no address, expected exactly one of url, cluster and sentinels/);
  assert.match(problems({ redis: { url: "redis://a", cluster: ["b"] } }).join(), /^store\.redis: found url and cluster/);
  assert.match(problems({ redis: { url: "rediss://a", tls: false } }).join(), /^store\.redis\.tls: found false, although/);
  assert.match(problems({ redis: { cluster: ["a"], db: 1 } }).join(), /^store\.redis\.db: found 1, but a cluster has only database 0/);
  assert.match(problems({ redis: { cluster: ["a/b", "c"] } }).join(), /^store\.redis\.cluster\[0\]: found "a\/b", expected host:port/);
  assert.match(
    problems({ redis: { url: "redis://a", tls: { cert: "./no.pem" } } }).join(),
    /found one of cert and key.*store\.redis\.tls\.cert: "\.\/no\.pem" cannot be read/,
  );
  assert.match(
    problems({ redis: { url: "redis://a", password: { env: "NOT_SET" } } }).join(),
    /store\.redis\.password\.env: the environment variable NOT_SET is not set/,
  );
  assert.match(problems({ redis: { url: "redis://a", prefix: "{a}" } }).join(), /^store\.redis\.prefix: found "\{a\}", expected 1 to 64 letters/);
  assert.match(problems({ redsi: "redis://a" }).join(), /^store\.redsi: .*did you mean "redis"\?/);
  assert.match(problems({ redis: { url: "redis://a", clster: [] } }).join(), /did you mean "cluster"\?/);
  assert.match(problems({ timeout: "0s", memory: "64MB" }).join("; "), /^store\.timeout: found "0s".*store\.memory: found "64MB"/);
});

test("no message shows a password, wherever it was written", () => {
  for (const store of [
    { redis: "http://edge:hunter2@a" },
    { redis: "redis://edge:hunter2@a/x" },
    { redis: "hunter2" },
    { redis: { url: "redis://a", password: "hunter2" } },
    { redis: { url: "redis://a", password: { value: "hunter2" } } },
    { redis: { sentinels: { name: "m", nodes: ["a"], password: "hunter2" } } },
    { redis: { url: "redis://a", pasword: "hunter2" } },
    { redis: ["redis://:hunter2@a"] },
  ]) {
    const told = problems(store);
    assert.ok(told.length > 0);
    assert.doesNotMatch(told.join(), /hunter2/);
  }
});
