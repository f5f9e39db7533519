/** Half an hour of visitors among slow, broken and vanishing ones: every good request is answered, and memory stays where it was after warm-up. */
import net from "node:net";
import { memoryBytes, tree } from "../load/processes.ts";
import { figure } from "../load/results.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { type Gateway, pause, startGateway } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { Visitors } from "./visitors.ts";
import { MARKS } from "./marks.ts";

const MINUTES = 30;
const SHORT_MINUTES = 0.5;
const GOOD = 20;
const OF_EACH_BAD = 10;
const SAMPLES = 60;
const GROWTH = 1.15;
const BODY = "sluice ".repeat(4_000);

export const mixedTraffic: Claim = {
  name: "mixed-traffic",
  asked: "30 minutes of mixed traffic (good, slow, broken, aborted) with a rule: no failed good request, flat memory after warm-up",
  when: "soak",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  const minutes = short ? SHORT_MINUTES : MINUTES;
  const origin = await startOrigin((request, response) => {
    request.resume();
    response.end(BODY);
  });
  const gateway = await startGateway({
    command: "start",
    config: { upstreams: { origin: { targets: [origin.url] } }, limits: { headTimeout: "2s", bodyTimeout: "2s" } },
    rules: { "marks.ts": MARKS },
  });
  const good = new Visitors({
    port: gateway.port,
    count: GOOD,
    path: (n) => `/page/${n}`,
    judge: ({ status, headers, body }) => (status === 200 && body === BODY && headers["x-marked"] === "yes" ? "" : `${status} ${body.slice(0, 80)}`),
  });
  const running = { yes: true };
  const bad = [slowHead, slowBody, broken, aborted, abandonedUpload].flatMap((visit) =>
    Array.from({ length: OF_EACH_BAD }, () => again(visit, gateway, running)),
  );
  try {
    const samplesMiB: number[] = [];
    for (let i = 0; i < SAMPLES; i++) {
      await pause((minutes * 60_000) / SAMPLES);
      samplesMiB.push(memoryBytes(tree(gateway.pid).pids) / 2 ** 20);
      if (i % 6 === 5) say(`  ${(((i + 1) / SAMPLES) * minutes).toFixed(1)} minutes, ${samplesMiB.at(-1)!.toFixed(0)} MiB`);
    }
    const tally = await good.stop();
    // The first third warms up; the second and the last are compared.
    const third = SAMPLES / 3;
    const beforeMiB = figure(samplesMiB.slice(third, 2 * third)).median;
    const afterMiB = figure(samplesMiB.slice(2 * third)).median;
    return judged(
      `${minutes} minutes: ${tally.failed} of ${tally.requests.toLocaleString("en")} good requests failed, p99 ${tally.p99Ms.toFixed(0)} ms; memory of the process tree ${beforeMiB.toFixed(0)} MiB in the second third, ${afterMiB.toFixed(0)} MiB in the last`,
      [
        tally.failed > 0 && `failed: ${tally.failures.join(", ")}`,
        afterMiB > beforeMiB * GROWTH && `memory grew by more than ${((GROWTH - 1) * 100).toFixed(0)} %`,
      ],
    );
  } finally {
    running.yes = false;
    await Promise.all([good.stop(), ...bad]);
    await gateway.stop();
    origin.close();
  }
}

type Visit = (socket: net.Socket) => void;

/** One bad visitor after another; whatever the gateway does with them is right as long as the good ones are served. */
async function again(visit: Visit, gateway: Gateway, running: { readonly yes: boolean }): Promise<void> {
  while (running.yes) {
    await new Promise<void>((resolve) => {
      const socket = net.connect({ port: gateway.port, host: "127.0.0.1" });
      socket.setTimeout(5_000, () => socket.destroy());
      socket.on("error", () => socket.destroy());
      socket.on("close", () => resolve());
      socket.on("connect", () => visit(socket));
      socket.resume();
    });
    await pause(10);
  }
}

function trickle(socket: net.Socket, everyMs: number): void {
  const timer = setInterval(() => socket.write("x"), everyMs);
  socket.on("close", () => clearInterval(timer));
}

const slowHead: Visit = (socket) => {
  socket.write("GET /slow HTTP/1.1\r\nHost: site.example.com\r\nX-Slow: ");
  trickle(socket, 200);
};

const slowBody: Visit = (socket) => {
  socket.write("POST /slow HTTP/1.1\r\nHost: site.example.com\r\nContent-Length: 10000\r\n\r\n");
  trickle(socket, 400);
};

const BROKEN = [
  "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  `GET /${"a".repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
];
let nextBroken = 0;
const broken: Visit = (socket) => void socket.write(BROKEN[nextBroken++ % BROKEN.length]!, "latin1");

const aborted: Visit = (socket) => {
  socket.write("GET /page/aborted HTTP/1.1\r\nHost: site.example.com\r\n\r\n");
  setTimeout(() => socket.resetAndDestroy(), 1);
};

const abandonedUpload: Visit = (socket) => {
  socket.write(`PUT /upload HTTP/1.1\r\nHost: site.example.com\r\nContent-Length: 1000000\r\n\r\n${"u".repeat(100_000)}`);
  setTimeout(() => socket.destroy(), 5);
};
