import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { startRedis, type RedisServer } from "../store/redis-server.ts";
import { type RunningGateway, startGateway } from "../support/running-gateway.ts";

let redis: RedisServer;
let origin: http.Server;
let gateways: RunningGateway[] = [];
let fetches = 0;

before(async () => {
  redis = await startRedis();
  origin = http.createServer((request, response) => {
    fetches++;
    response.setHeader("cache-control", "max-age=600").end(request.url);
  });
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  const { port } = origin.address() as AddressInfo;
  const config = { upstreams: { site: { targets: [`http://127.0.0.1:${port}`] } }, store: { redis: redis.url, timeout: "200ms" }, cache: {} };
  gateways = await Promise.all([startGateway({ config }), startGateway({ config })]);
});
after(async () => {
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  await redis.stop();
  origin.close();
  origin.closeAllConnections();
});

function get(gateway: number, target: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port } = gateways[gateway]!;
    http
      .get({ host: "127.0.0.1", port, path: target, agent: false, headers: { host: "shop.example" } }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
        response.on("end", () => resolve(`${response.statusCode} ${text}`)).on("error", reject);
      })
      .on("error", reject);
  });
}

let next = 0;
/** Cold keys on both gateways: every one is answered. */
async function allAnswered(): Promise<void> {
  const targets = Array.from({ length: 20 }, () => `/cold/${next++}`);
  const got = await Promise.all(targets.flatMap((target) => [get(0, target), get(1, target)]));
  assert.deepEqual(
    got,
    targets.flatMap((target) => [`200 ${target}`, `200 ${target}`]),
  );
}

/** Until one gateway takes from the store what the other fetched. */
async function sharesAgain(): Promise<void> {
  const deadlineMs = Date.now() + 30_000;
  for (;;) {
    const target = `/again/${next++}`;
    const asked = fetches;
    await get(0, target);
    await get(1, target);
    if (fetches - asked === 1) return;
    if (Date.now() > deadlineMs) throw new Error("the gateways did not come to share again");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("requests are answered and the gateways share again after Redis was", () => {
  test("killed and started again", async () => {
    await sharesAgain();
    await redis.kill();
    await allAnswered();
    await redis.restart();
    await sharesAgain();
  });
  test("stopped, so that it hangs, and continued", async () => {
    redis.signal("SIGSTOP");
    await allAnswered();
    redis.signal("SIGCONT");
    await sharesAgain();
  });
  test("flushed", async () => {
    await redis.ask("FLUSHALL");
    await allAnswered();
    await sharesAgain();
  });
});
