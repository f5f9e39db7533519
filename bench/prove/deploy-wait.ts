/** How long somebody waits for `sluice deploy --wait`: from pressing return to the prompt, type check included. */
import { figure } from "../load/results.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { makeProject, type Project, withGateways } from "./deploying.ts";
import type { Gateway } from "./gateway.ts";
import { REDIS_MISSING, redisInstalled, startProofRedis } from "./redis.ts";

const RULES = 20;
const ROUNDS = 7;
const SHORT_ROUNDS = 2;
const ONE_WITHIN_MS = 1_500;
const FOUR_WITHIN_MS = 3_000;
const UPSTREAMS = { site: { targets: ["http://127.0.0.1:9"] } };

export const deployWait: Claim = {
  name: "deploy-wait",
  asked: "deploy --wait of 20 rules, type check included: one gateway ≤ 1.5 s, 4 gateways through Redis ≤ 3 s",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  if (!redisInstalled()) return { verdict: "not measured", measured: REDIS_MISSING };
  const rounds = short ? SHORT_ROUNDS : ROUNDS;
  const redis = await startProofRedis();
  const project = makeProject({ upstreams: UPSTREAMS });
  try {
    const one = figure(await withGateways(1, { upstreams: UPSTREAMS }, (gateways) => deploys(project, gateways, rounds, say)));
    const four = figure(await withGateways(4, { upstreams: UPSTREAMS, store: { redis: redis.url } }, (gateways) => deploys(project, gateways, rounds, say)));
    const told = ({ median, highest }: typeof one): string => `${seconds(median)} (longest ${seconds(highest)})`;
    return judged(`whole command, from its start as a process to its end, median of ${rounds}: one gateway ${told(one)}, four through Redis ${told(four)}`, [
      one.median > ONE_WITHIN_MS && "above 1.5 s on one gateway",
      four.median > FOUR_WITHIN_MS && "above 3 s on four gateways",
    ]);
  } finally {
    project.remove();
    await redis.stop();
  }
}

async function deploys(project: Project, gateways: readonly Gateway[], rounds: number, say: (line: string) => void): Promise<number[]> {
  const tookMs: number[] = [];
  project.rule("wrong.ts", 'import { defineRule } from "sluice";\nexport default defineRule({ order: "first" });\n');
  const refused = await project.sluice(gateways[0]!, "deploy", "--wait");
  if (refused.code !== 1 || !/wrong\.ts:2:.*TS2322/.test(refused.output)) throw new Error(`types were not checked: ${refused.output}`);
  project.rule("wrong.ts", ruleOf(RULES - 1, "mended"));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < RULES - 1; i++) project.rule(`rule-${i}.ts`, ruleOf(i, `${gateways.length}-${round}`));
    const { code, output, tookMs: took } = await project.sluice(gateways[0]!, "deploy", "--wait");
    if (code !== 0) throw new Error(`deploy ended with ${code}: ${output}`);
    const served = await Promise.all(gateways.map(async ({ url }) => (await fetch(`${url}/rule-0`)).text()));
    if (served.some((text) => text !== `${gateways.length}-${round}`)) throw new Error(`deploy --wait ended, and the gateways answer ${served.join(", ")}`);
    say(`  ${gateways.length === 1 ? "one gateway" : `${gateways.length} gateways`}: ${took.toFixed(0)} ms`);
    tookMs.push(took);
  }
  return tookMs;
}

function ruleOf(number: number, round: string): string {
  return `import { defineRule, respond } from "sluice";
interface Mark { readonly round: string; readonly number: number }
const mark: Mark = { round: ${JSON.stringify(round)}, number: ${number} };
export default defineRule({
  when: { path: "/rule-${number}" },
  order: ${number},
  onRequest(req) {
    req.headers.set("x-rule", String(mark.number));
    return respond(200, mark.round, { "content-type": "text/plain" });
  },
  onResponse(res) {
    res.headers.set("x-round", mark.round);
  },
});
`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
