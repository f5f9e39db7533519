/** The cache over several gateways with one Redis: crowds at a cold key, purges by tag; and on one, how well its memory is used. */
import http from "node:http";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { REDIS_MISSING, redisInstalled, startProofRedis } from "./redis.ts";

const TOKEN = "token-of-the-cache-proofs";
const HOST = "shop.example";

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly cacheStatus: string;
}

function ask(gateway: Gateway, target: string, agent: http.Agent | false): Promise<Answer> {
  return new Promise((resolve, reject) => {
    http
      .get({ host: "127.0.0.1", port: gateway.port, path: target, agent, headers: { host: HOST } }, (response) => {
        let text = "";
        response.setEncoding("latin1").on("data", (piece: string) => (text += piece));
        response.on("end", () => resolve({ status: response.statusCode!, text, cacheStatus: String(response.headers["cache-status"]) })).on("error", reject);
      })
      .on("error", reject);
  });
}

async function withGateways<T>(count: number, config: Readonly<Record<string, unknown>>, work: (gateways: readonly Gateway[]) => Promise<T>): Promise<T> {
  const gateways: Gateway[] = [];
  try {
    for (let i = 0; i < count; i++) gateways.push(await startGateway({ command: "start", config, env: { SLUICE_ADMIN_TOKEN: TOKEN } }));
    return await work(gateways);
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  }
}

const CROWD = 1_000;

export const cacheCrowd: Claim = {
  name: "cache-crowd",
  asked: "1,000 clients at once for one cold key, two gateways with one Redis: 1 request to the origin",
  when: "always",
  async measure({ short, say }: Proof): Promise<Finding> {
    if (!redisInstalled()) return { verdict: "not measured", measured: REDIS_MISSING };
    const redis = await startProofRedis();
    const asked = new Map<string, number>();
    const origin = await startOrigin((request, response) => {
      asked.set(request.url!, (asked.get(request.url!) ?? 0) + 1);
      const answer = (): void => void response.setHeader("cache-control", "max-age=600").end("x".repeat(10_000));
      setTimeout(answer, 200);
    });
    try {
      // All clients come from one address here.
      const limits = { connectionsPerClient: 10_000 };
      const config = { workers: 2, upstreams: { site: { targets: [origin.url] } }, store: { redis: redis.url }, cache: {}, limits };
      return await withGateways(2, config, async (gateways) => {
        const rounds = short ? 1 : 5;
        const fetches: number[] = [];
        let failed = 0;
        for (let round = 0; round < rounds; round++) {
          const target = `/cold/${round}`;
          const answers = await Promise.all(Array.from({ length: CROWD }, (_, i) => ask(gateways[i % 2]!, target, false)));
          const wrong = answers.filter(({ status, text }) => status !== 200 || text.length !== 10_000);
          failed += wrong.length;
          if (wrong.length > 0) say(`  wrong: ${wrong[0]!.status} with ${wrong[0]!.text.length} bytes: ${wrong[0]!.text.slice(0, 200)}`);
          fetches.push(asked.get(target) ?? 0);
          say(`  ${CROWD} clients: ${asked.get(target)} to the origin`);
        }
        return judged(`${rounds} crowds: ${fetches.join(", ")} requests to the origin, ${failed} answers wrong`, [
          fetches.some((count) => count !== 1) && "not always 1",
          failed > 0 && `${failed} answers wrong`,
        ]);
      });
    } finally {
      origin.close();
      await redis.stop();
    }
  },
};

const ENTRIES = 10_000;
const PURGE_WITHIN_MS = 1_000;

export const purgeByTag: Claim = {
  name: "purge-by-tag",
  asked: "purge by tag of 10,000 entries on 4 gateways: within 1 s, and none served after it returns",
  when: "always",
  async measure({ short, say }: Proof): Promise<Finding> {
    if (!redisInstalled()) return { verdict: "not measured", measured: REDIS_MISSING };
    const redis = await startProofRedis();
    let version = "before";
    const origin = await startOrigin((_, response) => response.setHeader("cache-control", "max-age=600").setHeader("cache-tag", "all").end(version));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
    try {
      const config = { upstreams: { site: { targets: [origin.url] } }, store: { redis: redis.url }, cache: {} };
      return await withGateways(4, config, async (gateways) => {
        const entries = short ? 500 : ENTRIES;
        const everywhere = async (look: (answer: Answer) => void): Promise<void> => {
          for (const gateway of gateways) {
            let next = 0;
            const client = async (): Promise<void> => {
              while (next < entries) look(await ask(gateway, `/page/${next++}`, agent));
            };
            await Promise.all(Array.from({ length: 32 }, client));
          }
        };
        await everywhere(() => undefined);
        say(`  ${entries} entries on each of ${gateways.length} gateways`);
        const [, admin] = /admin on (http:\S+)/.exec(gateways[0]!.output())!;
        version = "after";
        const startedMs = performance.now();
        const answer = await fetch(`${admin}/v1/cache/purge`, { method: "POST", headers: { authorization: `Bearer ${TOKEN}` }, body: '{"tag":"all"}' });
        const tookMs = performance.now() - startedMs;
        let old = 0;
        let looked = 0;
        await everywhere(({ text }) => {
          looked++;
          if (text !== "after") old++;
        });
        return judged(
          `${tookMs.toFixed(0)} ms for ${entries.toLocaleString("en")} entries on ${gateways.length} gateways; ${old} of ${looked.toLocaleString("en")} answers afterwards were old`,
          [!answer.ok && `the purge was answered ${answer.status}`, tookMs > PURGE_WITHIN_MS && `above ${PURGE_WITHIN_MS} ms`, old > 0 && `${old} old answers`],
        );
      });
    } finally {
      agent.destroy();
      origin.close();
      await redis.stop();
    }
  },
};

