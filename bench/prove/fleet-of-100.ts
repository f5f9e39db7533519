/** A hundred gateways on one Redis, as the protocol sees them: how soon all serve, what one that rejects does, and what ten do that have died. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { figure } from "../load/results.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { type LightGateway, rollOutFrom, startLightGateway } from "./light-gateway.ts";
import { REDIS_MISSING, redisInstalled, startProofRedis } from "./redis.ts";

const GATEWAYS = 100;
const MORTAL = 10;
const ROUNDS = 10;
const SHORT_ROUNDS = 2;
const WITHIN_MS = 5_000;
/** As `sluice deploy --timeout` might say. */
const TIMEOUT_MS = 10_000;
const GATHER_DEADLINE_MS = 30_000;

export const fleetOf100: Claim = {
  name: "fleet-of-100",
  asked: "100 gateways converge within 5 s; one that rejects stops all; 10 that are dead are named and don't block --wait beyond its time-out",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  if (!redisInstalled()) return { verdict: "not measured", measured: REDIS_MISSING };
  const redis = await startProofRedis();
  const mortal = fork(join(import.meta.dirname, "light-gateways-main.ts"), [redis.url, String(MORTAL), "mortal"], {
    execArgv: ["--conditions=sluice-source"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const gateways: LightGateway[] = [];
  try {
    await started(mortal);
    for (let i = 0; i < GATEWAYS - MORTAL; i++) gateways.push(await startLightGateway(`gateway-${String(i).padStart(2, "0")}`, redis.url));
    const [leader] = gateways as [LightGateway];
    await gathered(leader);

    const tookMs: number[] = [];
    for (let round = 0; round < (short ? SHORT_ROUNDS : ROUNDS); round++) {
      const { state, reason, tookMs: took, gateways: rows } = await rollOutFrom(leader, `round ${round}`, TIMEOUT_MS);
      const serving = rows.filter((row) => row.state === "serving").length;
      if (state !== "serving" || serving !== GATEWAYS) throw new Error(`round ${round} ended ${state} with ${serving} serving: ${reason}`);
      say(`  100 gateways serve it after ${took.toFixed(0)} ms`);
      tookMs.push(took);
    }
    const converged = figure(tookMs);

    gateways[42]!.refuseWith("this one says no");
    const stopped = await rollOutFrom(leader, "rejected by one", TIMEOUT_MS);
    const activated = await servingElsewhere(leader);
    gateways[42]!.refuseWith("");
    say(`  rejected by one: ${stopped.state}, "${stopped.reason}", activated on ${activated}`);

    mortal.kill("SIGKILL");
    await once(mortal, "exit");
    const without = await rollOutFrom(leader, "ten are dead", TIMEOUT_MS);
    const named = without.gateways.filter(({ state, name }) => state === "away" && name.startsWith("mortal-")).length;
    const serving = without.gateways.filter(({ state }) => state === "serving").length;
    say(`  ten killed this moment: ${without.state} after ${without.tookMs.toFixed(0)} ms, ${named} named as away, ${serving} serve it`);
    return judged(
      `converged in ${converged.median.toFixed(0)} ms, median of ${tookMs.length} (longest ${converged.highest.toFixed(0)} ms); one rejected: ${stopped.state} in ${stopped.tookMs.toFixed(0)} ms, activated on ${activated} gateways, "${stopped.reason}"; ten killed the moment before: ${named} named as away, ${serving} others serve it after ${(without.tookMs / 1000).toFixed(1)} s of a time-out of ${TIMEOUT_MS / 1000} s`,
      [
        converged.highest > WITHIN_MS && "above 5 s",
        (stopped.state !== "rejected" || activated > 0 || !stopped.reason.includes("gateway-42: this one says no")) && "one that rejected did not stop all",
        (named !== MORTAL || serving !== GATEWAYS - MORTAL || without.state !== "serving") && "the dead were not named, or not passed over",
        without.tookMs > TIMEOUT_MS && "the dead held it up beyond the time-out",
      ],
    );
  } finally {
    mortal.kill("SIGKILL");
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await redis.stop();
  }
}

async function started(child: ChildProcess): Promise<void> {
  const [message] = (await once(child, "message", { signal: AbortSignal.timeout(GATHER_DEADLINE_MS) })) as [unknown];
  if (message !== "started") throw new Error(`the gateways that are to die said ${JSON.stringify(message)}`);
}

/** Until every gateway is in the table, live. */
async function gathered(leader: LightGateway): Promise<void> {
  const deadlineMs = performance.now() + GATHER_DEADLINE_MS;
  for (;;) {
    const { gateways } = await leader.follower.board.look("", null);
    if (gateways.filter(({ live }) => live).length === GATEWAYS) return;
    if (performance.now() > deadlineMs) throw new Error(`${gateways.length} of ${GATEWAYS} gateways came`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** How many report another release than the leader's, which serves what all served before. */
async function servingElsewhere(leader: LightGateway): Promise<number> {
  const { gateways } = await leader.follower.board.look("", null);
  return gateways.filter(({ release }) => release !== leader.serves()).length;
}
