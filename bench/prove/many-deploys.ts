/** Hundreds of deploys in a row, each handed in, voted on and probed as `sluice deploy` has it, under steady load and with WebSockets open. */
import { once } from "node:events";
import { WebSocket, WebSocketServer } from "ws";
import { memoryBytes, tree } from "../load/processes.ts";
import { figure } from "../load/results.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { makeProject, withGateways } from "./deploying.ts";
import type { Gateway } from "./gateway.ts";
import { build, handIn, stampedLoad } from "./handing-in.ts";
import { startOrigin } from "./origin.ts";
import { settledMemoryMiB } from "./settled-memory.ts";

const DEPLOYS = 500;
const SHORT_DEPLOYS = 30;
const PER_SECOND = 3_000;
const CONNECTIONS = 64;
const SOCKETS = 20;
/** Of load before memory is looked at: heaps grow for a while, whoever deploys what. */
const WARM_DEPLOYS = 50;
const SHORT_WARM_DEPLOYS = 10;
const MOST_GROWTH = 1.2;
const STEP_DEADLINE_MS = 30_000;
/** Of what was asked for; below, the machine was not under the load that is spoken of. */
const LEAST_OF_RATE = 0.95;

export const manyDeploys: Claim = {
  name: "many-deploys",
  asked:
    "500 deploys in a row under 3,000 requests/s with WebSockets open: 0 failed requests, 0 WebSockets closed, no exchange on two releases, memory within 20 %",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  const deploys = short ? SHORT_DEPLOYS : DEPLOYS;
  const warm = short ? SHORT_WARM_DEPLOYS : WARM_DEPLOYS;
  const echo = new WebSocketServer({ noServer: true });
  // What a rule said in onRequest comes back as the body.
  const origin = await startOrigin((request, response) => response.end(request.headers["x-in"]));
  origin.server.on("upgrade", (request, socket, head) => echo.handleUpgrade(request, socket, head, (open) => open.on("message", (data) => open.send(data))));
  const config = { upstreams: { origin: { targets: [origin.url] } }, log: { access: "off" } };
  const project = makeProject(config);
  project.rule("stamps.ts", STAMPS);
  const built = await build(project.folder);
  try {
    return await withGateways(1, config, async ([gateway]) => {
      const ids = new Map<string, string>();
      const deployed = async (number: number): Promise<number> => {
        const word = `RELEASE_${number}`;
        return handIn(
          gateway!,
          { ...built, rules: built.rules.map(({ manifest, code }) => ({ manifest, code: code.replaceAll("RELEASE_X", word) })) },
          word,
          number,
          ids,
        );
      };
      await deployed(0);
      const sockets = await openSockets(gateway!);
      using load = stampedLoad(gateway!, CONNECTIONS, PER_SECOND, ids);
      await load.start();
      const tookMs: number[] = [];
      let afterWarmUpMiB = 0;
      for (let number = 1; number <= deploys; number++) {
        tookMs.push(await deployed(number));
        if (number === warm) afterWarmUpMiB = await settledMemoryMiB(gateway!.pid);
        if (number % 50 === 0) say(`  ${number} deploys, ${(memoryBytes(tree(gateway!.pid).pids) / 2 ** 20).toFixed(0)} MiB`);
      }
      const endMiB = await settledMemoryMiB(gateway!.pid);
      const tally = await load.stop();
      const { closed, silent } = await sockets.end();
      const rate = tally.answered / (tally.tookMs / 1_000);
      const { median, highest } = figure(tookMs);
      return judged(
        `${deploys} deploys, each ${median.toFixed(0)} ms from handing in to serving (longest ${highest.toFixed(0)} ms); ${tally.answered.toLocaleString("en")} requests at ${rate.toFixed(0)}/s, ${tally.failed} failed or torn, p99 ${tally.p99Ms.toFixed(1)} ms, longest ${tally.longestMs.toFixed(0)} ms; ${closed} of ${SOCKETS} WebSockets closed; memory of the process tree ${afterWarmUpMiB.toFixed(0)} MiB after ${warm}, ${endMiB.toFixed(0)} MiB at the end`,
        [
          tally.failed > 0 && tally.failures.join(", "),
          closed > 0 && "WebSockets were closed",
          silent > 0 && `${silent} WebSockets did not echo at the end`,
          endMiB > afterWarmUpMiB * MOST_GROWTH && "memory grew by more than 20 %",
          rate < PER_SECOND * LEAST_OF_RATE && `the machine held only ${rate.toFixed(0)} requests/s`,
        ],
      );
    });
  } finally {
    for (const client of echo.clients) client.terminate();
    project.remove();
    origin.close();
  }
}

/** `end` says how many were closed by then, and how many of the others echo no more. */
async function openSockets(gateway: Gateway): Promise<{ end(): Promise<{ closed: number; silent: number }> }> {
  const sockets = Array.from({ length: SOCKETS }, () => new WebSocket(`ws://127.0.0.1:${gateway.port}/socket`));
  await Promise.all(sockets.map((socket) => once(socket, "open", { signal: AbortSignal.timeout(STEP_DEADLINE_MS) })));
  let closed = 0;
  for (const socket of sockets) socket.on("close", () => closed++).on("error", () => undefined);
  return {
    async end() {
      const closedBefore = closed;
      const echoes = await Promise.allSettled(
        sockets.map(async (socket) => {
          const answer = once(socket, "message", { signal: AbortSignal.timeout(STEP_DEADLINE_MS) });
          socket.send("still there");
          await answer;
        }),
      );
      for (const socket of sockets) socket.terminate();
      return { closed: closedBefore, silent: echoes.filter(({ status }) => status === "rejected").length - closedBefore };
    },
  };
}

const STAMPS = `import { defineRule } from "sluice";
export default defineRule({
  onRequest(req) {
    req.headers.set("x-in", "RELEASE_X");
  },
  onResponse(res) {
    res.headers.set("x-out", "RELEASE_X");
  },
});
`;
