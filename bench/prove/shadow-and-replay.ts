/** Looking before leaping: what live requests pay for a shadow release that misbehaves, and how long a thousand recorded requests take to play. */
import type { SeenShadow } from "../../runtime/control/shadow.ts";
import { addedUp } from "../../runtime/proxy/shadow-status.ts";
import { figure } from "../load/results.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { callGateway, type Command, makeProject, type Project, withGateways } from "./deploying.ts";
import { type Gateway, pause } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { PacedLoad, type PacedTally } from "./paced-load.ts";

const PER_SECOND = 1_000;
const CONNECTIONS = 20;
const PAIRS = 6;
const SHORT_PAIRS = 1;
const PHASE_MS = 6_000;
const SHORT_PHASE_MS = 2_000;
/** One request in so many meets the shadow's loop. */
const LOOPS_EACH = 200;
/** What the share of the machine that a shadow takes may cost who is served: the two cores are the load's, the gateway's and the shadow's at once. */
const MOST_P99_MORE_MS = 5;
const ACCOUNTED = 0.98;

const SERVING = `import { defineRule } from "sluice";
export default defineRule({
  onRequest(req, ctx) {
    req.headers.set("x-drawn", String(ctx.random()));
  },
  onResponse(res) {
    res.headers.set("x-rule", "serving");
  },
});
`;
const SHADOW = SERVING.replace('"serving"', '"shadow"').replace("req.headers.set(", 'if (req.path.startsWith("/loop")) for (;;);\n    req.headers.set(');

export const shadowUnderLoad: Claim = {
  name: "shadow-under-load",
  asked: `a shadow release that loops plays all of ${PER_SECOND.toLocaleString("en")} requests/s: nobody meets it, 0 failed, every exchange is compared or counted as dropped, p99 at most ${MOST_P99_MORE_MS} ms more`,
  when: "always",
  measure: measureShadow,
};

export const replayedRequests: Claim = {
  name: "replayed-requests",
  asked: "1,000 recorded requests played to two releases, compiling included: the ones decided differently listed, ≤ 15 s",
  when: "always",
  measure: measureReplay,
};

async function measureShadow({ short, say }: Proof): Promise<Finding> {
  return inProject({}, async (project, gateway) => {
    let asked = 0;
    const load = new PacedLoad({
      port: gateway.port,
      connections: CONNECTIONS,
      perSecond: PER_SECOND,
      path: () => (++asked % LOOPS_EACH === 0 ? "/loop" : "/page"),
      judge: (head) => (head.startsWith("HTTP/1.1 200") && /\r\nx-rule: serving/i.test(head) ? "" : head.slice(0, 60)),
    });
    await load.start();
    await pause(SHORT_PHASE_MS);
    const [alone, beside]: [PacedTally[], PacedTally[]] = [[], []];
    let [played, met] = [0, 0];
    let sums = "";
    project.rule("rule.ts", SHADOW);
    for (let pair = 0; pair < (short ? SHORT_PAIRS : PAIRS); pair++) {
      load.take();
      await pause(short ? SHORT_PHASE_MS : PHASE_MS);
      alone.push(load.take());
      expectDone(await project.sluice(gateway, "deploy", "--shadow", "--share", "100%"));
      load.take();
      await pause(short ? SHORT_PHASE_MS : PHASE_MS);
      const tally = load.take();
      beside.push(tally);
      // Workers say once a second what they found.
      await pause(2_500);
      const seen = (await callGateway(gateway, "/v1/shadow")) as unknown as SeenShadow;
      const sum = addedUp(seen.gateways.flatMap(({ compared }) => compared ?? []));
      met += tally.answered;
      played += (sum?.compared ?? 0) + (sum?.notCompared ?? 0) + (sum?.dropped ?? 0);
      sums = `${sum?.equal} equal, ${sum?.different} different, ${sum?.failed} failed, ${sum?.dropped} dropped`;
      say(`  p99 ${alone.at(-1)!.p99Ms.toFixed(2)} ms, with the shadow ${tally.p99Ms.toFixed(2)} ms; ${sums}`);
      expectDone(await project.sluice(gateway, "deploy", "--shadow", "off"));
    }
    const { failures } = await load.stop();
    const [without, more] = [figure(alone.map(({ p99Ms }) => p99Ms)), figure(beside.map(({ p99Ms }) => p99Ms))];
    const wrong = [...alone, ...beside].flatMap((tally) => tally.failures).concat(failures);
    return judged(
      `${met.toLocaleString("en")} requests beside the shadow, ${wrong.length} wrong; ${played.toLocaleString("en")} played or dropped (last: ${sums}); p99 ${without.median.toFixed(2)} ms (${without.lowest.toFixed(2)} to ${without.highest.toFixed(2)}), with the shadow ${more.median.toFixed(2)} ms (${more.lowest.toFixed(2)} to ${more.highest.toFixed(2)})`,
      [
        wrong.length > 0 && wrong.join(", "),
        played < met * ACCOUNTED && "exchanges are not accounted for",
        more.median > without.median + MOST_P99_MORE_MS && `more than ${MOST_P99_MORE_MS} ms`,
      ],
    );
  });
}

