/** A worker in this process that holds several releases, and clients of their own addresses. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { createObserver, type ExchangeRecord } from "../../runtime/observe/observe.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import type { Release } from "../../runtime/compile/release.ts";
import type { CanaryTerms } from "../../runtime/proxy/release-choice.ts";
import { startWorker, type Worker } from "../../runtime/proxy/worker.ts";
import { buildKernel } from "../../runtime/sandbox/kernel/build.ts";
import { releaseOf } from "../sandbox/room.ts";

export const PREVIEW_KEY = "5".repeat(64);
export const TERMS = { tag: "t1", step: 3, key: "7".repeat(64) };

/** Writes a word on the way to the origin and on the way back, and answers /own by itself. */
export function marking(word: string): Release {
  const body = `onRequest(req) { req.headers.set("x-in", "${word}"); if (req.path === "/own") return respond(200, "${word}"); },
    onResponse(res) { res.headers.set("x-out", "${word}"); }`;
  return releaseOf({ body, phases: ["onRequest", "onResponse"] });
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

export interface Staged {
  readonly worker: Worker;
  readonly records: ExchangeRecord[];
  /** What the origin was asked. */
  readonly seen: http.IncomingHttpHeaders[];
  /** In the log. */
  readonly noted: { readonly event: string; readonly facts: object }[];
  /** For the audit log. */
  readonly refused: string[];
  /** Releases that were asked for, in order. */
  readonly taken: string[];
  canary(release: Release, share: number, tag?: string): Promise<CanaryTerms>;
  /** `from`: the client's address. */
  ask(target: string, headers?: Readonly<Record<string, string>>, from?: string, method?: string): Promise<Answer>;
}

export interface StageOptions {
  readonly stored?: readonly Release[];
  readonly origin?: http.RequestListener;
  readonly config?: object;
}

export async function openWorker(t: TestContext, release: Release, { stored = [], origin, config: more }: StageOptions = {}): Promise<Staged> {
  const seen: http.IncomingHttpHeaders[] = [];
  const server = http.createServer((request, response) => {
    seen.push(request.headers);
    if (origin !== undefined) origin(request, response);
    else response.end("origin");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const config = resolveConfig(
    {
      listeners: [{ host: "127.0.0.1", port: 0 }],
      upstreams: { site: { targets: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`] } },
      trustedProxies: ["127.0.0.1"],
      log: { access: "off" },
      admin: false,
      ...more,
    },
    { baseDir: import.meta.dirname, file: "" },
  );
  const records: ExchangeRecord[] = [];
  const noted: { event: string; facts: object }[] = [];
  const [refused, taken]: [string[], string[]] = [[], []];
  const plain = createObserver({ log: config.log, sink: { dropped: 0, write: () => undefined, flushSync: () => undefined }, now: () => performance.now() });
  const worker = await startWorker(
    { config, release, maps: {}, listenerFds: [], workerNumber: 0, kernel: await buildKernel(), previewKey: PREVIEW_KEY },
    {
      observer: {
        ...plain,
        note: (_level, event, facts) => void noted.push({ event, facts }),
        exchange: (record) => {
          records.push(record);
          plain.exchange(record);
        },
      },
      listenAt: config.listeners,
      releases: {
        async take(id) {
          taken.push(id);
          const found = stored.find((one) => one.id === id);
          if (found === undefined) throw new Error("it is not in the store");
          return { release: found, maps: {} };
        },
        refused: (id, reason) => void refused.push(`${id}: ${reason}`),
      },
    },
  );
  t.after(() => worker.close());
  const { port } = worker.addresses[0]!;
  return {
    worker,
    records,
    seen,
    noted,
    refused,
    taken,
    async canary(canary, share, tag = TERMS.tag) {
      const terms = { ...TERMS, tag, release: canary.id, share };
      worker.runCanary(await worker.prepare(canary, {}), terms);
      return terms;
    },
    ask: (target, headers = {}, from = "192.0.2.1", method = "GET") =>
      new Promise((resolve, reject) => {
        http
          .request(
            { method, host: "127.0.0.1", port, path: target, agent: false, headers: { host: "shop.example", "x-forwarded-for": from, ...headers } },
            (response) => {
              let text = "";
              response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
              response.on("error", reject).on("end", () => resolve({ status: response.statusCode!, headers: response.headers, text }));
            },
          )
          .on("error", reject)
          .end();
      }),
  };
}
