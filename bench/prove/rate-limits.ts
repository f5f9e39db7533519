/** Limits over several gateways with one Redis: how many requests they admit together, and what a limited request costs. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { answers, end, freePorts, isPinned, start, tree } from "../load/processes.ts";
import { wrk, WRK_MISSING, wrkInstalled } from "../load/wrk.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { REDIS_MISSING, redisInstalled, startProofRedis } from "./redis.ts";
import { askInTurn, offer } from "./steady-load.ts";

const GATEWAYS = 4;
const LIMIT_PER_SECOND = 1_000;
const OFFERED_PER_SECOND = 10_000;
const SECONDS = 10;
const BURST = 1_000;
/** `largestLease`: a twentieth of the burst, for each worker. */
const LEASED_ABOVE = (GATEWAYS * BURST) / 20;

export const rateLimits: Claim = {
  name: "rate-limits",
  asked: `4 gateways with one Redis, one GCRA limit of 1,000/s (burst 1,000), 10,000/s offered for 10 s: admitted within 1 % of limit + burst (exact), and at most ${LEASED_ABOVE} above it (leased: workers × largest lease)`,
  when: "always",
  measure: admitted,
};

async function admitted({ short, say }: Proof): Promise<Finding> {
  if (!redisInstalled()) return { verdict: "not measured", measured: REDIS_MISSING };
  const seconds = short ? 1 : SECONDS;
  const redis = await startProofRedis();
  const origin = await startOrigin((_, response) => response.setHeader("content-length", 2).end("ok"));
  const gateways: Gateway[] = [];
  try {
    const limit = (name: string, mode: string) => ({ name, rate: `${LIMIT_PER_SECOND}/1s`, burst: BURST, key: [], mode });
    const config = {
      upstreams: { site: { targets: [origin.url] } },
      routes: [
        { match: { path: "/exact" }, upstream: "site", limits: [limit("exact", "exact")] },
        { match: { path: "/leased" }, upstream: "site", limits: [limit("leased", "leased")] },
        { match: { path: "/warm" }, upstream: "site", limits: [limit("warm", "exact")] },
      ],
      store: { redis: redis.url },
    };
    for (let i = 0; i < GATEWAYS; i++) gateways.push(await startGateway({ command: "start", config }));
    const run = async (path: string, forSeconds = seconds) => {
      const load = { ports: gateways.map(({ port }) => port), connectionsPerPort: 32, requestsPerSecond: OFFERED_PER_SECOND, seconds: forSeconds, path };
      const { sent, statuses, tookMs } = await offer(load);
      const [passed, refused] = [statuses.get(200) ?? 0, statuses.get(429) ?? 0];
      const allowed = BURST + (LIMIT_PER_SECOND * tookMs) / 1000;
      say(`  ${path}: ${sent} sent in ${(tookMs / 1000).toFixed(2)} s, ${passed} admitted of ${allowed.toFixed(0)}, ${refused} refused`);
      return { sent, passed, allowed, failed: sent - passed - refused };
    };
    // A bucket is full until the first request has come through: what happens for the first time must not happen then.
    await run("/warm", 1);
    const exact = await run("/exact");
    const leased = await run("/leased");
    const text = ({ sent, passed, allowed }: typeof exact): string =>
      `${passed.toLocaleString("en")} of ${sent.toLocaleString("en")} admitted, limit + burst is ${allowed.toFixed(0)} (${((passed / allowed - 1) * 100).toFixed(2)} %)`;
    const offered = (OFFERED_PER_SECOND * seconds * 0.99) | 0;
    return judged(`exact: ${text(exact)}; leased: ${text(leased)}`, [
      Math.abs(exact.passed / exact.allowed - 1) > 0.01 && "exact is not within 1 %",
      leased.passed > leased.allowed + LEASED_ABOVE && "leased is above its bound",
      leased.passed < leased.allowed * 0.95 && "leased admits less than 95 %",
      exact.failed + leased.failed > 0 && `${exact.failed + leased.failed} requests failed`,
      Math.min(exact.sent, leased.sent) < offered && "not as many were offered as asked",
    ]);
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    origin.close();
    await redis.stop();
  }
}

const EXACT_CPU_US = 10;
const LEASED_CPU_US = 4;
const EXACT_LATENCY_MS = 0.5;
const CONNECTIONS = 50;
const PATHS = ["/free", "/exact", "/leased"] as const;
type Path = (typeof PATHS)[number];

