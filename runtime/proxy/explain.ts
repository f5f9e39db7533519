/**
 * What a request would get, without its getting it: the life of a request as `handler.ts` tells it, on a core whose origin, limits and cache
 * only say what they would do. Rules really run, in the sandbox of this worker; what they call is kept from leaving it.
 */
import { type Cache, type CacheExchange } from "../cache/cache.ts";
import type { Assignment } from "../experiments/assign/plan.ts";
import { WHY } from "./experiments/experiments.ts";
import { GatewayError } from "../errors.ts";
import type { Observer } from "../observe/observe.ts";
import { Limiter } from "../ratelimit/ratelimit.ts";
import type { SandboxEvents, Service, ServiceCall } from "../sandbox/sandbox.ts";
import type { TracedEffect } from "../sandbox/trace.ts";
import { createMemoryStore } from "../store/store.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import { Core } from "./core.ts";
import type { Countries } from "./countries.ts";
import { NO_BODY } from "./exchange.ts";
import type { ExplainAsk, Explanation, ExplainStep } from "./explanation.ts";
import { Fields } from "./fields.ts";
import { takeInputs } from "./gateway-inputs.ts";
import { handle } from "./handler.ts";
import { HookTable } from "./hook-plan.ts";
import type { Matchable } from "./match/match.ts";
import { Pretended } from "./pretended.ts";
import type { GatewayResponse } from "./reply.ts";
import { createServices } from "./services.ts";

export type { ExplainAsk, Explanation } from "./explanation.ts";

/** Rules are bounded by their own limits; this bounds everything together. */
const DEADLINE_MS = 15_000;
const MAX_AT_ONCE = 4;
const SHOWN_UNITS = 500;
const ASSUMED_STATUS = 200;

type HookStep = Extract<ExplainStep, { step: "hook" }>;
type Call = HookStep["calls"][number];

export class Explainer {
  /** By request id. */
  readonly #running = new Map<string, Recording>();

