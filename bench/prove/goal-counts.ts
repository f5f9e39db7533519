/**
 * A thousand visitors who tell everything twice, while a worker is killed and Redis goes away: what is counted of their goals is what they did. A shop
 * that keeps its own books says what that is.
 */
import http from "node:http";
import type { Report } from "../../runtime/experiments/study/report.ts";
import { HERO, openShop, Shopper } from "../../test/support/shoppers.ts";
import { startRedis } from "../../test/store/redis-server.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { each } from "./experiment-visitors.ts";
import { type Gateway, pause, startGateway, untilStatus } from "./gateway.ts";
import { REDIS_MISSING, redisInstalled } from "./redis.ts";

const USERS = 1_000;
const AT_ONCE = 16;
const OUTAGE_MS = 3_000;
const SETTLED_DEADLINE_MS = 60_000;
const BUYS_EVERY = 3;

export const goalCounts: Claim = {
  name: "goal-counts",
  asked:
    "1,000 scripted users with retries, refreshes, 302-after-POST, a killed worker, a Redis outage: goal counts exact, or short by exactly the loss counter",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  if (!redisInstalled()) return { verdict: "not measured", measured: REDIS_MISSING };
  const users = short ? 60 : USERS;
  // What Redis has answered, it has still after it was killed.
  const redis = await startRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
  const shop = await openShop();
  const gateway = await startGateway({
    command: "start",
    config: { workers: 2, upstreams: { shop: { targets: [shop.url] } }, store: { redis: redis.url }, limits: { connectionsPerClient: 4 * AT_ONCE } },
    rules: { "hero.ts": HERO },
  });
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  try {
    let done = 0;
    let broken = 0;
    const faults = faultsAt(users, gateway, redis, say);
    await each(users, AT_ONCE, async (i) => {
      const shopper = new Shopper(gateway.url, agent);
      await shopper.shop(i % BUYS_EVERY === 0 ? 10 + (i % 90) : null);
      broken += shopper.broken;
      faults.at(++done);
    });
    await faults.over();
    const buyers = Array.from({ length: users }, (_, i) => i).filter((i) => i % BUYS_EVERY === 0);
    const spent = buyers.reduce((sum, i) => sum + 10 + (i % 90), 0);
    const report = await settled(gateway, buyers.length);
    const sum = (of: (arm: Report["arms"][number]) => number): number => report.arms.reduce((total, arm) => total + of(arm), 0);
    const [units, purchases, revenue] = [sum((arm) => arm.units), sum((arm) => arm.goals[0]!.units), sum((arm) => arm.goals[1]!.sum!)];
    const { lost, repeated } = report.quality;
    return judged(
      `${users.toLocaleString("en")} users, ${broken} broken connections told again, a killed worker, Redis away for ${OUTAGE_MS / 1000} s: ${purchases} of ${buyers.length} purchases, revenue ${revenue} of ${spent}, ${units} units, ${repeated} repetitions left out; loss counter: ${lost.goals} goals, ${lost.exposures} exposures`,
      [
        purchases + lost.goals < buyers.length && "goals are missing that the loss counter does not know",
        purchases > buyers.length && "more purchases than were made",
        lost.goals === 0 && revenue !== spent && "the revenue is another one",
        // Whoever never got the first answer has no cookie, and comes as somebody else.
        (units + lost.exposures < users || units > users + broken) && "units are missing, or too many",
      ],
    );
  } finally {
    agent.destroy();
    await gateway.stop();
    await redis.stop();
    shop.close();
  }
}

/** A third of the way a worker is killed, two thirds of the way Redis. */
function faultsAt(users: number, gateway: Gateway, redis: Awaited<ReturnType<typeof startRedis>>, say: (line: string) => void) {
  const running: Promise<void>[] = [];
  return {
    at(done: number): void {
      if (done === Math.floor(users / 3)) running.push(killWorker(gateway, say));
      if (done === Math.floor((users * 2) / 3)) running.push(outage(redis, say));
    },
    over: () => Promise.all(running),
  };
}

async function killWorker(gateway: Gateway, say: (line: string) => void): Promise<void> {
  const { workers } = await untilStatus(gateway, (status) => status.workers.every(({ state }) => state === "serving"));
  process.kill(workers[0]!.pid, "SIGKILL");
  say(`  killed worker ${workers[0]!.pid}`);
}

async function outage(redis: Awaited<ReturnType<typeof startRedis>>, say: (line: string) => void): Promise<void> {
  await redis.kill();
  say("  killed Redis");
  await pause(OUTAGE_MS);
  await redis.restart();
  say("  Redis is back");
}

/** Until counts and losses explain every purchase, or nothing more is to be expected. */
async function settled(gateway: Gateway, purchases: number): Promise<Report> {
  const deadlineMs = performance.now() + SETTLED_DEADLINE_MS;
  for (;;) {
    const report = (await gateway.admin("/v1/experiments/hero-copy")) as Report;
    const counted = "arms" in report ? report.arms.reduce((total, arm) => total + arm.goals[0]!.units, 0) + report.quality.lost.goals : 0;
    // What comes late comes with a retry, half a second after the rest.
    if (counted >= purchases || performance.now() > deadlineMs) {
      await pause(2_000);
      return (await gateway.admin("/v1/experiments/hero-copy")) as Report;
    }
    await pause(200);
  }
}
