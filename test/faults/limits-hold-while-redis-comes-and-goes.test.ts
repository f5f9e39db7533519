import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { type RedisServer, startRedis } from "../store/redis-server.ts";
import { type RunningGateway, startGateway } from "../support/running-gateway.ts";
import { until } from "../support/until.ts";

const PATIENCE = { timeout: 120_000 };
const CLIENTS = 8;

describe("two gateways with limits and one Redis, under load", () => {
  let redis: RedisServer;
  const gateways: RunningGateway[] = [];
  const origin = createServer((_, res) => res.end("ok"));

  before(async () => {
    await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
    redis = await startRedis();
    const limit = (name: string, onStoreLoss: string) => ({
      match: { path: `/${name}` },
      upstream: "site",
      limits: [{ name, rate: "1000000/1h", key: [], onStoreLoss }],
    });
    const config = {
      upstreams: { site: { targets: [`http://127.0.0.1:${(origin.address() as AddressInfo).port}`] } },
      routes: [limit("local", "local"), limit("open", "open"), limit("closed", "closed")],
      store: { redis: redis.url, timeout: "300ms" },
    };
    gateways.push(await startGateway({ config }), await startGateway({ config }));
    await until(async () => (await ask("/closed")).degraded === null && (await ask("/closed", 1)).degraded === null);
  });
  after(async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    origin.close();
    origin.closeAllConnections();
    await redis.stop();
  });

  async function ask(path: string, gateway = 0): Promise<{ status: number; degraded: string | null; code: string | null }> {
    const answer = await fetch(gateways[gateway]!.url + path);
    await answer.arrayBuffer();
    return { status: answer.status, degraded: answer.headers.get("sluice-degraded"), code: answer.headers.get("sluice-error") };
  }

  /** Clients that never stop; what they saw beside 200, as "status code degraded". */
  function load(): { stop(): Promise<Map<string, number>> } {
    const stopping = new AbortController();
    const seen = new Map<string, number>();
    const client = async (n: number): Promise<void> => {
      for (let i = 0; !stopping.signal.aborted; i++) {
        const path = ["/local", "/open", "/closed"][(n + i) % 3]!;
        const { status, degraded, code } = await ask(path, (n + i) % 2);
        const what = `${path} ${status} ${code ?? ""} ${degraded ?? ""}`.replaceAll(/ +/g, " ").trim();
        seen.set(what, (seen.get(what) ?? 0) + 1);
      }
    };
    const clients = Array.from({ length: CLIENTS }, (_, n) => client(n));
    return {
      async stop() {
        stopping.abort();
        await Promise.all(clients);
        return seen;
      },
    };
  }

  const faults: readonly (readonly [what: string, away: () => Promise<unknown>, back: () => Promise<unknown>])[] = [
    ["killed", () => redis.kill(), () => redis.restart()],
    ["hung", async () => redis.signal("SIGSTOP"), async () => redis.signal("SIGCONT")],
  ];
  for (const [what, away, back] of faults) {
    test(`Redis ${what}: nobody fails but who is to be refused, and both gateways come back by themselves`, PATIENCE, async () => {
      const running = load();
      await away();
      for (const gateway of [0, 1]) {
        await until(async () => (await ask("/local", gateway)).degraded === "limits;mode=local");
        await until(async () => (await ask("/open", gateway)).degraded === "limits;mode=open");
        assert.deepEqual(await ask("/closed", gateway), { status: 503, degraded: "limits;mode=closed", code: "STORE_UNAVAILABLE" });
      }
      assert.match(await gateways[0]!.metrics(), /^sluice_limits_degraded 1$/m);
      await back();
      for (const gateway of [0, 1]) for (const path of ["/local", "/open", "/closed"]) await until(async () => (await ask(path, gateway)).degraded === null);
      const seen = await running.stop();
      const expected = /^\/(local 200( limits;mode=local)?|open 200( limits;mode=open)?|closed 200|closed 503 STORE_UNAVAILABLE limits;mode=closed)$/;
      assert.deepEqual(
        [...seen.keys()].filter((one) => !expected.test(one)),
        [],
        JSON.stringify([...seen]),
      );
      assert.match(await gateways[0]!.metrics(), /^sluice_limits_degraded 0$/m);
    });
  }
});
