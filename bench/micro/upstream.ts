/**
 * What the upstream room costs: its pure parts, and a whole request over a kept connection (CPU of this process, kernel
 * included; the origin is a child). `node --conditions=sluice-source bench/micro/upstream.ts`
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { bench, do_not_optimize, run } from "mitata";
import { systemClock } from "../../runtime/clock.ts";
import { type BodySink, NO_BODY, type UpstreamRequest } from "../../runtime/proxy/exchange.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { smoothWeightedRoundRobin } from "../../runtime/upstream/balance.ts";
import { createUpstreams } from "../../runtime/upstream/groups.ts";
import { requestHead } from "../../runtime/upstream/request-head.ts";
import { type ResponseEvents, ResponseReader } from "../../runtime/upstream/response-reader.ts";

const LIMITS = { targetBytes: 8_192, headerLineBytes: 16_384, headerBytes: 32_768, headers: 100 };
const ANSWER = `HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 04:00:00 GMT\r\nContent-Type: text/html\r\nContent-Length: 930\r\nConnection: keep-alive\r\nCache-Control: max-age=60\r\n\r\n${"x".repeat(930)}`;

function sampleRequest(): UpstreamRequest {
  const fields = Fields.of(
    ["user-agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/150.0"],
    ["accept", "text/html,*/*;q=0.8"],
    ["accept-encoding", "gzip, br"],
    ["x-forwarded-for", "203.0.113.7"],
    ["via", "1.1 sluice"],
  );
  return {
    method: "GET",
    target: "/products/42?ref=home",
    authority: "shop.example.com",
    fields,
    body: NO_BODY,
    upgradeProtocol: "",
    pinnedTarget: "",
    onInformational: null,
  };
}

async function benchParts(): Promise<void> {
  const four = smoothWeightedRoundRobin([5, 1, 1, 3].map((weight) => ({ weight, resolved: true })));
  bench("smoothWeightedRoundRobin.pick, 4 targets", () => do_not_optimize(four.pick(null, null)));
  const sample = sampleRequest();
  bench("requestHead, 5 fields", () => do_not_optimize(requestHead(sample)));
  const ignore = (): void => undefined;
  const events: ResponseEvents = {
    informational: ignore,
    responseWhole: ignore,
    responseBegins: ignore,
    responseBytes: ignore,
    responseEnds: ignore,
    responseSwitches: ignore,
  };
  const reader = new ResponseReader(LIMITS, events);
  const bytes = Buffer.from(ANSWER, "latin1");
  bench("ResponseReader.feed, 6 fields and 930 bytes", () => {
    reader.expect("GET", "");
    do_not_optimize(reader.feed(bytes, bytes.length));
  });
  await run();
}

async function benchRequests(port: number, connections: number, total: number): Promise<void> {
  const url = `http://127.0.0.1:${port}`;
  const upstreams = createUpstreams({
    upstreams: {
      shop: {
        name: "shop",
        targets: [{ url, scheme: "http", host: "127.0.0.1", port, weight: 1 }],
        timeouts: { connectMs: 1_000, firstByteMs: 30_000, idleMs: 60_000 },
        keepAliveMs: 30_000,
        maxConnections: 1_000,
      },
    },
    wire: LIMITS,
    clock: systemClock,
    warn: (text) => console.error(text),
  });
  const sink: BodySink = { chunk: () => true, end: () => undefined, error: (error) => console.error(error) };
  const rounds = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) (await upstreams.send("shop", sampleRequest(), { cancelUpstream: null })).body.read(sink);
  };
  const all = (count: number): Promise<unknown> => Promise.all(Array.from({ length: connections }, () => rounds(count / connections)));
  await all(total / 4);
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  await all(total);
  const { user, system } = process.cpuUsage(cpu);
  const perSecond = (total / (performance.now() - startMs)) * 1_000;
  console.log(
    `whole request, ${connections} at once: ${((user + system) / total).toFixed(1)} µs CPU (user ${(user / total).toFixed(1)}, kernel ${(system / total).toFixed(1)}), ${perSecond.toFixed(0)} requests/s`,
  );
  upstreams.close();
}

function serveOrigin(): void {
  const answer = Buffer.from(ANSWER, "latin1");
  const server = createServer({ noDelay: true }, (socket) => void socket.on("data", () => socket.write(answer)).on("error", () => socket.destroy()));
  server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as { port: number }).port}\n`));
}

if (process.argv[2] === "origin") serveOrigin();
else {
  await benchParts();
  const child = spawn(process.execPath, ["--conditions=sluice-source", fileURLToPath(import.meta.url), "origin"], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  for (const connections of [1, 50]) await benchRequests(Number(line.toString()), connections, 40_000);
  child.kill();
}