const KEYS = 100_000;
const EXPONENT = 0.9;
const MEMORY_SHARE = 0.1;
const BODY_BYTES = 10_240;
const WITHIN = 0.02;

export const cacheHitRatio: Claim = {
  name: "cache-hit-ratio",
  asked: "100,000 keys, Zipf 0.9, memory for 10 % of the bytes: hit ratio within 2 points of an LRU simulation, memory within the bound",
  when: "always",
  async measure({ short, say }: Proof): Promise<Finding> {
    const keys = short ? 2_000 : KEYS;
    const limitBytes = keys * BODY_BYTES * MEMORY_SHARE;
    const body = "x".repeat(BODY_BYTES);
    const origin = await startOrigin((_, response) => response.setHeader("cache-control", "max-age=6000").end(body));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
    try {
      const config = { upstreams: { site: { targets: [origin.url] } }, cache: { memory: `${limitBytes}B` } };
      return await withGateways(1, config, async ([gateway]) => {
        const requests = keys * 3;
        const warmUp = keys;
        const next = zipf(keys, EXPONENT);
        const asked: number[] = [];
        let [sent, hits, mostBytes] = [0, 0, 0];
        const client = async (): Promise<void> => {
          while (sent < requests) {
            const counts = ++sent > warmUp;
            const key = next();
            asked.push(key);
            const { cacheStatus } = await ask(gateway!, `/${key}`, agent);
            if (counts && cacheStatus.includes("; hit")) hits++;
            if (sent % 50_000 === 0) mostBytes = Math.max(mostBytes, await gauge(gateway!, "bytes"));
          }
        };
        await Promise.all(Array.from({ length: 32 }, client));
        const bytes = await gauge(gateway!, "bytes");
        mostBytes = Math.max(mostBytes, bytes);
        // Heads, keys and the order of use take memory too: the simulation has the room that the bound leaves for whole answers.
        const answerBytes = bytes / (await gauge(gateway!, "entries"));
        const own = hits / (requests - warmUp);
        const ideal = lruRatio(asked, warmUp, limitBytes / answerBytes);
        say(`  ${(own * 100).toFixed(2)} % hits, the simulation has ${(ideal * 100).toFixed(2)} %`);
        return judged(
          `${(own * 100).toFixed(2)} % hits, an LRU of the same bytes has ${(ideal * 100).toFixed(2)} % (counting bodies alone, ${(lruRatio(asked, warmUp, keys * MEMORY_SHARE) * 100).toFixed(2)} %); ${(mostBytes / 2 ** 20).toFixed(1)} of ${(limitBytes / 2 ** 20).toFixed(1)} MiB used`,
          [Math.abs(own - ideal) > WITHIN && "more than 2 points apart", mostBytes > limitBytes && "above the bound"],
        );
      });
    } finally {
      agent.destroy();
      origin.close();
    }
  },
};

async function gauge(gateway: Gateway, name: "bytes" | "entries"): Promise<number> {
  const [, admin] = /admin on (http:\S+)/.exec(gateway.output())!;
  const answer = await fetch(`${admin}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
  return Number(new RegExp(`^sluice_cache_${name} (\\d+)`, "m").exec(await answer.text())?.[1] ?? Infinity);
}

/** Hits of an LRU with room for so many keys, as a share of the requests after the warm-up. */
function lruRatio(asked: readonly number[], warmUp: number, room: number): number {
  const lru = new Map<number, true>();
  let hits = 0;
  for (const [i, key] of asked.entries()) {
    if (lru.delete(key) && i >= warmUp) hits++;
    lru.set(key, true);
    if (lru.size > room) lru.delete(lru.keys().next().value!);
  }
  return hits / (asked.length - warmUp);
}

/** Keys with the frequencies of Zipf's law, the same in each run. */
function zipf(keys: number, exponent: number): () => number {
  const sums = new Float64Array(keys);
  let sum = 0;
  for (let i = 0; i < keys; i++) sums[i] = sum += (i + 1) ** -exponent;
  let seed = 1;
  return () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    const at = (seed / 2 ** 32) * sum;
    let [low, high] = [0, keys - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! < at) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
