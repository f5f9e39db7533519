/** Redis goes away in every way it can while visitors keep coming: who is refused, how long they wait, and whether everything comes back. */
import net from "node:net";
import { Redis } from "ioredis";
import { freePorts } from "../load/processes.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { type ProofRedis, REDIS_MISSING, redisInstalled, startProofRedis } from "./redis.ts";
import { type Answer, type Tally, Visitors } from "./visitors.ts";

const STORE_TIMEOUT_MS = 500;
/** Of the work itself, above the time-out: undisturbed visitors wait so long at the 99th percentile, or less. */
const ALLOWANCE_MS = 100;
const FAULT_MS = 4_000;
const RECOVERY_DEADLINE_MS = 15_000;
const SLOW_MS = 2_000;
const VISITORS_EACH = 8;
const MODES = ["local", "open", "closed"] as const;

export const redisFaults: Claim = {
  name: "redis-faults",
  asked: `Redis killed, hung, slow by 2 s and flushed in the middle of load: 0 failed requests beyond what onStoreLoss says, p99 bounded by the store's time-out (${STORE_TIMEOUT_MS} ms), full recovery`,
  when: "always",
  measure,
};

/** Stands between gateways and Redis, so that it can be slow without being gone. */
class Line {
  readonly port: number;
  delayMs = 0;
  readonly #server: net.Server;

  private constructor(port: number, redisPort: number) {
    this.port = port;
    this.#server = net.createServer((gateway) => {
      const redis = net.connect({ port: redisPort, host: "127.0.0.1", noDelay: true });
      for (const [from, to] of [
        [gateway, redis],
        [redis, gateway],
      ] as const) {
        // What left earlier arrives earlier, also when the line is fast again.
        let lastMs = 0;
        from.on("data", (bytes: Buffer) => {
          lastMs = Math.max(lastMs, performance.now() + this.delayMs);
          const waitMs = lastMs - performance.now();
          if (waitMs <= 0) to.write(bytes);
          else setTimeout(() => to.write(bytes), waitMs);
        });
        from.on("close", () => to.destroy());
        // What breaks is what this is about.
        from.on("error", () => to.destroy());
      }
    });
  }
  static async open(redisPort: number): Promise<Line> {
    const [port] = (await freePorts(1)) as [number];
    const line = new Line(port, redisPort);
    await new Promise<void>((resolve) => line.#server.listen(port, "127.0.0.1", resolve));
    return line;
  }
  close(): void {
    this.#server.close();
  }
}

interface Fault {
  readonly name: string;
  begin(): Promise<unknown> | void;
  end(): Promise<unknown> | void;
}

