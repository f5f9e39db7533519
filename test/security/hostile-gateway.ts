/**
 * A proxy core with real sandboxes in which hostile rules stand beside healthy ones in one release, and a crowd of visitors of the healthy
 * ones whose every answer is checked while an attack runs.
 */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { after } from "node:test";
import { systemClock } from "../../runtime/clock.ts";
import { compileFiles } from "../../runtime/compile/compile.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import type { ErrorCode } from "../../runtime/errors.ts";
import type { Observer } from "../../runtime/observe/observe.ts";
import { buildKernel } from "../../runtime/sandbox/kernel/build.ts";
import type { SandboxEvents, SandboxStatus } from "../../runtime/sandbox/sandbox.ts";
import type { Outgoing } from "../../runtime/security/egress.ts";
import { startWorker, type Worker } from "../../runtime/proxy/worker.ts";
import { Crowd } from "./hostile-crowd.ts";

type HookEntry = Parameters<SandboxEvents["hook"]>[0];
type LogEntry = Parameters<SandboxEvents["log"]>[0];
type SandboxEntry = Parameters<SandboxEvents["sandbox"]>[0];

export interface HostileRule {
  /** What stands between the braces of `defineRule({ … })`; matched at `/<name>` unless it brings a `when`. */
  readonly body: string;
  /** Top level of the module. */
  readonly top?: string;
  readonly onFailure?: "closed" | "open";
  readonly secrets?: readonly string[];
}

export interface HostileOptions {
  /** Name (also path) → rule, or the body of its `onRequest(req, ctx)`. */
  readonly rules: Readonly<Record<string, HostileRule | string>>;
  readonly quarantine?: boolean;
  readonly silenceMs?: number;
  readonly limits?: Readonly<Record<string, string | number>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly vars?: Readonly<Record<string, unknown>>;
  readonly egress?: Outgoing;
}

export interface Answer {
  readonly status: number;
  readonly code: ErrorCode | "";
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/** `limits.ruleMemory` of every gateway here. */
export const RULE_MEMORY_BYTES = 64 * 1024 * 1024;

/** Healthy rules, and what their visitors must read. */
const HEALTHY: Readonly<Record<string, string>> = {
  "healthy-at-once.ts": rule(
    `when: { path: "/healthy/at-once/:n" }, onRequest(req, ctx) { ctx.state.n = Number(req.params.n); req.headers.set("x-twice", String(2 * ctx.state.n)) },
     onResponse(res, req, ctx) { res.headers.set("x-thrice", String(3 * ctx.state.n)) }`,
  ),
  "healthy-waits.ts": rule(
    `when: { path: "/healthy/waits/:n" }, async onRequest(req, ctx) { ctx.state.n = Number(req.params.n); await new Promise((resolve) => setTimeout(resolve, 1)); req.headers.set("x-twice", String(2 * ctx.state.n)) },
     async onResponse(res, req, ctx) { await null; res.headers.set("x-thrice", String(3 * ctx.state.n)) }`,
  ),
  "healthy-secret.ts": rule(
    `when: { path: "/healthy/secret/:n" }, secrets: ["healthy"], onRequest(req, ctx) { ctx.state.n = Number(req.params.n); if (ctx.secrets.healthy === "s3cret-of-healthy") req.headers.set("x-twice", String(2 * ctx.state.n)) },
     onResponse(res, req, ctx) { res.headers.set("x-thrice", String(3 * ctx.state.n)) }`,
  ),
};

/** A module that exports `defineRule({ init })`. */
function rule(init: string, top = ""): string {
  return `import { defineRule, fromFetchHandler, next, redirect, respond } from "sluice"\n${top}\nexport default defineRule({ ${init} })\n`;
}

function moduleOf(name: string, given: HostileRule | string): string {
  const { body, top = "", onFailure = "closed", secrets = [] } = typeof given === "string" ? { body: `onRequest(req, ctx) { ${given} }` } : given;
  const when = /\bwhen:/.test(body) ? "" : `when: { path: "/${name}" }, `;
  return rule(`${when}onFailure: ${JSON.stringify(onFailure)}, secrets: ${JSON.stringify(secrets)}, ${body}`, top);
}

export class HostileGateway {
  readonly hooks: HookEntry[] = [];
  readonly logs: LogEntry[] = [];
  readonly told: SandboxEntry[] = [];
  readonly notes: string[] = [];
  readonly #sandboxes = new EventEmitter();
  readonly #closers: (() => unknown)[] = [];
  #worker: Worker | null = null;

  /** Closed by itself when the test file ends. */
  static async open(options: HostileOptions): Promise<HostileGateway> {
    const gateway = new HostileGateway();
    after(() => gateway.close());
    await gateway.#start(options);
    return gateway;
  }

