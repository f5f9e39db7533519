/** Measures what an experiment costs, for `assigned-unchanged.ts`: the same requests through the whole life of a request, with it and without, in turn. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileFiles } from "../../runtime/compile/compile.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import { createObserver } from "../../runtime/observe/observe.ts";
import { type ConnectionFacts, type Exchange, NO_BODY } from "../../runtime/proxy/exchange.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { handle } from "../../runtime/proxy/handler.ts";
import { startWorker, type Worker } from "../../runtime/proxy/worker.ts";
import { buildKernel } from "../../runtime/sandbox/kernel/build.ts";
import type { Cost } from "./assigned-unchanged.ts";
import { startOrigin } from "./origin.ts";

const BATCH = 5_000;
const PER_TURN = 16;
const VISITORS = 1_000;
const USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

/** Every visitor is in control: of a thousand cookies those that are are kept. */
const EXPERIMENT = `import { defineExperiment, html } from "sluice"
export default defineExperiment({
  key: "hero-copy", when: { path: "/" }, variants: { control: 50, bold: 50 },
  apply: { bold: { html: [html.setText("h1", "Buy it now")] } },
  goals: { purchase: { when: { method: "POST", path: "/checkout" } } },
})`;

async function measure(rounds: number): Promise<Cost> {
  const origin = await startOrigin((_, response) =>
    response.setHeader("content-type", "text/html").setHeader("cache-control", "max-age=3600").end("<!doctype html><h1>as sent</h1>"),
  );
  const { worker: plain, folder } = await open(origin.url, null);
  const { worker: assigned, folder: assignedFolder } = await open(origin.url, EXPERIMENT);
  try {
    const cookies = await controlCookies(assigned);
    const differencesUs: number[] = [];
    const plainUs: number[] = [];
    for (let round = 0; round < rounds + 2; round++) {
      const first = round % 2 === 0;
      const a = await cpuUs(first ? plain : assigned, cookies);
      const b = await cpuUs(first ? assigned : plain, cookies);
      // The first two are for the compiler.
      if (round < 2) continue;
      plainUs.push(first ? a : b);
      differencesUs.push(first ? b - a : a - b);
    }
    return { requestUs: median(plainUs), addedUs: median(differencesUs), requests: rounds * BATCH, visitors: cookies.length };
  } finally {
    await assigned.close();
    await plain.close();
    origin.close();
    for (const used of [folder, assignedFolder]) rmSync(used, { recursive: true, force: true });
  }
}

async function open(origin: string, experiment: string | null): Promise<{ readonly worker: Worker; readonly folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-prove-"));
  const config = resolveConfig(
    {
      upstreams: { site: { targets: [origin] } },
      routes: [{ upstream: "site" }],
      cache: {},
      admin: false,
      log: { access: "off" },
      listeners: [{ host: "127.0.0.1", port: 0 }],
    },
    { baseDir: folder, file: "" },
  );
  const file = join(folder, "hero.ts");
  if (experiment !== null) writeFileSync(file, experiment);
  const compiler = compileFiles(config, experiment === null ? [] : [{ name: "hero.ts", file }]);
  const { release, maps, problems } = await compiler.rebuild();
  await compiler[Symbol.asyncDispose]();
  if (release === null) throw new Error(problems.map(({ text }) => text).join("\n"));
  const observer = createObserver({ log: config.log, sink: { dropped: 0, write: () => undefined, flushSync: () => undefined }, now: () => performance.now() });
  const worker = await startWorker({ config, release, maps, listenerFds: [], workerNumber: 0, kernel: await buildKernel() }, { observer, listenAt: [] });
  return { worker, folder };
}

async function controlCookies(worker: Worker): Promise<string[]> {
  const cookies: string[] = [];
  for (let i = 0; i < VISITORS; i++) {
    const { fields, changed } = await ask(worker);
    const set = fields.getAll("set-cookie").map((line) => line.split(";")[0]!);
    if (!changed) cookies.push(set.join("; "));
  }
  return cookies;
}

function ask(worker: Worker): Promise<{ readonly fields: Fields; readonly changed: boolean }> {
  return new Promise((resolve) => {
    const asking = new Asking("", connectionOf(0));
    let text = "";
    asking.onText = (piece) => (text += piece);
    asking.onEnd = () => resolve({ fields: asking.answered!, changed: text.includes("Buy it now") });
    handle(asking, worker.core);
  });
}

/** Of one request, in µs; so many in each turn of the loop as a busy worker has. */
async function cpuUs(worker: Worker, cookies: readonly string[]): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < BATCH; i++) {
    const visitor = i % cookies.length;
    handle(new Asking(cookies[visitor]!, connectionOf(visitor)), worker.core);
    if (i % PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / BATCH;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Each browser has its own. */
const connections: ConnectionFacts[] = [];

function connectionOf(visitor: number): ConnectionFacts {
  const facts = { id: `${visitor}`, remoteAddress: "192.0.2.1", remotePort: visitor, localAddress: "127.0.0.1", localPort: 80, scheme: "http" } as const;
  return (connections[visitor] ??= facts);
}

/** A browser's request that came from nowhere. */
class Asking implements Exchange {
  readonly connection: ConnectionFacts;
  readonly version = "1.1";
  readonly method = "GET";
  readonly target = "/";
  readonly authority = "shop.example";
  readonly fields: Fields;
  readonly upgradeProtocol = "";
  readonly body = NO_BODY;
  readonly startedAtMs = performance.now();
  onClientGone: (() => void) | null = null;
  onComplete: ((sentBytes: number, completed: boolean) => void) | null = null;
  onText: ((piece: string) => void) | null = null;
  onEnd: (() => void) | null = null;
  answered: Fields | null = null;
  readonly out: Exchange["out"] = {
    onDrain: null,
    chunk: (bytes) => {
      this.onText?.(bytes.toString());
      return true;
    },
    end: () => {
      this.onComplete?.(0, true);
      this.onEnd?.();
    },
    error: () => this.onComplete?.(0, false),
  };

  constructor(cookie: string, connection: ConnectionFacts) {
    this.connection = connection;
    this.fields = new Fields([
      "user-agent",
      // Another text each time, as it is cut out of a head.
      ` ${USER_AGENT}`.slice(1),
      "accept",
      "text/html,application/xhtml+xml,*/*;q=0.8",
      "accept-language",
      "en",
      ...(cookie === "" ? [] : ["cookie", `theme=dark; ${cookie}`]),
    ]);
  }
  informational(): void {}
  head(_status: number, fields: Fields): void {
    this.answered = fields;
  }
  reply(): void {}
  upgrade(): never {
    throw new TypeError("nothing upgrades here");
  }
  abort(): void {
    this.onComplete?.(0, false);
  }
}

process.send!(await measure(Number(process.argv[2])));
process.exit(0);
