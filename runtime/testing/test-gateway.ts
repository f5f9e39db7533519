/** One gateway of a rule test: the same core, front, sandbox and limits as in a worker, with upstreams that the test plays. */
import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import path from "node:path";
import type * as Public from "../../sdk/testing.ts";
import { findRules } from "../compile/compile.ts";
import { resolveConfig } from "../config/config.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { startWorker, type Worker } from "../proxy/worker.ts";
import { buildKernel } from "../sandbox/kernel/build.ts";
import type { Service, ServiceCall } from "../sandbox/sandbox.ts";
import { createMemoryStore } from "../store/store.ts";
import { outgoingOf, TestClient } from "./client.ts";
import { compileRules } from "./compiled-rules.ts";
import { withVariants } from "./forced-variants.ts";
import { playEgress, playUpstream } from "./played.ts";
import { seedsOf } from "./randomness.ts";
import { Recorder } from "./recorder.ts";
import { leaseSandbox, type Lease } from "./shared-sandbox.ts";
import { MovableClock } from "./test-clock.ts";
import { testStore } from "./test-store.ts";

const DEFAULT_COST_TIMES = 100;
/** For `onComplete` of a request to end; and for what its rules still do behind it. */
const LAST_HOOKS_MS = 1_000;
const LAST_TAILS_MS = 200;
const LOOK_MS = 1;

/** `folder`: relative paths of rules count from there. */
export async function startTestGateway(options: Public.GatewayOptions, folder: string): Promise<Public.Gateway> {
  const gateway = new TestGateway(options, folder);
  await gateway.start();
  return gateway;
}

class TestGateway implements Public.Gateway {
  readonly #options: Public.GatewayOptions;
  readonly #folder: string;
  readonly #clock: MovableClock;
  readonly #recorder: Recorder;
  readonly #cleanups: (() => unknown)[] = [];
  readonly #kvStore;
  #worker!: Worker;
  #client!: TestClient;
  #lease: Lease | null = null;
  /** Is a log line about coverage? */
  #logged: (rule: string, text: string) => boolean = () => false;
  #services: Readonly<Record<string, Service>> = {};
  /** Name → how a rule last asked for that limit. */
  readonly #limits = new Map<string, ServiceCall>();
  /** Request id → country of its client. */
  readonly #countries = new Map<string, string>();
  readonly store: Public.TestStore;
  readonly clock: Public.TestClock;

