/** The same visitors at three gateways, through a ramp with a restart of everything at each step: nobody is moved. */
import http from "node:http";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { each, visit } from "./experiment-visitors.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { REDIS_MISSING, redisInstalled, startProofRedis } from "./redis.ts";

const VISITORS = 2_000;
const GATEWAYS = 3;
const AT_ONCE = 32;
const RAMP = ["5%", "10%", "50%"];

/** A header of a variant's own tells it; whoever is outside the traffic sees control, and no cookie remembers that. */
const MODULE = (traffic: string): string => `import { defineExperiment } from "sluice"
export default defineExperiment({
  key: "ramp", variants: { control: 50, bold: 50 }, traffic: "${traffic}",
  apply: { bold: { headers: { "x-variant": "bold" } } }, goals: { never: { when: { path: "/never" } } },
})
`;

export const sameVariant: Claim = {
  name: "same-variant",
  asked: "the same unit on 3 gateways, after restarts, through a ramp 5 → 10 → 50 %: the same variant, 100 %",
  when: "always",
  measure,
};

/** What a visitor is in, once it is in. */
interface Known {
  readonly jar: Map<string, string>;
  /** Half of them forget it, so that the hash alone decides. */
  readonly forgets: boolean;
  in: string;
}

async function measure({ short, say }: Proof): Promise<Finding> {
  if (!redisInstalled()) return { verdict: "not measured", measured: REDIS_MISSING };
  const redis = await startProofRedis();
  const origin = await startOrigin((_, response) => response.setHeader("content-type", "text/html").end("page"));
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const visitors = Array.from({ length: short ? 200 : VISITORS }, (_, i): Known => ({ jar: new Map(), forgets: i % 2 === 1, in: "" }));
  let asked = 0;
  let moved = 0;
  let lost = 0;
  const inside: number[] = [];
  try {
    for (const traffic of RAMP) {
      const gateways: Gateway[] = [];
      try {
        for (let i = 0; i < GATEWAYS; i++) {
          const config = { upstreams: { site: { targets: [origin.url] } }, store: { redis: redis.url }, limits: { connectionsPerClient: 2 * AT_ONCE } };
          gateways.push(await startGateway({ command: "start", config, rules: { "ramp.ts": MODULE(traffic) } }));
        }
        for (const gateway of gateways) {
          await each(visitors.length, AT_ONCE, async (n) => {
            const visitor = visitors[n]!;
            const id = visitor.jar.get("sluice_visitor");
            const { headers } = await visit(gateway.port, "/", visitor.jar, agent);
            asked++;
            if (id !== undefined && visitor.jar.get("sluice_visitor") !== id) lost++;
            const sticky = visitor.jar.get("sluice_sticky") ?? "";
            const now = /~ramp~0~(\w+)/.exec(sticky)?.[1] ?? "";
            const shown = headers["x-variant"] === "bold" ? "bold" : "control";
            if (now !== "" && shown !== now) moved++;
            if (visitor.in !== "" && now !== visitor.in) moved++;
            if (now !== "") visitor.in = now;
            if (visitor.forgets) visitor.jar.delete("sluice_sticky");
          });
        }
        inside.push(visitors.filter(({ in: variant }) => variant !== "").length);
        say(`  ${traffic}: ${inside.at(-1)} of ${visitors.length} take part`);
      } finally {
        await Promise.all(gateways.map((gateway) => gateway.stop()));
        agent.destroy();
      }
    }
    return judged(
      `${visitors.length} visitors, ${asked} requests to ${GATEWAYS} gateways that were started anew at ${RAMP.join(", ")}: ${moved} saw another variant than before, ${lost} were taken for somebody else; ${inside.join(", ")} took part (half of them without the sticky cookie)`,
      [
        moved > 0 && "somebody was moved",
        lost > 0 && "a visitor was lost",
        inside.some((count, i) => i > 0 && count <= inside[i - 1]!) && "the ramp did not ramp",
      ],
    );
  } finally {
    agent.destroy();
    origin.close();
    await redis.stop();
  }
}
