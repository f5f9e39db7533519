/** Configs deployed in a row under steady load: each replaces the workers. */
import { figure } from "../load/results.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { callGateway, makeProject, withGateways } from "./deploying.ts";
import type { Status } from "./gateway.ts";
import { build, handIn, stampedLoad } from "./handing-in.ts";
import { startOrigin } from "./origin.ts";

const DEPLOYS = 50;
const SHORT_DEPLOYS = 5;
const PER_SECOND = 1_000;
const CONNECTIONS = 40;
const LEAST_OF_RATE = 0.95;

export const configDeploys: Claim = {
  name: "config-deploys",
  asked: "50 configs deployed in a row under 1,000 requests/s, each on new workers: 0 failed requests, no exchange on two releases",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  const deploys = short ? SHORT_DEPLOYS : DEPLOYS;
  const origin = await startOrigin((request, response) => response.end(request.headers["x-in"]));
  const config = { upstreams: { origin: { targets: [origin.url] } }, log: { access: "off" }, limits: { drain: "5s" } };
  const project = makeProject(config);
  project.rule("stamps.ts", STAMPS);
  const built = await build(project.folder);
  try {
    return await withGateways(1, config, async ([gateway]) => {
      const ids = new Map<string, string>();
      const deployed = (number: number): Promise<number> => {
        const word = `CONFIG_${number}`;
        return handIn(gateway!, { ...built, config: { ...built.config, vars: { word } } }, word, number, ids);
      };
      await deployed(0);
      using load = stampedLoad(gateway!, CONNECTIONS, PER_SECOND, ids);
      await load.start();
      const tookMs: number[] = [];
      const workers = new Set<number>();
      for (let number = 1; number <= deploys; number++) {
        tookMs.push(await deployed(number));
        for (const { pid } of ((await callGateway(gateway!, "/v1/status")) as unknown as Status).workers) workers.add(pid);
        if (number % 10 === 0) say(`  ${number} configs`);
      }
      const tally = await load.stop();
      const rate = tally.answered / (tally.tookMs / 1_000);
      const { median, highest } = figure(tookMs);
      return judged(
        `${deploys} configs on ${workers.size} workers one after the other, each ${median.toFixed(0)} ms from handing in to serving (longest ${highest.toFixed(0)} ms); ${tally.answered.toLocaleString("en")} requests at ${rate.toFixed(0)}/s, ${tally.failed} failed or torn, p99 ${tally.p99Ms.toFixed(1)} ms, longest ${tally.longestMs.toFixed(0)} ms`,
        [
          tally.failed > 0 && tally.failures.join(", "),
          workers.size < deploys && "not every config came with new workers",
          rate < PER_SECOND * LEAST_OF_RATE && `the machine held only ${rate.toFixed(0)} requests/s`,
        ],
      );
    });
  } finally {
    project.remove();
    origin.close();
  }
}

const STAMPS = `import { defineRule } from "sluice";
export default defineRule({
  onRequest(req, ctx) {
    req.headers.set("x-in", String(ctx.vars.word));
  },
  onResponse(res, req, ctx) {
    res.headers.set("x-out", String(ctx.vars.word));
  },
});
`;
