import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { startRedis, type RedisServer } from "../store/redis-server.ts";
import { type RunningGateway, startGateway } from "../support/running-gateway.ts";
import { startSluice } from "./sluice-command.ts";

const RULE = `import { defineRule } from "sluice"
export default defineRule({
  when: { path: "/tagged/*" },
  onOriginResponse(res) { res.cache({ lifetime: "10m", tags: ["news"] }) },
})`;

const ENV = { CACHE_SECRET: "the same on both" };

let redis: RedisServer;
let origin: http.Server;
let gateways: RunningGateway[] = [];
/** Target → how often the origin was asked for it. */
const asked = new Map<string, number>();

before(async () => {
  redis = await startRedis();
  origin = http.createServer((request, response) => {
    const count = (asked.get(request.url!) ?? 0) + 1;
    asked.set(request.url!, count);
    const answer = (): void => {
      if (request.url!.startsWith("/torn")) {
        response.writeHead(200, { "cache-control": "max-age=600", "content-length": 1000 });
        response.write("half of it", () => response.destroy());
        return;
      }
      response.setHeader("cache-control", request.url!.startsWith("/private") ? "private" : "max-age=600");
      response.write(`${request.url} `);
      response.end(`number ${count}`);
    };
    if (request.url!.startsWith("/slow")) setTimeout(answer, 300);
    else answer();
  });
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  const { port } = origin.address() as AddressInfo;
  const config = {
    workers: 2,
    upstreams: { site: { targets: [`http://127.0.0.1:${port}`] } },
    store: { redis: redis.url },
    cache: { secret: { env: "CACHE_SECRET" } },
    // All clients come from one address here.
    limits: { connectionsPerClient: 10_000 },
  };
  const spec = { config, rules: { "tags.ts": RULE }, env: ENV };
  gateways = await Promise.all([startGateway(spec), startGateway(spec)]);
});
after(async () => {
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  await redis.stop();
  origin.close();
  origin.closeAllConnections();
});

interface Got {
  readonly status: number;
  readonly text: string;
  readonly cacheStatus: string;
}

/** On a connection of its own, under one name for both gateways. */
function get(gateway: number, target: string, headers: Record<string, string> = {}, method = "GET"): Promise<Got> {
  return new Promise((resolve, reject) => {
    const { port } = gateways[gateway]!;
    const request = http.request({ host: "127.0.0.1", port, path: target, method, agent: false, headers: { host: "shop.example", ...headers } }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response
        .on("end", () => resolve({ status: response.statusCode!, text, cacheStatus: String(response.headers["cache-status"] ?? "") }))
        .on("error", reject);
    });
    request.on("error", reject).end();
  });
}

async function admin(gateway: number): Promise<string> {
  const [, url] = await gateways[gateway]!.process.printed(/admin on (\S+)/);
  return url!;
}

async function purge(gateway: number, ...args: string[]): Promise<{ code: number; text: string }> {
  const command = startSluice(gateways[gateway]!.folder, ["purge", ...args, "--admin", await admin(gateway)], undefined, ENV);
  const code = await command.exit;
  return { code, text: command.text() };
}

describe("two gateways with two workers each, and one Redis", () => {
  test("a thousand clients at one cold key are one request to the origin", async () => {
    const got = await Promise.all(Array.from({ length: 1000 }, (_, i) => get(i % 2, "/slow/cold")));
    assert.deepEqual([...new Set(got.map(({ status, text }) => `${status} ${text}`))], ["200 /slow/cold number 1"]);
    assert.equal(asked.get("/slow/cold"), 1);
    assert.match((await get(0, "/slow/cold")).cacheStatus, /^sluice; hit; ttl=/);
  });

  test("what one gateway fetched the other has", async () => {
    await get(0, "/shared");
    assert.equal((await get(1, "/shared")).text, "/shared number 1");
  });

  test("an answer that breaks off is served to nobody else", async () => {
    const outcomes = await Promise.allSettled([get(0, "/torn"), get(1, "/torn")]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    assert.ok(asked.get("/torn")! >= 2);
  });

  test("private answers stay with their client", async () => {
    const got = await Promise.all(Array.from({ length: 20 }, (_, i) => get(i % 2, "/private")));
    assert.equal(new Set(got.map(({ text }) => text)).size, 20);
  });

  test("sluice purge returns when no worker of any gateway serves it any more", async () => {
    const targets = Array.from({ length: 50 }, (_, i) => `/tagged/${i}`);
    for (const target of targets) for (const gateway of [0, 1, 0, 1]) await get(gateway, target);
    const { code, text } = await purge(0, "--tag", "news");
    assert.deepEqual([code, text.trim()], [0, "purged tag news on 4 workers"]);
    const got = await Promise.all(targets.flatMap((target) => [0, 1, 0, 1].map((gateway) => get(gateway, target))));
    assert.deepEqual([...new Set(got.map(({ text: body }) => body.replace(/\/tagged\/\d+/, "")))], [" number 2"]);
  });

  test("sluice purge takes a URL or a prefix as people write it, and says what it can't do", async () => {
    for (const target of ["/one?a=1", "/many/a", "/many/b"]) await get(0, target);
    assert.equal((await purge(1, "--url", "https://shop.example/one?a=1")).code, 0);
    assert.equal((await purge(1, "--prefix", "shop.example/many/")).code, 0);
    for (const target of ["/one?a=1", "/many/a", "/many/b"]) assert.equal((await get(0, target)).text, `${target} number 2`);
    assert.equal((await purge(0)).code, 2);
    assert.equal((await purge(0, "--tag", "a", "--all")).code, 2);
    const refused = await purge(0, "--tag", "a,b");
    assert.deepEqual([refused.code, /BODY_REFUSED/.test(refused.text)], [1, true]);
  });

  test("metrics count it", async () => {
    const metrics = await gateways[0]!.metrics();
    assert.match(metrics, /^sluice_cache_requests_total\{outcome="collapsed"\} [1-9]/m);
    assert.match(metrics, /^sluice_cache_shared_total\{event="forged"\} 0$/m);
    assert.match(metrics, /^sluice_cache_entries [1-9]/m);
  });
});