export const rateLimitCost: Claim = {
  name: "rate-limit-cost",
  asked: `a limited request beside an unlimited one, Redis, ${CONNECTIONS} connections: at most ${EXACT_CPU_US} µs of CPU more (exact), ${LEASED_CPU_US} µs (leased); one at a time: median at most ${EXACT_LATENCY_MS} ms more (exact)`,
  when: "always",
  measure: cost,
};

async function cost({ short, say }: Proof): Promise<Finding> {
  if (!wrkInstalled()) return { verdict: "not measured", measured: WRK_MISSING };
  if (!redisInstalled()) return { verdict: "not measured", measured: REDIS_MISSING };
  const redis = await startProofRedis();
  const [originPort] = (await freePorts(1)) as [number];
  const originServer = {
    name: "origin",
    command: [process.execPath, join(import.meta.dirname, "../load/origin.ts"), String(originPort), "1024"],
    port: originPort,
  };
  const origin = start(originServer, "load");
  let gateway: Gateway | null = null;
  try {
    await answers(originServer, origin);
    const limit = (mode: string) => [{ name: mode, rate: "100000/1s", mode }];
    gateway = await startGateway({
      command: "start",
      config: {
        upstreams: { site: { targets: [`http://127.0.0.1:${originPort}`] } },
        routes: [
          { match: { path: "/exact" }, upstream: "site", limits: limit("exact") },
          { match: { path: "/leased" }, upstream: "site", limits: limit("leased") },
          { upstream: "site" },
        ],
        store: { redis: redis.url },
      },
    });
    if (isPinned) for (const pid of tree(gateway.pid).pids) spawnSync("taskset", ["-a", "-c", "-p", "0", String(pid)]);
    const cpuUs = await cpuOf(gateway, short ? { rounds: 1, seconds: 1 } : { rounds: 4, seconds: 5 }, say);
    const latencyMs = await latencyOf(gateway, short ? 200 : 4_000);
    const [exactUs, leasedUs] = [cpuUs["/exact"] - cpuUs["/free"], cpuUs["/leased"] - cpuUs["/free"]];
    const laterMs = latencyMs["/exact"] - latencyMs["/free"];
    return judged(
      `${cpuUs["/free"].toFixed(1)} µs unlimited; exact + ${exactUs.toFixed(1)} µs, leased + ${leasedUs.toFixed(1)} µs; median ${latencyMs["/free"].toFixed(2)} ms unlimited, exact + ${laterMs.toFixed(2)} ms, leased + ${(latencyMs["/leased"] - latencyMs["/free"]).toFixed(2)} ms`,
      [
        exactUs > EXACT_CPU_US && `exact is above ${EXACT_CPU_US} µs`,
        leasedUs > LEASED_CPU_US && `leased is above ${LEASED_CPU_US} µs`,
        laterMs > EXACT_LATENCY_MS && `exact is more than ${EXACT_LATENCY_MS} ms later`,
      ],
    );
  } finally {
    await gateway?.stop();
    await end(origin);
    await redis.stop();
  }
}

/** In turns, so that no drift of the machine favours one; the median round of each. */
async function cpuOf(gateway: Gateway, { rounds, seconds }: { rounds: number; seconds: number }, say: Proof["say"]): Promise<Record<Path, number>> {
  const runs: Record<Path, number[]> = { "/free": [], "/exact": [], "/leased": [] };
  for (const path of PATHS) await wrk(gateway.port, { connections: CONNECTIONS, seconds: Math.min(2, seconds), path });
  for (let round = 0; round < rounds; round++) {
    for (const path of round % 2 === 0 ? PATHS : PATHS.toReversed()) {
      const before = tree(gateway.pid).cpuSeconds;
      const { requests, errors } = await wrk(gateway.port, { connections: CONNECTIONS, seconds, path });
      if (errors > 0) throw new Error(`${errors} of ${requests} requests of ${path} failed`);
      const usedUs = ((tree(gateway.pid).cpuSeconds - before) * 1e6) / requests;
      runs[path].push(usedUs);
      say(`  ${path}: ${usedUs.toFixed(1)} µs CPU, ${(requests / seconds).toFixed(0)} requests/s`);
    }
  }
  return { "/free": median(runs["/free"]), "/exact": median(runs["/exact"]), "/leased": median(runs["/leased"]) };
}

async function latencyOf(gateway: Gateway, count: number): Promise<Record<Path, number>> {
  const took: Record<Path, number[]> = { "/free": [], "/exact": [], "/leased": [] };
  const rounds = 4;
  for (let round = 0; round < rounds; round++) for (const path of PATHS) took[path].push(...(await askInTurn(gateway.port, path, Math.ceil(count / rounds))));
  return { "/free": median(took["/free"]), "/exact": median(took["/exact"]), "/leased": median(took["/leased"]) };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
