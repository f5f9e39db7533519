/** Ten thousand visitors whom nobody knows at one cacheable page with two variants: fetched once, edited once, and everybody sees their own. */
import http from "node:http";
import { Redis } from "ioredis";
import { Assigner, planOf } from "../../runtime/experiments/assign/assign.ts";
import { chiSquareSplit } from "../../runtime/experiments/statistics/statistics.ts";
import { defineExperiment } from "../../sdk/experiment.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { each, takesPart, visit } from "./experiment-visitors.ts";
import { startGateway } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { REDIS_MISSING, redisInstalled, startProofRedis } from "./redis.ts";

const VISITORS = 10_000;
const AT_ONCE = 100;
const MOST_FETCHES = 2;
const SRM_P = 0.001;
const PAGE = `<!doctype html><html><head><title>Shop</title></head><body><h1>as sent</h1>${"<p>Something to read.</p>".repeat(200)}</body></html>`;
const BOLD = PAGE.replace("as sent", "Buy it now");
const DEFINITION = { key: "hero-copy", variants: { control: 50, bold: 50 }, goals: { never: { when: { path: "/never" } } } } as const;
const MODULE = `import { defineExperiment, html } from "sluice"
export default defineExperiment({ ...${JSON.stringify(DEFINITION)}, when: { path: "/" }, apply: { bold: { html: [html.setText("h1", "Buy it now")] } } })
`;

export const coldVisitors: Claim = {
  name: "cold-visitors",
  asked:
    "10,000 cold visitors, one cacheable URL, 50/50: at most 2 origin fetches, no body of the wrong variant, no visitor cookie in a stored entry, SRM p > 0.001",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  if (!redisInstalled()) return { verdict: "not measured", measured: REDIS_MISSING };
  const redis = await startProofRedis();
  let fetches = 0;
  const origin = await startOrigin((_, response) => {
    fetches++;
    response.setHeader("content-type", "text/html; charset=utf-8").setHeader("cache-control", "public, max-age=600").setHeader("etag", '"v1"').end(PAGE);
  });
  const gateway = await startGateway({
    command: "start",
    config: {
      workers: 2,
      upstreams: { site: { targets: [origin.url] } },
      store: { redis: redis.url },
      // As it is, so that what is stored can be read.
      cache: { shared: { compress: false } },
      limits: { connectionsPerClient: 2 * AT_ONCE },
    },
    rules: { "hero.ts": MODULE },
  });
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  try {
    const visitors = short ? 500 : VISITORS;
    const assigner = new Assigner([planOf(defineExperiment(DEFINITION))]);
    const counts = [0, 0];
    let wrong = 0;
    let publicly = 0;
    await each(visitors, AT_ONCE, async () => {
      const jar = new Map<string, string>();
      const { text, headers } = await visit(gateway.port, "/", jar, agent);
      const visitor = jar.get("sluice_visitor")?.split(".")[0] ?? "";
      const facts = takesPart(visitor);
      const { index, counted } = assigner.assign(DEFINITION.key, facts)!;
      if (!counted || text !== (index === 0 ? PAGE : BOLD)) wrong++;
      if (!/^private\b/.test(headers["cache-control"] ?? "")) publicly++;
      counts[index]!++;
    });
    say(`  ${counts.join(" + ")} visitors, ${fetches} fetches`);
    const stored = await storedTexts(redis.url);
    const cookies = stored.filter((text) => /sluice_|set-cookie/i.test(text)).length;
    const p = chiSquareSplit(counts, [1, 1]);
    return judged(
      `${visitors} visitors of 2 workers: ${fetches} origin fetches, ${wrong} bodies of the wrong variant, ${cookies} of ${stored.length} stored entries with a cookie, split ${counts.join(" : ")} (p ${p.toFixed(3)})`,
      [
        fetches > MOST_FETCHES && `more than ${MOST_FETCHES} fetches`,
        wrong > 0 && "wrong bodies",
        publicly > 0 && `${publicly} answers that caches in between may keep`,
        stored.length === 0 && "nothing was stored",
        cookies > 0 && "a cookie was stored",
        p <= SRM_P && "sample ratio mismatch",
      ],
    );
  } finally {
    agent.destroy();
    await gateway.stop();
    origin.close();
    await redis.stop();
  }
}

async function storedTexts(url: string): Promise<string[]> {
  const client = new Redis(url);
  try {
    const keys = await client.keys("*cache:*:slot");
    return await Promise.all(keys.map(async (key) => (await client.getBuffer(key))?.toString("latin1") ?? ""));
  } finally {
    client.disconnect();
  }
}
