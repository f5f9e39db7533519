/** `sluice/testing`: the same core, front, sandbox and limits as in a worker, with upstreams that the test plays. Types and docs: `sdk/testing.ts`. */
import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { after, describe as nodeDescribe, test as nodeTest } from "node:test";
import type * as Public from "../../sdk/testing.ts";
import { systemClock } from "../clock.ts";
import { compileFiles, findRules } from "../compile/compile.ts";
import { resolveConfig } from "../config/config.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { GatewayError } from "../errors.ts";
import { buildKernel } from "../sandbox/kernel/build.ts";
import { startWorker } from "../proxy/worker.ts";
import { bytesOf, headersOf, playEgress, playUpstream, rawPairs } from "./played.ts";
import { Recorder } from "./recorder.ts";

export { expect } from "./expect.ts";

/** Rules of a test name their paths from the test file; Node's runner gives each file a process of its own. */
const TEST_FOLDER = path.dirname(path.resolve(process.argv[1] ?? "."));
const REQUEST_TIMEOUT_MS = 30_000;

export const test: typeof Public.test = (name, run) => void nodeTest(name, () => run());
export const describe: typeof Public.describe = (name, run) => void nodeDescribe(name, run);

export const gateway: typeof Public.gateway = async (options) => {
  const upstreamRequests: Public.UpstreamRequest[] = [];
  const fetches: Public.UpstreamRequest[] = [];
  const played = await Promise.all(
    Object.entries(options.upstreams ?? { origin: () => "ok" }).map(async ([name, play]) => ({
      name,
      server: await playUpstream(name, play, (request) => upstreamRequests.push(request)),
    })),
  );
  const recorder = new Recorder();
  const config = testConfig(
    options,
    played.map(({ name, server }) => ({ name, url: server.url })),
  );
  const worker = await startTestWorker(config, options, recorder, fetches);
  const { port } = worker.addresses[0]!;
  const close = async (): Promise<void> => {
    await worker.close();
    for (const { server } of played) server.close();
  };
  after(close);
  return {
    close,
    async request(target, init = {}) {
      upstreamRequests.length = 0;
      fetches.length = 0;
      recorder.reset();
      const answer = await send(port, target, init);
      await recorder.completed;
      return { ...answer, upstreamRequests: [...upstreamRequests], fetches: [...fetches], ...recorder.take() };
    },
  };
};

function testConfig(options: Public.GatewayOptions, upstreams: readonly { name: string; url: string }[]): ResolvedConfig {
  const config = resolveConfig(
    {
      listeners: [{ host: "127.0.0.1", port: 0 }],
      workers: 1,
      // So that a test can say who the client is, and on which scheme it came.
      trustedProxies: ["127.0.0.1"],
      upstreams: Object.fromEntries(upstreams.map(({ name, url }) => [name, { targets: [url] }])),
      routes: [{ upstream: upstreams[0]!.name, ...(options.cache === undefined ? {} : { cache: options.cache }) }],
      vars: options.vars ?? {},
      limits: options.limits ?? {},
      admin: false,
    },
    { baseDir: TEST_FOLDER, file: "" },
  );
  return { ...config, secrets: options.secrets ?? {} };
}

async function startTestWorker(config: ResolvedConfig, options: Public.GatewayOptions, recorder: Recorder, fetches: Public.UpstreamRequest[]) {
  await using compiler = compileFiles(config, await ruleFiles([options.rules].flat()));
  const { release, maps, problems } = await compiler.rebuild();
  if (release === null) throw new Error(problems.map(({ file, line, column, text, frame }) => `${file}:${line}:${column}: ${text}\n${frame}`).join("\n\n"));
  const egress = playEgress(options.fetch ?? {}, (request) => fetches.push(request));
  return startWorker(
    { config, release, maps, listenerFds: [], workerNumber: 0, kernel: await buildKernel() },
    { observer: recorder.observer, clock: systemClock, egress, listenAt: config.listeners },
  );
}

async function ruleFiles(given: readonly string[]): Promise<{ name: string; file: string }[]> {
  const found = await Promise.all(
    given.map(async (entry) => {
      const absolute = path.resolve(TEST_FOLDER, entry);
      if (statSync(absolute).isDirectory()) return findRules(absolute);
      return [{ name: path.basename(absolute), file: absolute }];
    }),
  );
  return found.flat();
}

type Sent = Pick<Public.Result, "status" | "headers" | "bytes" | "text" | "json">;

function send(port: number, target: string, init: Public.RequestOptions): Promise<Sent> {
  const url = new URL(target, "http://localhost");
  const { bytes, type } = bytesOf(init.body);
  const headers: [string, string][] = Object.entries(init.headers ?? {}).flatMap(([name, value]) => [value].flat().map((one): [string, string] => [name, one]));
  const named = (name: string): boolean => headers.some(([other]) => other.toLowerCase() === name);
  if (!named("host")) headers.push(["host", url.host]);
  if (type !== "" && !named("content-type")) headers.push(["content-type", type]);
  headers.push(["x-forwarded-for", init.client ?? "127.0.0.1"], ["x-forwarded-proto", url.protocol.slice(0, -1)]);
  if (init.body !== undefined) headers.push(["content-length", String(bytes.length)]);
  if (!named("x-request-id")) headers.push(["x-request-id", randomUUID()]);
  // The target goes on the wire as the test wrote it, not as URL would spell it.
  const wire = target.startsWith("/") ? target : url.pathname + url.search;
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: "127.0.0.1", port, method: init.method ?? "GET", path: wire, headers: headers.flat(), agent: false, timeout: REQUEST_TIMEOUT_MS, setHost: false },
      (response) => {
        const pieces: Buffer[] = [];
        response.on("data", (piece: Buffer) => pieces.push(piece));
        response.on("error", reject);
        response.on("end", () => {
          const body = Buffer.concat(pieces);
          resolve({
            status: response.statusCode!,
            headers: headersOf(rawPairs(response.rawHeaders)),
            bytes: body,
            text: () => body.toString("utf8"),
            json: <T>() => JSON.parse(body.toString("utf8")) as T,
          });
        });
      },
    );
    request.on("timeout", () => request.destroy(new GatewayError("REQUEST_TIMEOUT", `no answer to ${target} within ${REQUEST_TIMEOUT_MS} ms`)));
    request.on("error", reject);
    request.end(bytes);
  });
}