async function measure({ short, say }: Proof): Promise<Finding> {
  if (!redisInstalled()) return { verdict: "not measured", measured: REDIS_MISSING };
  const faultMs = short ? 1_000 : FAULT_MS;
  let redis = await startProofRedis();
  const redisPort = Number(new URL(redis.url).port);
  const line = await Line.open(redisPort);
  const origin = await startOrigin((request, response) => {
    if (request.url?.startsWith("/cached") === true) response.setHeader("cache-control", "max-age=1");
    response.end(request.url);
  });
  const gateways: Gateway[] = [];
  const crowds: Visitors[] = [];
  try {
    const route = (mode: string) => ({
      match: { path: `/${mode}/*` },
      upstream: "site",
      limits: [{ name: mode, rate: "100000000/1h", key: [], onStoreLoss: mode }],
    });
    const config = {
      upstreams: { site: { targets: [origin.url] } },
      routes: [...MODES.map(route), { match: { path: "/cached/*" }, upstream: "site", cache: {} }],
      store: { redis: `redis://127.0.0.1:${line.port}`, timeout: `${STORE_TIMEOUT_MS}ms` },
    };
    gateways.push(await startGateway({ command: "start", config }), await startGateway({ command: "start", config }));
    for (const { port } of gateways) {
      for (const kind of [...MODES, "cached"])
        crowds.push(new Visitors({ port, count: VISITORS_EACH, pauseMs: 5, path: (n) => `/${kind}/${n % 50}`, judge: (answer) => judgeAnswer(kind, answer) }));
    }
    const take = (): Tally[] => crowds.map((crowd) => crowd.take());
    await pause(faultMs);
    const undisturbedMs = Math.max(...take().map(({ p99Ms }) => p99Ms));
    const faults: readonly Fault[] = [
      { name: "killed", begin: () => kill(redis), end: async () => void (redis = await startProofRedis(redisPort)) },
      { name: "hung", begin: () => void redis.process.kill("SIGSTOP"), end: () => void redis.process.kill("SIGCONT") },
      { name: "slow", begin: () => void (line.delayMs = SLOW_MS), end: () => void (line.delayMs = 0) },
      { name: "flushed", begin: () => flush(redisPort), end: () => undefined },
    ];
    const found: string[] = [];
    const wrong: string[] = [];
    for (const fault of faults) {
      take();
      await fault.begin();
      await pause(faultMs);
      await fault.end();
      const recoveredMs = await recovery(gateways);
      const tallies = take();
      const requests = tallies.reduce((sum, tally) => sum + tally.requests, 0);
      const failed = tallies.reduce((sum, tally) => sum + tally.failed, 0);
      const p99Ms = Math.max(...tallies.map((tally) => tally.p99Ms));
      const text = `${fault.name}: ${failed} of ${requests.toLocaleString("en")} failed, p99 ${p99Ms.toFixed(0)} ms, whole again after ${recoveredMs < 0 ? "more than 15 s" : `${(recoveredMs / 1000).toFixed(1)} s`}`;
      say(`  ${text}`);
      found.push(text);
      if (failed > 0) wrong.push(`${fault.name}: ${tallies.flatMap(({ failures }) => failures)[0]}`);
      if (p99Ms > STORE_TIMEOUT_MS + undisturbedMs + ALLOWANCE_MS) wrong.push(`${fault.name}: p99 ${p99Ms.toFixed(0)} ms`);
      if (recoveredMs < 0) wrong.push(`${fault.name}: it did not come back`);
    }
    return judged(`${found.join("; ")} (undisturbed p99 ${undisturbedMs.toFixed(0)} ms)`, wrong);
  } finally {
    await Promise.all(crowds.map((crowd) => crowd.stop()));
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    line.close();
    origin.close();
    await redis.stop();
  }
}

/** "closed" may refuse while the store is away, and only so; nobody else may. */
function judgeAnswer(kind: string, { status, headers, body }: Answer): string {
  if (status === 200 && body.startsWith(`/${kind}/`)) return "";
  const refused = kind === "closed" && status === 503 && headers["sluice-error"] === "STORE_UNAVAILABLE" && headers["sluice-degraded"] !== undefined;
  return refused ? "" : `/${kind}: ${status} ${String(headers["sluice-error"] ?? body.slice(0, 80))}`;
}

/** Until no gateway says that it is degraded; −1 when that never comes. */
async function recovery(gateways: readonly Gateway[]): Promise<number> {
  const startMs = performance.now();
  while (performance.now() - startMs < RECOVERY_DEADLINE_MS) {
    const answers = await Promise.all(gateways.flatMap(({ url }) => MODES.map((mode) => fetch(`${url}/${mode}/recovery`))));
    await Promise.all(answers.map((answer) => answer.arrayBuffer()));
    if (answers.every(({ status, headers }) => status === 200 && !headers.has("sluice-degraded"))) return performance.now() - startMs;
    await pause(100);
  }
  return -1;
}

async function kill(redis: ProofRedis): Promise<void> {
  await redis.stop();
}

async function flush(port: number): Promise<void> {
  const client = new Redis({ port, host: "127.0.0.1" });
  await client.flushall();
  await client.script("FLUSH");
  client.disconnect();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