  async #start(options: HostileOptions): Promise<void> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sluice-hostile-"));
    this.#closers.push(() => fs.rmSync(folder, { recursive: true, force: true }));
    const modules = { ...HEALTHY, ...Object.fromEntries(Object.entries(options.rules).map(([name, given]) => [`${name}.ts`, moduleOf(name, given)])) };
    const files = Object.entries(modules).map(([name, text]) => {
      const file = path.join(folder, name);
      fs.writeFileSync(file, text);
      return { name, file };
    });
    const config = {
      ...resolveConfig(
        {
          listeners: [{ host: "127.0.0.1", port: 0 }],
          upstreams: { origin: { targets: [await this.#startOrigin()] } },
          vars: options.vars ?? {},
          // The healthy must meet the hostile in the sandbox each time.
          limits: { ruleRecall: "0B", ...options.limits },
          admin: false,
        },
        { baseDir: folder, file: "" },
      ),
      secrets: { healthy: "s3cret-of-healthy", ...options.secrets },
    };
    const compiler = compileFiles(config, files);
    const { release, maps, problems } = await compiler.rebuild();
    await compiler[Symbol.asyncDispose]();
    if (release === null) throw new Error(problems.map(({ file, line, text, frame }) => `${file}:${line}: ${text}\n${frame}`).join("\n"));
    this.#worker = await startWorker(
      { config, release, maps, listenerFds: [], workerNumber: 0, kernel: await buildKernel() },
      {
        observer: this.#observer(),
        clock: systemClock,
        listenAt: config.listeners,
        quarantine: options.quarantine ?? true,
        ...(options.silenceMs === undefined ? {} : { silenceMs: options.silenceMs }),
        ...(options.egress === undefined ? {} : { egress: options.egress }),
      },
    );
    this.#closers.push(() => this.#worker!.close());
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }

  get port(): number {
    return this.#worker!.addresses[0]!.port;
  }
  get status(): SandboxStatus {
    return this.#worker!.core.sandbox!.status();
  }

  /** One request on a connection of its own. */
  ask(target: string, headers: Readonly<Record<string, string>> = {}, agent: http.Agent | false = false): Promise<Answer> {
    return new Promise((resolve, reject) => {
      http
        .get({ host: "127.0.0.1", port: this.port, path: target, headers, agent }, (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
          response.on("error", reject);
          const code = (response.headers["sluice-error"] ?? "") as ErrorCode | "";
          response.on("end", () => resolve({ status: response.statusCode!, code, headers: response.headers, text }));
        })
        .on("error", reject);
    });
  }

  /** What a rule that answered with JSON said. */
  async json(target: string, headers: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const { status, code, text } = await this.ask(target, headers);
    assert.equal(`${status} ${code}`, "200 ", text);
    return JSON.parse(text);
  }

  /** Runs the attack amid visitors of the healthy rules; every one of them must have been answered rightly, and the sandboxes' memory kept its bound. */
  async amidVisitors<T>(attack: () => Promise<T>): Promise<T> {
    const crowd = await Crowd.gather(this);
    try {
      return await attack();
    } finally {
      await crowd.disperse();
    }
  }

  /** Two sandboxes are up. */
  async warm(): Promise<void> {
    // Whoever looked again at each turn would hold the core that they start on.
    while (this.status.activePid === 0 || this.status.sparePid === 0) await once(this.#sandboxes, "told");
  }

  /** The failures told about a rule. */
  failuresOf(name: string): readonly HookEntry[] {
    return this.hooks.filter((entry) => entry.rule === `${name}.ts` && entry.failure !== null);
  }

  #observer(): Observer {
    const observer: Observer = {
      exchange: () => undefined,
      rule: (entry) => void this.hooks.push(entry),
      ruleLog: (entry) => void this.logs.push(entry),
      ruleMetric: () => undefined,
      sandbox: (entry) => {
        this.told.push(entry);
        this.#sandboxes.emit("told");
      },
      limit: () => undefined,
      refused: () => undefined,
      defect: (error) => void this.notes.push(error.stack ?? error.message),
      note: (level, event, facts) => void this.notes.push(`${level} ${event} ${JSON.stringify(facts)}`),
      sandboxEvents: {
        log: (entry) => observer.ruleLog(entry),
        metric: (entry) => observer.ruleMetric(entry),
        hook: (entry) => observer.rule(entry),
        sandbox: (entry) => observer.sandbox(entry),
      },
      snapshot: () => ({ counters: {}, histograms: {}, custom: [] }),
    };
    return observer;
  }

  /** Answers with the headers that it got, as JSON. */
  async #startOrigin(): Promise<string> {
    const server = http.createServer((incoming, outgoing) => {
      incoming.resume();
      incoming.on("end", () => outgoing.end(JSON.stringify({ ...incoming.headers, ":target": incoming.url })));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.#closers.push(() => {
      server.close();
      server.closeAllConnections();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
}
