import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { startSluice } from "../e2e/sluice-command.ts";
import { type RunningGateway, startGateway } from "../support/running-gateway.ts";
import { startRedis, type RedisServer } from "./redis-server.ts";
import { until } from "../support/until.ts";

const SLOW_MS = 90_000;

const RULES = {
  "kv.ts": `import { defineRule, respond } from "sluice"
export default defineRule({
  when: { path: "/kv/:what/:key" },
  async onRequest(req, ctx) {
    const { what, key } = req.params
    if (what === "get") return respond(200, { value: await ctx.kv.get(key) })
    if (what === "set") return respond(200, await ctx.kv.set(key, JSON.parse(req.query.get("json")), { ttl: req.query.get("ttl") ?? undefined, ifVersion: req.query.get("if") ?? undefined }))
    if (what === "delete") return respond(200, { deleted: await ctx.kv.delete(key) })
    if (what === "count") return respond(200, { sum: await ctx.kv.increment(key) })
    if (what === "large") return respond(200, await ctx.kv.set(key, "x".repeat(70000)).catch((error) => ({ refused: error.message })))
    if (what === "count-and-wait") {
      const sum = await ctx.kv.increment(key)
      await new Promise((resolve) => setTimeout(resolve, 300))
      return respond(200, { sum })
    }
  },
})`,
};

interface Origin {
  readonly url: string;
  close(): void;
}

function startOrigin(): Promise<Origin> {
  const server = createServer((_req, res) => res.end("origin"));
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() })),
  );
}

interface StoreView {
  readonly kind: string;
  readonly state: string;
  readonly reason: string;
  readonly liveGateways: number;
  readonly process: { readonly pid: number; readonly restarts: number; readonly keys: number } | null;
}

const storeOf = async (gateway: RunningGateway): Promise<StoreView> => ((await gateway.status()) as unknown as { store: StoreView }).store;

async function ask(gateway: { readonly url: string }, path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(gateway.url + path, { headers: { connection: "close" } });
  const text = await answer.text();
  return { status: answer.status, body: text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : { text } };
}

