/** A worker with experiments before an origin, browsers that keep their cookies, and a witness of what is counted. */
import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { compileFiles } from "../../runtime/compile/compile.ts";
import type { Release, SourceMaps } from "../../runtime/compile/release.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import type { Counting } from "../../runtime/experiments/count/counting.ts";
import { createObserver, type ExchangeRecord } from "../../runtime/observe/observe.ts";
import { startWorker, type Worker } from "../../runtime/proxy/worker.ts";
import { buildKernel } from "../../runtime/sandbox/kernel/build.ts";
import { createMemoryStore, type Store } from "../../runtime/store/store.ts";

export const CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
export const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";

export interface Asked {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
}
export interface Played {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: string | Buffer;
  /** Follows when it is known. */
  readonly rest?: Promise<string>;
}
export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
}

export interface GatewaySpec {
  /** Name → TypeScript behind `import { … } from "sluice"`. */
  readonly modules: Readonly<Record<string, string>>;
  /** Upstreams by name; "site" is the one of the route. */
  readonly origins: Readonly<Record<string, (asked: Asked) => Played>>;
  readonly config?: object;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly store?: Store;
  /** Goals are counted in the store, instead of being told (`counted`). */
  readonly counts?: boolean;
}

const IMPORTS = 'import { claim, cookie, defineExperiment, defineRule, header, html, redirect, respond } from "sluice"\n';

/** An experiment's module; `key` and a goal that nobody reaches are there unless given. */
export function experiment(key: string, init: string): string {
  return `export default defineExperiment({ key: ${JSON.stringify(key)}, ${/\bgoals:/.test(init) ? "" : 'goals: { never: { when: { path: "/never" } } }, '}${init} })`;
}

export class ExperimentsGateway {
  /** What each origin was asked, in order. */
  readonly asked: (Asked & { readonly upstream: string })[] = [];
  /** `experiment=variant` of counted exposures, `goal:…`, `track:…`, in order. */
  readonly counted: string[] = [];
  readonly records: ExchangeRecord[] = [];
  readonly notes: string[] = [];
  readonly store: Store;
  worker!: Worker;
  readonly #closers: (() => unknown)[] = [];
  readonly #spec: GatewaySpec;

  private constructor(spec: GatewaySpec) {
    this.#spec = spec;
    this.store = spec.store ?? createMemoryStore();
  }