  /** What rules call, kept from leaving the worker while something is explained. */
  services(real: Readonly<Record<string, Service>>): Record<string, Service> {
    return Object.fromEntries(
      Object.entries(real).map(([name, service]): [string, Service] => [
        name,
        (call) => (this.#running.size === 0 ? service(call) : (this.#running.get(call.exchange.id)?.serve(name, call, service) ?? service(call))),
      ]),
    );
  }

  /** What rules say goes to whoever wants it explained, not into the log. */
  events(real: SandboxEvents): SandboxEvents {
    const of = (id: string): Recording | undefined => (this.#running.size === 0 ? undefined : this.#running.get(id));
    return {
      ...real,
      log: (entry) => (of(entry.exchange) ?? real).log(entry),
      hook: (entry) => (of(entry.exchange) ?? real).hook(entry),
    };
  }

  async explain(real: Core, ask: ExplainAsk): Promise<Explanation> {
    if (this.#running.size >= MAX_AT_ONCE) throw new Error(`${MAX_AT_ONCE} requests are being explained already`);
    const { clock } = real;
    const served = await servedTo(real, ask);
    const store = createMemoryStore({ clock });
    const limiter = new Limiter({ store, clock, events: { charged: () => undefined, degraded: () => undefined } });
    const over = Promise.withResolvers<void>();
    const recording = new Recording(real, served);
    const core = new Core({
      config: { ...real.config, routes: served.routing.routes },
      clock,
      observer: observerOf(real.observer, recording),
      store,
      limiter,
      upstreams: upstreamsOf(real.upstreams, recording),
      cache: real.cache === null ? null : cacheOf(real.cache, recording),
      startSandbox: () => Promise.reject(new Error("it has one")),
    });
    core.sandbox = real.sandbox;
    core.countries = ask.country === undefined ? real.countries : inCountry(ask.country, real.countries);
    core.experiments = real.experiments?.silent() ?? null;
    core.table = new HookTable(served.releaseId, served.loaded, core.table.routing, () => over.resolve());
    core.table.partition = served.partition;
    core.table.beside = served.beside;
    core.previews = { ask: () => core.table, partitions: [] };
    core.trace = (life) => {
      recording.id = life.id;
      recording.matched = served.rulesOf(life.match.indices);
      recording.country = life.country;
      recording.limits(life.matchable());
      this.#running.set(life.id, recording);
      return recording;
    };
    recording.scratch = createServices(real.config, clock, limiter, NO_WAY_OUT, store, () => real.cache).table;
    // The release stays loaded as long as an exchange is on it.
    served.enter();
    try {
      handle(new Pretended({ ...ask, fields: ask.headers, peer: ask.client }, clock.now(), (fields) => (recording.sent = fields)), core);
      core.table.retire();
      if (served.loaded === null) over.resolve();
      const deadline = clock.after(DEADLINE_MS, () => over.reject(new Error(`it took longer than ${DEADLINE_MS / 1000} s`)));
      await over.promise.finally(() => deadline.cancel());
      await recording.answered.promise;
      return recording.explanation({ ...ask, country: recording.country });
    } finally {
      this.#running.delete(recording.id);
      served.leave();
      limiter.close();
      await store.close();
    }
  }
}

/** The release that this request would begin with: the canary's or a previewed one, if it says so. */
async function servedTo(real: Core, { headers, client, scheme }: ExplainAsk): Promise<HookTable> {
  const inputs = takeInputs(new Fields([...headers]));
  if (inputs.preview !== "" && real.previews !== null) {
    const previewed = await real.previews.ask(inputs.preview, client);
    if (previewed instanceof GatewayError) throw previewed;
    return previewed;
  }
  return real.choice === null ? real.table : real.choice.choose(inputs, { address: client, scheme, trusted: false }).table;
}

/** Everything that happens to one request. */
class Recording {
  id = "";
  country = "";
  scratch: Readonly<Record<string, Service>> = {};
  readonly answered = Promise.withResolvers<void>();
  /** Numbers of the rules that match, in running order. */
  matched: readonly number[] = [];
  /** Fields of the answer. */
  sent: readonly string[] = [];
  readonly #real: Core;
  readonly #table: HookTable;
  readonly #steps: ExplainStep[] = [];
  /** What rules did in the hook that runs, by rule. */
  readonly #effects = new Map<string, TracedEffect[]>();
  readonly #logs = new Map<string, { level: string; text: string }[]>();
  readonly #calls = new Map<string, Call[]>();
  #pickedBy = "";

  constructor(real: Core, table: HookTable) {
    this.#real = real;
    this.#table = table;
  }

  add(step: ExplainStep): void {
    this.#steps.push(step);
  }
  effect(effect: TracedEffect): void {
    if (effect.what === "upstream") this.#pickedBy = effect.rule;
    at(this.#effects, effect.rule).push(effect);
  }
  variants(assignments: readonly Assignment[]): void {
    const variants = assignments.map(({ experiment, variant, reason, counted }) => ({ experiment, variant, reason, why: WHY[reason], counted }));
    if (variants.length > 0) this.add({ step: "experiments", variants });
  }
  log({ rule, level, text }: Parameters<SandboxEvents["log"]>[0]): void {
    at(this.#logs, rule).push({ level, text: cut(text) });
  }
  hook({ rule, phase, outcome, cpuUs, failure }: Parameters<SandboxEvents["hook"]>[0]): void {
    const take = <V>(map: Map<string, V[]>): V[] => {
      const list = map.get(rule) ?? [];
      map.delete(rule);
      return list;
    };
    const loaded = this.#table.loaded;
    const number = loaded?.release.rules.findIndex(({ manifest }) => manifest.name === rule) ?? -1;
    this.add({
      step: "hook",
      rule,
      phase,
      place: loaded?.hookPlaces?.(number)[phase] ?? "",
      outcome,
      cpuUs,
      effects: take(this.#effects).map(({ what, before, after, place }) => ({ what, before, after, place })),
      logs: take(this.#logs),
      calls: take(this.#calls),
      failure: failure === null ? null : { kind: failure.kind, message: failure.message, stack: failure.stack },
    });
  }

  /** Reading is done for real; what would change something is done to a store that nobody else sees; what would leave the gateway is refused. */
  async serve(name: string, call: ServiceCall, real: Service): Promise<unknown> {
    const op = (call.args as { op?: unknown } | null)?.op;
    const tell = (told: string): void => void at(this.#calls, call.rule).push({ service: name, asked: cut(JSON.stringify(call.args) ?? ""), told: cut(told) });
    try {
      const value = op === "get" && (name === "kv" || name === "cache") ? await real(call) : name === "cache" ? {} : await this.scratch[name]!(call);
      tell(JSON.stringify(value) ?? "");
      return value;
    } catch (thrown) {
      tell(thrown instanceof Error ? thrown.message : String(thrown));
      throw thrown;
    }
  }

  /** Those of the route that the client asks for. */
  limits(asked: Matchable): void {
    const { routes, matcher } = this.#table.routing;
    const route = matcher.first(asked);
    const limits = [...this.#real.config.rateLimits, ...(routes[route]?.limits ?? [])].map(({ policy }) => policy.name);
    if (limits.length > 0) this.add({ step: "limits", route, limits, why: "as if nothing had been charged so far; explaining charges nothing" });
  }

  sends(life: { readonly route: number }, upstream: string, request: Parameters<Upstreams["send"]>[1]): void {
    const { upstreams } = this.#real;
    const { route } = life;
    this.#uncached(route);
    const targets = upstreams.status().filter((status) => status.upstream === upstream);
    this.add({
      step: "upstream",
      route,
      match: this.#table.routing.routes[route]?.match ?? [],
      upstream,
      why: this.#pickedBy === "" ? `route ${route} matches` : `${this.#pickedBy} picked it`,
      targets:
        request.pinnedTarget !== "" ? [request.pinnedTarget] : targets.map(({ target, resolved }) => (resolved ? target : `${target} (does not resolve)`)),
      method: request.method,
      target: request.target,
      headers: [...request.fields.list],
    });
    this.add({ step: "assumed", status: ASSUMED_STATUS });
  }

  #uncached(route: number): void {
    if (this.#steps.some(({ step }) => step === "cache")) return;
    const why = this.#real.config.cache === null ? "this gateway has no cache" : `route ${route} has no cache, or the request has a body`;
    this.add({ step: "cache", decision: "none", why, key: "" });
  }

  explanation(request: ExplainAsk): Explanation {
    const rules = this.#table.loaded?.release.rules ?? [];
    const matched = new Set(this.matched);
    return {
      release: this.#table.releaseId,
      beside: this.#table.beside,
      request,
      matched: this.matched.map((number) => {
        const { name, order, when } = rules[number]!.manifest;
        return { name, order, when, hooks: this.#table.loaded?.hookPlaces?.(number) ?? {} };
      }),
      unmatched: rules.filter((_, number) => !matched.has(number)).map(({ manifest }) => manifest.name),
      steps: this.#steps,
    };
  }
}

function inCountry(country: string, real: Countries | null): Countries {
  return {
    told(fields, client) {
      real?.told(fields, client);
      return country;
    },
    at: () => country,
  };
}

const NO_WAY_OUT = {
  fetch: () => Promise.reject(new GatewayError("SERVICE_REFUSED", "sluice explain sends nothing: what this rule does with an answer is not known")),
  close: () => undefined,
};

function observerOf(real: Observer, recording: Recording): Observer {
  return {
    ...real,
    exchange: (record) => {
      const { status, from, code, detail } = record;
      recording.add({ step: "response", status, from, code, detail, headers: recording.sent });
      recording.answered.resolve();
    },
    limit: () => undefined,
  };
}

function upstreamsOf(real: Upstreams, recording: Recording): Upstreams {
  return {
    has: (upstream) => real.has(upstream),
    status: () => real.status(),
    close: () => undefined,
    send(upstream, request, cancel) {
      recording.sends(cancel as unknown as { route: number }, upstream, request);
      return Promise.resolve({
        status: ASSUMED_STATUS,
        fields: new Fields([]),
        body: NO_BODY,
        declaredLength: 0,
        target: "",
        tunnel: null,
        connectMs: 0,
        firstByteMs: 0,
        attempts: 0,
      });
    },
  };
}

function cacheOf(real: Cache, recording: Recording): Cache {
  return {
    values: real.values,
    status: () => real.status(),
    peek: (exchange) => real.peek(exchange),
    purge: () => Promise.reject(new Error("explaining purges nothing")),
    purgeHere: () => undefined,
    close: () => undefined,
    ask(exchange: CacheExchange): GatewayResponse | Promise<GatewayResponse> {
      const { decision, why, key, response } = real.peek(exchange);
      recording.add({ step: "cache", decision, why, key });
      return response ?? exchange.pass();
    },
  };
}

function at<V>(map: Map<string, V[]>, key: string): V[] {
  let list = map.get(key);
  if (list === undefined) map.set(key, (list = []));
  return list;
}

function cut(text: string): string {
  return text.length <= SHOWN_UNITS ? text : `${text.slice(0, SHOWN_UNITS)}…`;
}