const REQUESTS = 1_000;
const SHORT_REQUESTS = 100;
const MOST_MS = 15_000;
const CHANGED_EACH = 10;

async function measureReplay({ short }: Proof): Promise<Finding> {
  const requests = short ? SHORT_REQUESTS : REQUESTS;
  return inProject({ record: { share: "100%" } }, async (project, gateway) => {
    // Recorded are at most 100 a second.
    const load = new PacedLoad({
      port: gateway.port,
      connections: 4,
      perSecond: 80,
      path: (n) => (n % CHANGED_EACH === 0 ? `/changed/${n}` : `/page/${n}?who=${n}`),
      judge: () => "",
    });
    await load.start();
    let kept = 0;
    while (kept < requests) {
      await pause(500);
      kept = ((await callGateway(gateway, `/v1/recordings?last=${requests}`))["recordings"] as unknown[]).length;
    }
    await load.stop();
    project.rule("rule.ts", SERVING.replace("req.headers.set(", 'if (req.path.startsWith("/changed")) req.headers.set("x-new", "1");\n    req.headers.set('));
    const planned = await project.sluice(gateway, "plan", "--replay", String(requests), "--json");
    const { replay } = JSON.parse(planned.output) as { replay: { played: number; different: { target: string }[]; reproduced: number; comparable: number } };
    const right = replay.different.every(({ target }) => target.startsWith("/changed/"));
    return judged(
      `${replay.played.toLocaleString("en")} requests in ${(planned.tookMs / 1_000).toFixed(1)} s, compiling and starting the command included; ${replay.different.length} decided differently, ${right ? "all of them" : "not all"} on the path that the new rule changes; ${replay.reproduced} of ${replay.comparable} came out as they did live`,
      [
        replay.played < requests && "not all were played",
        (!right || Math.abs(replay.different.length - requests / CHANGED_EACH) > 1) && "other requests than the changed ones",
        replay.reproduced < replay.comparable && "some came out otherwise than live",
        planned.tookMs > MOST_MS && "above 15 s",
      ],
    );
  });
}

async function inProject(config: object, work: (project: Project, gateway: Gateway) => Promise<Finding>): Promise<Finding> {
  const origin = await startOrigin((_request, response) => response.end("origin"));
  const whole = { upstreams: { origin: { targets: [origin.url] } }, log: { access: "off" }, ...config };
  const project = makeProject(whole);
  try {
    return await withGateways(1, whole, async ([gateway]) => {
      project.rule("rule.ts", SERVING);
      expectDone(await project.sluice(gateway!, "deploy", "--wait"));
      return work(project, gateway!);
    });
  } finally {
    project.remove();
    origin.close();
  }
}

function expectDone({ code, output }: Command): void {
  if (code !== 0) throw new Error(output);
}