  static async open(spec: GatewaySpec): Promise<ExperimentsGateway> {
    const gateway = new ExperimentsGateway(spec);
    try {
      await gateway.#start();
    } catch (thrown) {
      await gateway.close();
      throw thrown;
    }
    return gateway;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
  get port(): number {
    return this.worker.addresses[0]!.port;
  }

  /** Another release of these modules serves from now on. */
  async swap(modules: Readonly<Record<string, string>>): Promise<void> {
    const { release, maps } = await this.#compile(modules);
    await this.worker.swap(release, maps);
  }

  async #start(): Promise<void> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sluice-experiments-"));
    this.#closers.push(() => fs.rmSync(folder, { recursive: true, force: true }));
    this.#folder = folder;
    const upstreams: Record<string, object> = {};
    for (const [name, play] of Object.entries(this.#spec.origins)) upstreams[name] = { targets: [await this.#play(name, play)] };
    this.#config = {
      ...resolveConfig(
        {
          listeners: [{ host: "127.0.0.1", port: 0 }],
          upstreams,
          routes: [{ upstream: "site" }],
          stateDir: "./state",
          log: { access: "off" },
          admin: false,
          ...this.#spec.config,
        },
        { baseDir: folder, file: "" },
      ),
      secrets: this.#spec.secrets ?? {},
    };
    const { release, maps } = await this.#compile(this.#spec.modules);
    const plain = createObserver({
      log: this.#config.log,
      sink: { dropped: 0, write: () => undefined, flushSync: () => undefined },
      now: () => performance.now(),
    });
    this.worker = await startWorker(
      { config: this.#config, release, maps, listenerFds: [], workerNumber: 0, kernel: await buildKernel() },
      {
        observer: {
          ...plain,
          exchange: (record) => void this.records.push(record),
          exposure: (name, variant) => void this.counted.push(`${name}=${variant}`),
          note: (_level, event, facts) => void this.notes.push(`${event} ${JSON.stringify(facts)}`),
        },
        store: this.store,
        listenAt: this.#config.listeners,
      },
    );
    this.#closers.push(() => this.worker.close());
    if (this.#spec.counts !== true) this.#witness();
  }
  #folder = "";
  #config!: ReturnType<typeof resolveConfig>;

  async #compile(modules: Readonly<Record<string, string>>): Promise<{ release: Release; maps: SourceMaps }> {
    const files = Object.entries(modules).map(([name, text]) => {
      const file = path.join(this.#folder, `${name}.ts`);
      fs.writeFileSync(file, IMPORTS + text);
      return { name: `${name}.ts`, file };
    });
    const compiler = compileFiles(this.#config, files);
    const { release, maps, problems } = await compiler.rebuild();
    await compiler[Symbol.asyncDispose]();
    if (release === null) throw new Error(problems.map(({ file, line, text, frame }) => `${file}:${line}: ${text}\n${frame}`).join("\n"));
    return { release, maps };
  }

  /** Goals as the proxy tells them; what they amount to is counting's own matter. */
  #witness(): void {
    const counting = this.worker.core.experiments?.parts.counting;
    if (counting === null || counting === undefined) return;
    const completed: Counting["completed"] = (reached, exchange) => {
      const body = exchange.body === null ? "" : ` ${Buffer.from(exchange.body).toString()}`;
      for (const { assignment, goal } of reached)
        this.counted.push(`goal:${assignment.experiment}.${goal.name}=${assignment.variant} ${exchange.status}${body}`);
    };
    const tracked: Counting["tracked"] = (assignment, goal, value) =>
      void this.counted.push(`track:${assignment.experiment}.${goal.name}=${assignment.variant} ${value}`);
    Object.assign(counting, { completed, tracked });
  }

  async #play(upstream: string, play: (asked: Asked) => Played): Promise<string> {
    const server = http.createServer((incoming, outgoing) => {
      const asked = {
        method: incoming.method!,
        target: incoming.url!,
        headers: Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)])),
      };
      this.asked.push({ ...asked, upstream });
      incoming.resume();
      incoming.on("end", () => {
        const { status = 200, headers = {}, body = "", rest } = play(asked);
        outgoing.writeHead(status, headers as http.OutgoingHttpHeaders);
        if (rest === undefined) outgoing.end(body);
        else {
          outgoing.write(body);
          void rest.then((text) => outgoing.end(text));
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.#closers.push(() => {
      server.close();
      server.closeAllConnections();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One visitor: keeps cookies, and nothing else. */
export class Browser {
  readonly cookies = new Map<string, string>();
  readonly #gateway: { readonly port: number };
  readonly #headers: Readonly<Record<string, string>>;

  constructor(gateway: { readonly port: number }, headers: Readonly<Record<string, string>> = {}) {
    this.#gateway = gateway;
    this.#headers = { host: "shop.example", "user-agent": CHROME, accept: "text/html", ...headers };
  }

  ask(target: string, { method = "GET", headers = {}, body }: AskOptions = {}): Promise<Answer> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const sent = {
      ...this.#headers,
      ...headers,
      ...(cookie === "" ? {} : { cookie: headers["cookie"] === undefined ? cookie : `${cookie}; ${headers["cookie"]}` }),
    };
    return new Promise((resolve, reject) => {
      const request = http.request({ host: "127.0.0.1", port: this.#gateway.port, path: target, method, headers: sent, agent: false }, (response) => {
        const pieces: Buffer[] = [];
        response.on("data", (piece: Buffer) => pieces.push(piece)).on("error", reject);
        response.on("end", () => {
          for (const line of response.headers["set-cookie"] ?? []) this.#keep(line);
          const bytes = Buffer.concat(pieces);
          resolve({ status: response.statusCode!, headers: response.headers, bytes, text: bytes.toString() });
        });
      });
      request.on("error", reject).end(body);
    });
  }

  #keep(line: string): void {
    const [pair = ""] = line.split(";");
    const name = pair.slice(0, pair.indexOf("="));
    if (/;\s*max-age=0/i.test(line)) this.cookies.delete(name);
    else this.cookies.set(name, pair.slice(name.length + 1));
  }
}

/** A visitor of each variant, found by asking. */
export async function visitorOfEach(
  gateway: ExperimentsGateway,
  target: string,
  variantOf: (answer: Answer) => string,
  variants: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Promise<Record<string, Browser>> {
  const found: Record<string, Browser> = {};
  for (let i = 0; i < 200 && Object.keys(found).length < variants.length; i++) {
    const browser = new Browser(gateway, headers);
    found[variantOf(await browser.ask(target))] ??= browser;
  }
  if (Object.keys(found).sort().join() !== [...variants].sort().join()) throw new Error(`found ${Object.keys(found).join(", ")}`);
  return found;
}
