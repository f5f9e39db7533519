/** A variant whose pages fail now and then, behind two gateways: how long until it is stopped by itself, and until the last visitor is on control. */
import http from "node:http";
import type { Report } from "../../runtime/experiments/study/report.ts";
import { HERO, openShop, Shopper } from "../../test/support/shoppers.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { type Gateway, pause, startGateway } from "./gateway.ts";
import { REDIS_MISSING, redisInstalled, startProofRedis } from "./redis.ts";

const RUNS = 3;
const ERROR_SHARE = 0.05;
const REQUESTS_A_SECOND = 200;
const CONTROL_WITHIN_MS = 2_000;
const DEADLINE_MS = 60_000;
const AFTER_MS = 3_000;

export const brokenArm: Claim = {
  name: "broken-arm",
  asked: "an arm with 5 % injected errors at 200 requests/s: stopped by itself, time to detection stated, users on control ≤ 2 s later",
  when: "always",
  measure,
};

interface Run {
  readonly detectedMs: number;
  readonly visitors: number;
  /** After the stop, on any gateway; 0: none was served the variant after it. */
  readonly lastVariantMs: number;
  readonly asked: number;
}

async function measure({ short, say }: Proof): Promise<Finding> {
  if (!redisInstalled()) return { verdict: "not measured", measured: REDIS_MISSING };
  const runs: Run[] = [];
  for (let run = 0; run < (short ? 1 : RUNS); run++) {
    const found = await once();
    if (found === null) return judged(`not stopped within ${DEADLINE_MS / 1000} s`, ["it goes on"]);
    say(`  stopped after ${(found.detectedMs / 1000).toFixed(1)} s and ${found.visitors} visitors; the last variant ${found.lastVariantMs} ms later`);
    runs.push(found);
  }
  runs.sort((a, b) => a.detectedMs - b.detectedMs);
  const latest = Math.max(...runs.map(({ lastVariantMs }) => lastVariantMs));
  return judged(
    `${runs.length} runs on two gateways: stopped by itself after ${runs.map(({ detectedMs }) => (detectedMs / 1000).toFixed(1)).join(", ")} s (${runs.map(({ visitors }) => visitors).join(", ")} visitors counted, ${Math.round(runs.reduce((sum, { asked }) => sum + asked, 0) / runs.length)} requests/s sent); the last visitor saw the variant ${latest} ms after the stop`,
    [latest > CONTROL_WITHIN_MS && "users stayed too long"],
  );
}

async function once(): Promise<Run | null> {
  const redis = await startProofRedis();
  const shop = await openShop();
  shop.brokenShare = ERROR_SHARE;
  const spec = {
    command: "start",
    config: { upstreams: { shop: { targets: [shop.url] } }, store: { redis: redis.url }, limits: { connectionsPerClient: 1000 } },
    rules: { "hero.ts": HERO },
  } as const;
  const gateways: Gateway[] = [];
  const agent = new http.Agent({ keepAlive: true, maxSockets: 200 });
  let timer: NodeJS.Timeout | undefined;
  try {
    for (let i = 0; i < 2; i++) gateways.push(await startGateway(spec));
    let [asked, lastVariantUnixMs] = [0, 0];
    const startUnixMs = Date.now();
    timer = setInterval(() => {
      // Timers are late when the machine is busy: what is owed is sent.
      while (asked < ((Date.now() - startUnixMs) / 1000) * REQUESTS_A_SECOND) {
        const gateway = gateways[asked++ % 2]!;
        void new Shopper(gateway.url, agent).ask("GET", "/").then(
          ({ text, status }) => {
            if (status === 500 || text.includes("Buy it now")) lastVariantUnixMs = Date.now();
          },
          () => undefined,
        );
      }
    }, 5);
    const report = await stopped(gateways[1]!);
    if (report === null) return null;
    const detectedMs = report.live.atUnixMs - startUnixMs;
    const rate = asked / ((Date.now() - startUnixMs) / 1000);
    await pause(AFTER_MS);
    const visitors = report.arms.reduce((sum, { units }) => sum + units, 0);
    return { detectedMs, visitors, lastVariantMs: Math.max(0, lastVariantUnixMs - report.live.atUnixMs), asked: rate };
  } finally {
    clearInterval(timer);
    agent.destroy();
    for (const gateway of gateways) await gateway.stop();
    await redis.stop();
    shop.close();
  }
}

async function stopped(gateway: Gateway): Promise<Report | null> {
  const deadlineMs = performance.now() + DEADLINE_MS;
  while (performance.now() < deadlineMs) {
    const report = (await gateway.admin("/v1/experiments/hero-copy")) as Report;
    if ("live" in report && report.live.state.kind === "stopped") return report;
    await pause(100);
  }
  return null;
}
