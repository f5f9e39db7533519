import assert from "node:assert/strict";
import net from "node:net";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../runtime/clock.ts";
import { storePrefix } from "../../runtime/ratelimit/keys.ts";
import { resolvePolicy, type LimitInput } from "../../runtime/ratelimit/policy.ts";
import { type Decision, type LimitAsk, Limiter } from "../../runtime/ratelimit/ratelimit.ts";
import { type RedisServer, startRedis } from "../store/redis-server.ts";
import { redisWorkers } from "../store/redis.ts";
import { until } from "../support/until.ts";

const PATIENCE = { timeout: 60_000 };

async function open(t: TestContext): Promise<{ server: RedisServer; worker: () => Promise<Limiter> }> {
  const server = await startRedis();
  t.after(() => server.stop());
  const stores = redisWorkers(t, server.url);
  return {
    server,
    async worker() {
      const store = await stores({ timeout: "200ms" });
      const limiter = new Limiter({ store, clock: systemClock, events: { charged: () => undefined, degraded: () => undefined } });
      t.after(() => limiter.close());
      await until(async () => !limiter.status().degraded);
      return limiter;
    },
  };
}

function asking(name: string, input: LimitInput): LimitAsk {
  const resolved = resolvePolicy(name, "config", input);
  if ("problems" in resolved) throw new Error(JSON.stringify(resolved.problems));
  const { policy } = resolved;
  return { policy, key: `${storePrefix(policy, name)}k`, cost: 1, want: 1, group: name };
}

const allowed = (decisions: readonly Decision[]): number => decisions.filter((decision) => decision.allowed).length;
const times = <T>(count: number, run: () => T): T[] => Array.from({ length: count }, run);

test("four workers of one Redis grant together exactly what a limit allows", PATIENCE, async (t) => {
  const { worker } = await open(t);
  const workers = [await worker(), await worker(), await worker(), await worker()];
  for (const algorithm of ["gcra", "token-bucket", "sliding-window", "fixed-window"] as const) {
    // A window so long that none ends meanwhile, or only as seldom as the day of fixed windows.
    const ask = asking(algorithm, { rate: "100/20d", algorithm });
    const decisions = await Promise.all(workers.flatMap((limiter) => times(60, async () => limiter.check([ask]))));
    assert.equal(allowed(decisions), 100, algorithm);
  }
  const leased = asking("leased", { rate: "100/20d", mode: "leased" });
  const decisions = await Promise.all(workers.flatMap((limiter) => times(60, async () => limiter.check([leased]))));
  assert.equal(allowed(decisions), 100, "leased");
  const running = asking("running", { rate: "100", algorithm: "concurrency" });
  const held = await Promise.all(workers.flatMap((limiter) => times(60, async () => limiter.check([running]))));
  assert.equal(allowed(held), 100, "concurrency");
});

for (const [what, away, back] of [
  ["killed", (server: RedisServer) => server.kill(), (server: RedisServer) => server.restart()],
  ["hung", async (server: RedisServer) => server.signal("SIGSTOP"), async (server: RedisServer) => server.signal("SIGCONT")],
] as const) {
  test(`with Redis ${what}, every check is still answered, as its onStoreLoss says, and Redis counts again when it is back`, PATIENCE, async (t) => {
    const { server, worker } = await open(t);
    const limiter = await worker();
    const local = asking("local", { rate: "10/20d" });
    const free = asking("free", { rate: "10/20d", onStoreLoss: "open" });
    const strict = asking("strict", { rate: "10/20d", onStoreLoss: "closed" });
    assert.equal(allowed(await Promise.all(times(20, async () => limiter.check([local])))), 10);
    await away(server);
    // Under load: some were on their way.
    const during = await Promise.all(times(50, async () => limiter.check([asking("new", { rate: "10/20d" })])));
    assert.equal(allowed(during), 10);
    assert.ok(during.every(({ degraded }) => degraded === "local"));
    assert.equal(allowed(await Promise.all(times(50, async () => limiter.check([free])))), 50);
    assert.equal(allowed(await Promise.all(times(50, async () => limiter.check([strict])))), 0);
    assert.equal(limiter.status().degraded, true);
    await back(server);
    await until(async () => (await limiter.check([strict])).degraded === null);
    await until(async () => (await limiter.check([free])).degraded === null);
    assert.equal(limiter.status().degraded, false);
  });
}

test("with Redis slow by two seconds, checks wait for it seldom, and all of them are answered", PATIENCE, async (t) => {
  const server = await startRedis();
  t.after(() => server.stop());
  let delayMs = 0;
  const pass = (from: net.Socket, to: net.Socket): void => {
    from.on("data", (bytes) => (delayMs === 0 ? to.write(bytes) : setTimeout(() => to.write(bytes), delayMs).unref()));
    from.on("close", () => to.destroy());
    from.on("error", () => to.destroy());
  };
  const proxy = net.createServer((near) => {
    const far = net.connect(server.port, "127.0.0.1");
    pass(near, far);
    pass(far, near);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  t.after(() => proxy.close());
  const store = await redisWorkers(t, `redis://127.0.0.1:${(proxy.address() as net.AddressInfo).port}`)({ timeout: "200ms" });
  const limiter = new Limiter({ store, clock: systemClock, events: { charged: () => undefined, degraded: () => undefined } });
  t.after(() => limiter.close());
  await until(async () => !limiter.status().degraded);
  const ask = asking("api", { rate: "100/20d" });
  assert.equal((await limiter.check([ask])).degraded, null);

  delayMs = 2000;
  const before = store.health().timeouts;
  const decisions: Decision[] = [];
  for (let i = 0; i < 500; i++) decisions.push(await limiter.check([ask]));
  assert.equal(allowed(decisions), 100);
  assert.ok(decisions.every(({ degraded }) => degraded === "local"));
  // One finds it slow; then a few probes at most.
  assert.ok(store.health().timeouts - before <= 10, `${store.health().timeouts - before} of 500 waited`);

  delayMs = 0;
  await until(async () => (await limiter.check([asking("other", { rate: "1000000/1h" })])).degraded === null);
});

test("a Redis that was flushed, scripts and all, counts anew and fails nobody", PATIENCE, async (t) => {
  const { server, worker } = await open(t);
  const limiter = await worker();
  const ask = asking("api", { rate: "10/20d", penalty: { after: 1000, block: "1m" } });
  assert.equal(allowed(await Promise.all(times(20, async () => limiter.check([ask])))), 10);
  await server.ask("FLUSHALL");
  await server.ask("SCRIPT", "FLUSH");
  const after = await Promise.all(times(20, async () => limiter.check([ask])));
  assert.equal(allowed(after), 10);
  assert.ok(after.every(({ degraded }) => degraded === null));
});
