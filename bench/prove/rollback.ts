/** Taking a release back: everywhere at once, when the machine that built it is gone. */
import { figure } from "../load/results.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { callGateway, adminOf, makeProject, run, withGateways } from "./deploying.ts";
import { type Gateway, makeFolder, pause } from "./gateway.ts";
import { REDIS_MISSING, redisInstalled, startProofRedis } from "./redis.ts";

const GATEWAYS = 4;
const ROUNDS = 7;
const SHORT_ROUNDS = 2;
const WITHIN_MS = 2_000;
const AWAY_DEADLINE_MS = 20_000;

export const rollback: Claim = {
  name: "rollback",
  asked: "rollback ≤ 2 s everywhere, also with the machine that built it gone",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  if (!redisInstalled()) return { verdict: "not measured", measured: REDIS_MISSING };
  const rounds = short ? SHORT_ROUNDS : ROUNDS;
  const config = { upstreams: { site: { targets: ["http://127.0.0.1:9"] } } };
  const redis = await startProofRedis();
  const project = makeProject(config);
  const elsewhere = makeFolder();
  try {
    return await withGateways(GATEWAYS, { ...config, store: { redis: redis.url } }, async (gateways) => {
      const releases = new Map<string, string>();
      for (const word of ["good", "bad"]) {
        project.rule("says.ts", saying(word));
        const { code, output } = await project.sluice(gateways[0]!, "deploy", "--wait");
        if (code !== 0) throw new Error(`deploy ended with ${code}: ${output}`);
        releases.set(word, /^release ([0-9a-f]{12}) is serving/m.exec(output)![1]!);
      }
      // By name: without one a rollback never leads back to what a rollback has left.
      const back = (asked: readonly Gateway[], isGood: boolean): Promise<number> => takenBack(elsewhere, asked, releases, isGood ? "good" : "bad", say);
      const [builder, ...others] = gateways;
      const there: number[] = [];
      for (let round = 0; round < rounds; round++) there.push(await back(gateways, round % 2 === 0));
      // The project, and the gateway that was asked to deploy it, which led it.
      project.remove();
      process.kill(-builder!.pid, "SIGKILL");
      // A gateway that died this moment is waited for until it counts as away.
      const atOnce = await back(others, rounds % 2 === 0);
      await untilAway(others[0]!);
      const gone: number[] = [];
      for (let round = 1; round <= rounds; round++) gone.push(await back(others, (rounds + round) % 2 === 0));
      const [here, without] = [figure(there), figure(gone)];
      return judged(
        `whole command on ${GATEWAYS} gateways through Redis, median of ${rounds}: ${told(here)}; project deleted and its gateway killed, on the other ${others.length}: ${told(without)}; in the moment in which it was killed ${(atOnce / 1000).toFixed(2)} s`,
        [
          here.highest > WITHIN_MS && "above 2 s",
          without.highest > WITHIN_MS && "above 2 s with the builder gone",
          atOnce > WITHIN_MS && "above 2 s in the moment of the kill",
        ],
      );
    });
  } finally {
    project.remove();
    await redis.stop();
  }
}

/** Until the command ends; then every gateway must answer with the word. */
async function takenBack(
  folder: string,
  gateways: readonly Gateway[],
  releases: ReadonlyMap<string, string>,
  word: string,
  say: (line: string) => void,
): Promise<number> {
  const { code, output, tookMs } = await run(folder, ["rollback", releases.get(word)!, "--wait", "--admin", adminOf(gateways[0]!)]);
  if (code !== 0) throw new Error(`rollback ended with ${code}: ${output}`);
  const served = await Promise.all(gateways.map(async ({ url }) => (await fetch(url)).text()));
  if (served.some((text) => text !== word)) throw new Error(`rollback --wait ended, and the gateways answer ${served.join(", ")} instead of ${word}`);
  say(`  back on "${word}" on ${gateways.length} gateways: ${tookMs.toFixed(0)} ms`);
  return tookMs;
}

async function untilAway(gateway: Gateway): Promise<void> {
  const deadlineMs = performance.now() + AWAY_DEADLINE_MS;
  for (;;) {
    const { deployed } = (await callGateway(gateway, "/v1/status")) as unknown as { deployed: { gateways: readonly { live: boolean }[] } };
    if (deployed.gateways.some(({ live }) => !live)) return;
    if (performance.now() > deadlineMs) throw new Error("the gateway that was killed still counts as live");
    await pause(100);
  }
}

function told({ median, highest }: { median: number; highest: number }): string {
  return `${(median / 1000).toFixed(2)} s (longest ${(highest / 1000).toFixed(2)} s)`;
}

function saying(word: string): string {
  return `import { defineRule, respond } from "sluice";\nexport default defineRule({ onRequest() { return respond(200, ${JSON.stringify(word)}); } });\n`;
}
