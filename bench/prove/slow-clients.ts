/** Ten thousand slow clients beside good ones: who is slow waits for nobody but itself, and not for ever. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { memoryBytes, tree } from "../load/processes.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { pause, startGateway } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { Visitors } from "./visitors.ts";
import { MARKS } from "./marks.ts";

const HEADS = 4_000;
const BODIES = 4_000;
const READERS = 2_000;
const SHORT_SHARE = 0.05;
const GOOD = 5;
const GOOD_PAUSE_MS = 5;
const UNDISTURBED_MS = 5_000;
const WARM_UPS = 20;
const LIMIT_SECONDS = 60;
/** All must be gone this long after the last was opened. Not at once: their kernels take what fits, here some GiB in all, and whoever takes 500 bytes a second has more time. */
const CLOSED_WITHIN_MS = 5 * LIMIT_SECONDS * 1_000;
const P99_FACTOR = 2;
const BODY = "sluice ".repeat(100);

interface Told {
  readonly opened: number;
  readonly failed: number;
  readonly left: number;
  readonly open: number;
}

export const slowClients: Claim = {
  name: "slow-clients",
  asked: "10,000 slow clients (slow heads, slow bodies, slow readers) beside good traffic: good p99 at most 2 × its own; all closed by their limits",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  const counts = [HEADS, BODIES, READERS].map((count) => Math.round(count * (short ? SHORT_SHARE : 1)));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const origin = await startOrigin((request, response) => {
    request.resume().on("error", () => undefined);
    response.on("error", () => undefined);
    if (request.method === "GET") response.end(BODY);
    else request.on("end", () => response.end(BODY));
  });
  const crowd = fork(join(import.meta.dirname, "slow-clients-main.ts"), counts.map(String));
  const [{ origin: largeUrl }] = (await once(crowd, "message")) as [{ origin: string }];
  const seconds = `${LIMIT_SECONDS}s`;
  const gateway = await startGateway({
    command: "start",
    config: {
      upstreams: { origin: { targets: [origin.url], maxConnections: 2 * total }, large: { targets: [largeUrl], maxConnections: 2 * total } },
      routes: [
        { match: { path: "/large" }, upstream: "large" },
        { match: { path: "/*" }, upstream: "origin" },
      ],
      limits: { connections: 2 * total, connectionsPerClient: 2 * total, headTimeout: seconds, bodyTimeout: seconds, sendTimeout: seconds, keepAlive: seconds },
    },
    rules: { "marks.ts": MARKS },
  });
  const good = new Visitors({
    port: gateway.port,
    count: GOOD,
    pauseMs: GOOD_PAUSE_MS,
    path: (n) => `/page/${n}`,
    judge: ({ status, headers, body }) => (status === 200 && body === BODY && headers["x-marked"] === "yes" ? "" : `${status} ${body.slice(0, 80)}`),
  });
  let told: Told = { opened: 0, failed: 0, left: total, open: 0 };
  try {
    const worker = (await gateway.status()).workers[0]!.pid;
    // Large answers are nothing new to a gateway that runs: what is timed is no first compilation.
    for (let i = 0; i < WARM_UPS; i++) await (await fetch(`${gateway.url}/large`)).arrayBuffer();
    await pause(short ? 1_000 : 2_000);
    good.take();
    await pause(short ? 1_000 : UNDISTURBED_MS);
    const undisturbed = good.take();
    crowd.on("message", (message: Told) => (told = message));
    crowd.send(gateway.port);
    let most = 0;
    let memoryMiB = 0;
    let openedMs = 0;
    for (let looks = 1; openedMs === 0 || performance.now() - openedMs < CLOSED_WITHIN_MS; looks++) {
      await pause(200);
      most = Math.max(most, told.open);
      if (openedMs === 0 && told.left === 0) {
        openedMs = performance.now();
        memoryMiB = memoryBytes(tree(gateway.pid).pids) / 2 ** 20;
      }
      // Reading ten thousand descriptors and the whole memory of a process holds both up: seldom.
      if (looks % 25 !== 0) continue;
      const { p99Ms, longestMs } = good.look();
      const descriptors = sockets(worker);
      say(
        `  ${told.opened} opened, ${told.open} open at the clients, ${descriptors} descriptors in the worker; good p99 ${p99Ms.toFixed(1)} ms, longest ${longestMs.toFixed(0)} ms`,
      );
      if (openedMs !== 0 && descriptors < 2 * GOOD + 50) break;
    }
    const left = Math.max(0, sockets(worker) - 2 * GOOD - 50);
    const tookSeconds = (performance.now() - openedMs) / 1_000;
    const disturbed = await good.stop();
    return judged(
      `${told.opened.toLocaleString("en")} slow clients, ${most.toLocaleString("en")} at once: ${disturbed.failed} of ${disturbed.requests.toLocaleString("en")} good requests failed, p99 ${disturbed.p99Ms.toFixed(1)} ms (undisturbed ${undisturbed.p99Ms.toFixed(1)} ms), longest ${disturbed.longestMs.toFixed(0)} ms; all closed ${tookSeconds.toFixed(0)} s after the last was opened (limits of ${LIMIT_SECONDS} s); memory of the process tree with all of them ${memoryMiB.toFixed(0)} MiB`,
      [
        disturbed.failed > 0 && `failed: ${disturbed.failures.join(", ")}`,
        disturbed.p99Ms > undisturbed.p99Ms * P99_FACTOR && `p99 above ${P99_FACTOR} × undisturbed`,
        told.opened < total && `only ${told.opened} of ${total} could connect`,
        left > 0 && `${left} connections were not closed within ${CLOSED_WITHIN_MS / 1_000} s`,
      ],
    );
  } finally {
    if (crowd.connected) crowd.disconnect();
    await good.stop();
    await gateway.stop();
    origin.close();
  }
}

/** Descriptors of the worker: connections of clients and to origins, and some dozen of its own. */
function sockets(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