  constructor(options: Public.GatewayOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    this.#clock = new MovableClock(options.now, () => this.#client.dropIdle());
    this.clock = this.#clock.forTests;
    this.#kvStore = createMemoryStore({ clock: this.#clock.clock });
    this.#recorder = new Recorder((rule, text) => this.#logged(rule, text));
    this.store = testStore({
      store: this.#kvStore,
      clock: this.#clock.clock,
      cache: () => this.#worker.core.cache,
      limit: (name, key) => this.#limit(name, key),
    });
  }

  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
  }

  async #start(): Promise<void> {
    const { upstreams = { origin: () => "ok" }, rules, fetch = {} } = this.#options;
    const played = await Promise.all(
      Object.entries(upstreams).map(async ([name, play]) => {
        const { url, close } = await playUpstream(name, play, (request) => this.#recorder.upstreamAsked(request));
        this.#cleanups.push(close);
        return { name, url };
      }),
    );
    const config = testConfig(this.#options, this.#folder, played);
    const { release, maps, logged } = await compileRules(config, await ruleFiles([rules].flat(), this.#folder));
    this.#logged = logged;
    const newSeed = seedsOf(this.#options.random);
    const worker = await startWorker(
      { config, release, maps, listenerFds: [], workerNumber: 0, kernel: await buildKernel() },
      {
        observer: this.#recorder.observer,
        clock: this.#clock.clock,
        store: this.#kvStore,
        countries: { told: (fields) => this.#countries.get(fields.get("x-request-id") ?? "") ?? "", at: () => "" },
        egress: playEgress(fetch, (request) => this.#recorder.fetchAsked(request)),
        listenAt: config.listeners,
        createSandbox: async (given) => {
          this.#services = given.services;
          const services = this.#recorder.listenIn({ ...given.services, limit: (call) => this.#noteLimit(call, given.services["limit"]!) });
          this.#lease = await leaseSandbox({ ...given, services, ...(newSeed === null ? {} : { newSeed }) });
          return this.#lease;
        },
      },
    );
    this.#worker = worker;
    this.#cleanups.push(() => worker.close());
    worker.core.trace = (life) => this.#recorder.trace(life.id, () => life.experiments?.shown ?? {});
    const client = new TestClient(worker.addresses[0]!.port);
    this.#client = client;
    this.#cleanups.push(() => client.close());
  }

  async request(target: string, init: Public.RequestOptions = {}): Promise<Public.Result> {
    const outgoing = outgoingOf(target, withVariants(init, this.#worker.core, { ...this.#options.variants, ...init.variants }), randomUUID);
    if (init.country !== undefined) this.#countries.set(outgoing.id, countryOf(init.country));
    const kept = this.#recorder.begin(outgoing.id, init.trace ?? false);
    try {
      const answer = await this.#client.send(outgoing);
      const record = await kept.over;
      await this.#lastHooks();
      const { upstreamRequests, fetches, logs, metrics, hooks, calls, effects } = kept;
      return {
        ...answer,
        from: record?.from ?? "gateway",
        upstream: record?.upstream ?? "",
        rule: record?.rule ?? "",
        code: record?.code ?? "",
        variants: kept.variants(),
        ...{ upstreamRequests, fetches, logs, metrics, hooks, calls, effects },
        cpuMs: hooks.reduce((sum, hook) => sum + hook.cpuMs, 0),
      };
    } finally {
      this.#recorder.end(outgoing.id);
      this.#countries.delete(outgoing.id);
    }
  }

  async cost(target: string, { times = DEFAULT_COST_TIMES, ...init }: Public.RequestOptions & { readonly times?: number } = {}): Promise<Public.Cost> {
    const sums = new Map<string, { rule: string; phase: string; cpuMs: number }>();
    const lease = this.#lease;
    if (lease !== null) lease.forgetful = true;
    try {
      for (let i = 0; i < times; i++) {
        const { hooks } = await this.request(target, init);
        for (const { rule, phase, cpuMs } of hooks) {
          const key = `${phase} ${rule}`;
          const sum = sums.get(key) ?? { rule, phase, cpuMs: 0 };
          sums.set(key, { ...sum, cpuMs: sum.cpuMs + cpuMs });
        }
      }
    } finally {
      if (lease !== null) lease.forgetful = false;
    }
    const hooks = [...sums.values()].map(({ rule, phase, cpuMs }) => ({ rule, phase, cpuMs: cpuMs / times }));
    return { cpuMs: hooks.reduce((sum, { cpuMs }) => sum + cpuMs, 0), hooks };
  }

  async close(): Promise<void> {
    for (const cleanup of this.#cleanups.splice(0).reverse()) await cleanup();
  }

  /** `onComplete` runs after the last byte; `waitUntil` work and callbacks for elements end when they like, and are not waited for as long. */
  async #lastHooks(): Promise<void> {
    const sinceMs = performance.now();
    const loaded = this.#worker.core.table.loaded as { readonly running?: number } | null;
    for (;;) {
      const tookMs = performance.now() - sinceMs;
      const hooks = (this.#lease?.status().outstanding ?? 0) > 0 && tookMs < LAST_HOOKS_MS;
      const tails = (loaded?.running ?? 0) > 0 && tookMs < LAST_TAILS_MS;
      if (!hooks && !tails) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  #noteLimit(call: ServiceCall, service: Service): ReturnType<Service> {
    this.#limits.set((call.args as { name: string }).name, call);
    return service(call);
  }

  async #limit(name: string, key: string): Promise<Public.LimitState | null> {
    const last = this.#limits.get(name);
    if (last === undefined) return null;
    const asked = { ...(last.args as object), key, cost: 0 };
    const { allowed, remaining, resetMs, retryAfterMs } = (await this.#services["limit"]!({ ...last, args: asked })) as Public.LimitState;
    return { allowed: allowed && remaining > 0, remaining, resetMs, retryAfterMs };
  }
}

function countryOf(given: string): string {
  if (!/^(?:[A-Z]{2})?$/.test(given)) throw new TypeError(`country: found ${JSON.stringify(given)}, expected a code of two capitals, such as "DE"`);
  return given;
}

function testConfig(options: Public.GatewayOptions, folder: string, upstreams: readonly { name: string; url: string }[]): ResolvedConfig {
  const { timeouts, routes, cache, vars = {}, limits = {}, secrets = {} } = options;
  const config = resolveConfig(
    {
      listeners: [{ host: "127.0.0.1", port: 0 }],
      workers: 1,
      // So that a test can say who the client is, and on which scheme it came.
      trustedProxies: ["127.0.0.1"],
      upstreams: Object.fromEntries(upstreams.map(({ name, url }) => [name, { targets: [url], ...(timeouts === undefined ? {} : { timeouts }) }])),
      routes: routes ?? [{ upstream: upstreams[0]!.name, ...(cache === undefined ? {} : { cache }) }],
      ...(routes === undefined || cache === undefined ? {} : { cache: {} }),
      vars,
      limits,
      admin: false,
    },
    { baseDir: folder, file: "" },
  );
  // A test leaves nothing behind.
  return { ...config, secrets, stateDir: "" };
}

async function ruleFiles(given: readonly string[], folder: string): Promise<{ name: string; file: string }[]> {
  const found = await Promise.all(
    given.map(async (entry) => {
      const absolute = path.resolve(folder, entry);
      if (statSync(absolute).isDirectory()) return findRules(absolute);
      return [{ name: path.basename(absolute), file: absolute }];
    }),
  );
  return found.flat();
}