async function answered(gateway: { readonly url: string }, path: string): Promise<Record<string, unknown>> {
  const { status, body } = await ask(gateway, path);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

describe("with the embedded store", () => {
  let origin: Origin;
  let gateway: RunningGateway;
  before(async () => {
    origin = await startOrigin();
    gateway = await startGateway({ config: { workers: 2, upstreams: { site: { targets: [origin.url] } } }, rules: RULES });
  });
  after(async () => {
    await gateway.stop();
    origin.close();
  });

  test("all workers see the same values, and each call counts once", { timeout: SLOW_MS }, async () => {
    const sums = await Promise.all(Array.from({ length: 40 }, () => answered(gateway, "/kv/count/visits")));
    assert.deepEqual(
      sums.map(({ sum }) => Number(sum)).sort((a, b) => a - b),
      Array.from({ length: 40 }, (_, i) => i + 1),
    );
    const { version } = await answered(gateway, `/kv/set/flag?json=${encodeURIComponent('{"on":true}')}`);
    assert.deepEqual(await answered(gateway, "/kv/get/flag"), { value: { on: true } });
    assert.deepEqual(await answered(gateway, "/kv/set/flag?json=1&if=another"), { stored: false, version });
    assert.deepEqual(await answered(gateway, "/kv/delete/flag"), { deleted: true });
    assert.deepEqual(await answered(gateway, "/kv/get/flag"), { value: null });
    assert.match(String((await answered(gateway, "/kv/large/k"))["refused"]), /KV_TOO_LARGE.*70002 bytes as JSON, at most 65536/);
  });

  test("a sandbox that is lost in the middle of it counts nothing twice", { timeout: SLOW_MS }, async () => {
    const running = Promise.all(Array.from({ length: 10 }, () => answered(gateway, "/kv/count-and-wait/once")));
    await until(async () => Number((await answered(gateway, "/kv/get/once"))["value"]) === 10);
    for (const worker of (await gateway.status()).workers) process.kill(worker.sandbox!.activePid, "SIGKILL");
    const sums = await running;
    assert.deepEqual(
      sums.map(({ sum }) => Number(sum)).sort((a, b) => a - b),
      Array.from({ length: 10 }, (_, i) => i + 1),
    );
    assert.deepEqual(await answered(gateway, "/kv/get/once"), { value: 10 });
  });

  test("when the store's process is killed, another has all that was kept, and the gateway stays ready", { timeout: SLOW_MS }, async () => {
    await answered(gateway, "/kv/set/kept?json=7");
    const before = await storeOf(gateway);
    assert.deepEqual([before.kind, before.state, before.reason], ["embedded", "ready", ""]);
    process.kill(before.process!.pid, "SIGKILL");
    await until(async () => {
      const { process: now, state } = await storeOf(gateway);
      return now!.restarts === 1 && now!.pid !== before.process!.pid && state === "ready";
    });
    assert.deepEqual(await answered(gateway, "/kv/get/kept"), { value: 7 });
    assert.deepEqual(await answered(gateway, "/kv/get/once"), { value: 10 });
    const metrics = await gateway.metrics();
    assert.match(metrics, /^sluice_store_restarts_total 1$/m);
    assert.match(metrics, /^sluice_store_workers\{kind="embedded",state="ready"\} 2$/m);
  });
});

test("what was kept is there again after the gateway was stopped and started", { timeout: SLOW_MS }, async (t) => {
  const origin = await startOrigin();
  const gateway = await startGateway({ config: { upstreams: { site: { targets: [origin.url] } } }, rules: RULES });
  t.after(async () => {
    await gateway.stop();
    origin.close();
  });
  await answered(gateway, "/kv/set/kept?json=7");
  await answered(gateway, "/kv/set/ended?json=8&ttl=1ms");
  gateway.process.child.kill("SIGTERM");
  assert.equal(await gateway.process.exit, 0);
  const again = startSluice(gateway.folder, ["start"]);
  t.after(() => again.stop());
  const [, url] = await again.printed(/listening on (\S+)/);
  await again.printed(/^ready$/m);
  assert.deepEqual(await answered({ url: url! }, "/kv/get/kept"), { value: 7 });
  assert.deepEqual(await answered({ url: url! }, "/kv/get/ended"), { value: null });
});

describe("with Redis", () => {
  let origin: Origin;
  let redis: RedisServer;
  before(async () => {
    origin = await startOrigin();
    redis = await startRedis();
  });
  after(async () => {
    await redis.stop();
    origin.close();
  });
  const config = (more: object = {}) => ({
    workers: 1,
    upstreams: { site: { targets: [origin.url] } },
    store: { redis: redis.url, timeout: "300ms" },
    ...more,
  });

  test("two gateways share values; while Redis is away both stay up and say so, and then go on", { timeout: SLOW_MS }, async () => {
    const [a, b] = await Promise.all([startGateway({ config: config(), rules: RULES }), startGateway({ config: config(), rules: RULES })]);
    await answered(a, "/kv/set/shared?json=1");
    assert.deepEqual(await answered(b, "/kv/get/shared"), { value: 1 });
    await until(async () => (await storeOf(a)).liveGateways === 2);
    assert.equal((await storeOf(a)).process, null);

    await redis.kill();
    await until(async () => (await storeOf(a)).state === "unavailable");
    const away = await ask(a, "/kv/get/shared");
    assert.deepEqual([away.status, (await storeOf(a)).reason !== ""], [503, true]);
    assert.deepEqual(await answered(a, "/elsewhere"), { text: "origin" });
    assert.match(await a.metrics(), /^sluice_store_workers\{kind="redis",state="unavailable"\} 1$/m);

    await redis.restart();
    await until(async () => (await storeOf(a)).state === "ready" && (await storeOf(b)).state === "ready");
    await answered(b, "/kv/set/shared?json=2");
    assert.deepEqual(await answered(a, "/kv/get/shared"), { value: 2 });
    await Promise.all([a.stop(), b.stop()]);
  });

  test("a Redis that refuses us refuses the start, with the reason; one that is away does not", { timeout: SLOW_MS }, async () => {
    await redis.ask("ACL", "SETUSER", "weak", "on", ">pw", "~sluice:*", "+@read", "+ping", "+info");
    const started = startGateway({ config: config({ store: { redis: `redis://weak:pw@127.0.0.1:${redis.port}` } }) });
    await assert.rejects(started, /Redis refuses: .*(NOPERM|no permissions|can't run this command)/s);
    const wrong = startGateway({ config: config({ store: { redis: `redis://weak:wrong@127.0.0.1:${redis.port}` } }) });
    await assert.rejects(wrong, /Redis refuses: .*WRONGPASS/s);
    const gateway = await startGateway({ config: config({ store: { redis: "redis://127.0.0.1:1", timeout: "100ms" } }) });
    assert.deepEqual(await answered(gateway, "/"), { text: "origin" });
    await until(async () => (await storeOf(gateway)).state === "unavailable");
    await gateway.stop();
  });
});
