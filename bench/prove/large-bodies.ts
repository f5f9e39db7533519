/** A gigabyte down and a gigabyte up through one worker, which may keep next to nothing of it. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { get, type IncomingMessage, request } from "node:http";
import type { Writable } from "node:stream";
import { readProc } from "../load/processes.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { pause, startGateway } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { MARKS } from "./marks.ts";

const BLOCK = randomBytes(64 * 1024);
const GIBIBYTE_BLOCKS = 2 ** 30 / BLOCK.length;
const MEMORY_LIMIT_MIB = 256;
const HEAP_LIMIT_MIB = 64;
const READER_PAUSE_MS = 1_000;

export const largeBodies: Claim = {
  name: "large-bodies",
  asked: "1 GiB download and 1 GiB upload through a worker, with a rule and a heap of 64 MiB: its memory stays under 256 MiB, byte-exact",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  const blocks = short ? GIBIBYTE_BLOCKS / 16 : GIBIBYTE_BLOCKS;
  let sent = "";
  const origin = await startOrigin((incoming, response) => {
    const answer = async (): Promise<void> => {
      if (incoming.method === "PUT") response.end(await digestOf(incoming));
      else {
        response.setHeader("content-length", blocks * BLOCK.length);
        sent = await sendBlocks(response, blocks);
      }
    };
    answer().catch((error: unknown) => response.destroy(error as Error));
  });
  const gateway = await startGateway({
    command: "start",
    config: { upstreams: { origin: { targets: [origin.url] } }, limits: { bodySize: "2GiB" } },
    rules: { "marks.ts": MARKS },
    // Sandboxes take no environment; supervisor and worker do.
    env: { NODE_OPTIONS: `--max-old-space-size=${HEAP_LIMIT_MIB}` },
  });
  try {
    const worker = (await gateway.status()).workers[0]!.pid;
    const download = await timed(() => receive(gateway.url, blocks));
    say(`  download ${download.seconds.toFixed(1)} s, peak ${peakMiB(worker).toFixed(0)} MiB`);
    const downPeakMiB = peakMiB(worker);
    const upload = await timed(() => send(gateway.url, blocks));
    say(`  upload ${upload.seconds.toFixed(1)} s, peak ${peakMiB(worker).toFixed(0)} MiB`);
    const mebibytes = (blocks * BLOCK.length) / 2 ** 20;
    const highestMiB = peakMiB(worker);
    const isWorker = (await gateway.status()).workers[0]!.pid === worker;
    return judged(
      `${mebibytes} MiB down in ${download.seconds.toFixed(1)} s (with a client that stops reading for a second) and up in ${upload.seconds.toFixed(1)} s; highest memory of the worker ${downPeakMiB.toFixed(0)} MiB after the download, ${highestMiB.toFixed(0)} MiB after both (VmHWM), under --max-old-space-size=${HEAP_LIMIT_MIB}; SHA-256 ${download.result.digest === sent && upload.result.sent === upload.result.received ? "equal both ways" : "differs"}`,
      [
        highestMiB > MEMORY_LIMIT_MIB && `more than ${MEMORY_LIMIT_MIB} MiB`,
        download.result.digest !== sent && "the download is not what was sent",
        download.result.marked !== "yes" && "the rule did not run",
        upload.result.sent !== upload.result.received && `the upload is not what was sent (${upload.result.status})`,
        !isWorker && "the worker died on the way",
      ],
    );
  } finally {
    await gateway.stop();
    origin.close();
  }
}

/** Every block is another, so that a lost or doubled one shows. Gives the digest of all that was written. */
async function sendBlocks(to: Writable, blocks: number): Promise<string> {
  const hash = createHash("sha256");
  for (let i = 0; i < blocks; i++) {
    const block = Buffer.from(BLOCK);
    block.writeUInt32BE(i, 0);
    hash.update(block);
    if (!to.write(block)) await once(to, "drain");
  }
  to.end();
  return hash.digest("hex");
}

async function digestOf(body: IncomingMessage): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of body) hash.update(piece as Buffer);
  return hash.digest("hex");
}

async function receive(url: string, blocks: number): Promise<{ digest: string; marked: string }> {
  const asked = get(`${url}/large`);
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  const hash = createHash("sha256");
  let bytes = 0;
  let paused = false;
  for await (const piece of response) {
    hash.update(piece as Buffer);
    bytes += (piece as Buffer).length;
    // The origin is fast and this client is not: what lies between must stop the origin.
    if (!paused && bytes > (blocks * BLOCK.length) / 4) {
      paused = true;
      await pause(READER_PAUSE_MS);
    }
  }
  return { digest: hash.digest("hex"), marked: String(response.headers["x-marked"]) };
}

async function send(url: string, blocks: number): Promise<{ sent: string; received: string; status: number }> {
  const asked = request(`${url}/large`, { method: "PUT", headers: { "content-length": blocks * BLOCK.length } });
  const answered = once(asked, "response") as Promise<[IncomingMessage]>;
  const sent = await sendBlocks(asked, blocks);
  const [response] = await answered;
  let received = "";
  for await (const piece of response.setEncoding("utf8")) received += piece as string;
  return { sent, received, status: response.statusCode ?? 0 };
}

async function timed<Result>(run: () => Promise<Result>): Promise<{ result: Result; seconds: number }> {
  const startedMs = performance.now();
  const result = await run();
  return { result, seconds: (performance.now() - startedMs) / 1_000 };
}

/** The highest that resident memory ever was: no sample can miss it. */
function peakMiB(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readProc(pid, "status") ?? "")?.[1] ?? Number.NaN) / 1024;
}
