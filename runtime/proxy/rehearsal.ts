/**
 * A release that plays requests without being seen: the life of a request as `handler.ts` tells it, in sandbox processes of its own, on a core whose
 * origin, cache and services tell what they told when the request was real. Nothing leaves it but what it decided.
 */
import type { Cache } from "../cache/cache.ts";
import type { Clock } from "../clock.ts";
import { PHASES, type Phase, type Release, type SourceMaps } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { GatewayError } from "../errors.ts";
import type { Observer } from "../observe/observe.ts";
import { draw } from "../observe/draw.ts";
import { Limiter } from "../ratelimit/ratelimit.ts";
import { createSandbox } from "../sandbox/client.ts";
import type { ServiceName } from "../sandbox/protocol.ts";
import type { Sandbox, SandboxEvents, Service, ServiceCall } from "../sandbox/sandbox.ts";
import { placeOf, type Trace, type TracedEffect } from "../sandbox/trace.ts";
import { createMemoryStore, type Store } from "../store/store.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import { Core } from "./core.ts";
import type { Countries } from "./countries.ts";
import { ANSWERED_BY, CALL, type DeciderPlace, type Decisions, REQUEST_HEADER, RESPONSE_HEADER } from "./decisions.ts";
import { type BodySource, NO_BODY } from "./exchange.ts";
import { ExperimentSeat } from "./experiments/experiments.ts";
import { Fields } from "./fields.ts";
import { handle } from "./handler.ts";
import type { Life } from "./life.ts";
import { Pretended } from "./pretended.ts";
import { type Head, type HookDraw, type Received, Witness } from "./witness.ts";

/** What is played. */
export interface Scene {
  /** Unlike all others that are played at the same time. */
  readonly id: string;
  readonly received: Received;
  readonly startUnixMs: number;
  readonly draws: readonly HookDraw[];
  /** Experiment → variant that the real request was shown. */
  readonly variants: Readonly<Record<string, string>>;
  /** How the origin answers; null: nobody knows, and 200 without a field is assumed. */
  readonly origin: Head | GatewayError | null;
  /** What the cache had; null: it had nothing, or was not asked. */
  readonly cached: Head | null;
  /** The reply to a rule's call. Null: there is none, and the call is not made. */
  reply(name: string, call: ServiceCall): Promise<unknown> | null;
  /** How a call is told of. */
  word(name: string, call: ServiceCall): string;
}

export interface Rehearsed {
  readonly decisions: Decisions;
  readonly by: ReadonlyMap<string, DeciderPlace>;
  /** Hooks that failed. */
  readonly failures: readonly { readonly rule: string; readonly phase: Phase; readonly message: string; readonly place: string }[];
  /** Calls that had no reply. */
  readonly unanswered: readonly string[];
  /** False: it took longer than a rehearsal may. */
  readonly finished: boolean;
}

export interface RehearsalParts {
  readonly config: ResolvedConfig;
  readonly release: Release;
  readonly maps: SourceMaps;
  readonly kernel: string;
  readonly clock: Clock;
  /** Of the cache, for what its rules ask of it. Left out: none. */
  readonly partition?: string;
  /** Left out: no client has a country. */
  readonly countries?: Countries | null;
}

/** Rules are bounded by their own limits; this bounds an exchange as a whole. */
const DEADLINE_MS = 15_000;
const ASSUMED: Head = { status: 200, fields: [] };

const BEFORE_ORIGIN: readonly Phase[] = ["onRequest", "onOriginRequest"];
const BEHIND_ORIGIN: readonly Phase[] = ["onOriginResponse", "onResponse", "onError", "onComplete"];
/** `ResponseFrom` of an answer that a rule gave. */
const RULE = "rule";

const SERVICES: Readonly<Record<ServiceName, true>> = {
  requestBody: true,
  responseBody: true,
  timer: true,
  fetch: true,
  jwt: true,
  hmac: true,
  forward: true,
  cache: true,
  kv: true,
  limit: true,
};

export class Rehearsal {
  readonly #core: Core;
  readonly #store: Store;
  readonly #limiter: Limiter;
  readonly #clock: Clock;
  /** By request id. */
  readonly #playing = new Map<string, Play>();
  #nextId = "";

  private constructor({ config, clock, kernel, countries = null }: RehearsalParts) {
    this.#clock = clock;
    this.#store = createMemoryStore({ clock });
    this.#limiter = new Limiter({ store: this.#store, clock, events: { charged: () => undefined, degraded: () => undefined } });
    this.#core = new Core({
      // Limits were charged by the real request.
      config: { ...config, rateLimits: [], routes: config.routes.map((route) => ({ ...route, limits: [] })) },
      clock,
      observer: this.#observer(),
      store: this.#store,
      limiter: this.#limiter,
      upstreams: this.#upstreams(config),
      cache: config.cache === null ? null : this.#cache(),
      startExperiments: () => Promise.resolve(ExperimentSeat.control({ config, clock, store: this.#store })),
      startSandbox: () => this.#startSandbox(config, kernel),
    });
    this.#core.countries = countries;
    this.#core.nextRequestId = () => this.#nextId;
    this.#core.witness = (life) => this.#playing.get(this.#nextId)!.begin(life);
    this.#core.trace = () => this.#playing.get(this.#nextId)!;
  }

  /** Rejects with the reason when the release does not load. */
  static async open(parts: RehearsalParts): Promise<Rehearsal> {
    const rehearsal = new Rehearsal(parts);
    try {
      await rehearsal.#core.swap(parts.release, parts.maps);
      rehearsal.#core.table.partition = parts.partition ?? "";
      return rehearsal;
    } catch (thrown) {
      await rehearsal.close();
      throw thrown;
    }
  }

  get sandbox(): Sandbox | null {
    return this.#core.sandbox;
  }
  isPlaying(id: string): boolean {
    return this.#playing.has(id);
  }

  async play(scene: Scene): Promise<Rehearsed> {
    if (this.#playing.has(scene.id)) throw new RangeError(`${scene.id} is played already`);
    const play = new Play(scene);
    const deadline = this.#clock.after(DEADLINE_MS, () => play.over.resolve(false));
    this.#playing.set(scene.id, play);
    // `handle` makes the exchange's life before it returns, so that it finds its id and its witness here.
    this.#nextId = scene.id;
    const { received } = scene;
    handle(new Pretended(received, this.#clock.now(), () => undefined, received.hasBody ? UNKNOWN_BODY : NO_BODY), this.#core);
    const finished = await play.over.promise;
    deadline.cancel();
    this.#playing.delete(scene.id);
    return play.told(finished);
  }

  async close(): Promise<void> {
    for (const play of this.#playing.values()) play.over.resolve(false);
    this.#limiter.close();
    await this.#core.close();
    await this.#store.close();
  }

  #startSandbox(config: ResolvedConfig, kernel: string): Promise<Sandbox> {
    const serve =
      (name: string): Service =>
      (call) => {
        const play = this.#playing.get(call.exchange.id);
        if (play === undefined) return Promise.reject(new GatewayError("SERVICE_REFUSED", "the rehearsal is over"));
        if (name === "timer") return this.#wait(call, config.limits.ruleWallMs);
        return play.serve(name, call);
      };
    const of = (id: string): Play | undefined => this.#playing.get(id);
    const events: SandboxEvents = { log: () => undefined, metric: () => undefined, sandbox: () => undefined, hook: (entry) => of(entry.exchange)?.hook(entry) };
    return createSandbox({
      limits: { ...config.limits, ruleRecallBytes: 0 },
      vars: config.vars,
      secrets: config.secrets,
      services: Object.fromEntries(Object.keys(SERVICES).map((name) => [name, serve(name)])),
      events,
      quarantine: true,
      kernel,
      now: () => this.#clock.unixMs(),
    });
  }

  /** As long as it would be: whoever races a call against a timer is not to see the timer win. */
  #wait(call: ServiceCall, mostMs: number): Promise<unknown> {
    const ms = Number((call.args as { ms?: unknown } | null)?.ms);
    return new Promise((resolve) => {
      const timer = this.#clock.after(Math.min(ms >= 0 ? ms : 0, mostMs), () => resolve({}));
      call.signal.addEventListener("abort", () => timer.cancel(), { once: true });
    });
  }

  #observer(): Observer {
    const nothing = (): undefined => undefined;
    return {
      exchange: ({ id }) => this.#playing.get(id)?.answered(),
      rule: nothing,
      ruleLog: nothing,
      ruleMetric: nothing,
      sandbox: nothing,
      limit: nothing,
      refused: nothing,
      defect: nothing,
      note: nothing,
      sandboxEvents: { log: nothing, metric: nothing, hook: nothing, sandbox: nothing },
      snapshot: () => ({ counters: {}, histograms: {}, custom: [] }),
    };
  }

  #upstreams({ upstreams }: ResolvedConfig): Upstreams {
    return {
      has: (upstream) => Object.hasOwn(upstreams, upstream),
      status: () => [],
      close: () => undefined,
      send: async (_upstream, _request, cancel) => {
        const { origin } = this.#playing.get((cancel as Life).id)?.scene ?? { origin: null };
        if (origin instanceof GatewayError) throw origin;
        const { status, fields } = origin ?? ASSUMED;
        return {
          status,
          fields: new Fields([...fields]),
          body: NO_BODY,
          declaredLength: -1,
          target: "",
          tunnel: null,
          connectMs: 0,
          firstByteMs: 0,
          attempts: 1,
        };
      },
    };
  }

  #cache(): Cache {
    const none = { counts: [], evictions: [], entries: 0, bytes: 0, limitBytes: 0 } as unknown as ReturnType<Cache["status"]>;
    return {
      values: { get: () => Promise.resolve(null), put: () => Promise.resolve(), delete: () => Promise.resolve() } as unknown as Cache["values"],
      status: () => none,
      peek: () => {
        throw new TypeError("nobody peeks into a rehearsal");
      },
      purge: () => Promise.reject(new TypeError("a rehearsal purges nothing")),
      purgeHere: () => undefined,
      close: () => undefined,
      ask: (exchange) => {
        const play = [...this.#playing.values()].find(({ fields }) => fields === exchange.fields);
        const cached = play?.scene.cached ?? null;
        if (cached === null) return exchange.pass();
        return { status: cached.status, fields: new Fields([...cached.fields]), body: NO_BODY, declaredLength: -1, from: "cache", error: null, tunnel: null };
      },
    };
  }
}

/** A body that came, and that nobody has any more. */
const UNKNOWN_BODY: BodySource = {
  length: -1,
  read: (sink) => sink.end(null),
  pause: () => undefined,
  resume: () => undefined,
  cancel: () => undefined,
};

/** One request on its way through a rehearsal. */
class Play implements Trace {
  readonly scene: Scene;
  readonly over = Promise.withResolvers<boolean>();
  #witness: Witness | null = null;
  readonly #by = new Map<string, DeciderPlace>();
  readonly #failures: { rule: string; phase: Phase; message: string; place: string }[] = [];
  readonly #unanswered: string[] = [];
  readonly #drawn = new Map<Phase, number>();
  /** Hooks of onComplete that are not over. */
  #completing = 0;

  constructor(scene: Scene) {
    this.scene = scene;
  }

  /** Of the request, as rules change them: who holds them is this exchange. */
  get fields(): Fields | null {
    return this.#witness?.life.request.fields ?? null;
  }

  begin(life: Life): Witness {
    life.experiments?.force(this.scene.variants);
    this.#witness = new Witness(life, null, (phase) => this.#draw(phase));
    return this.#witness;
  }

  effect({ rule, phase, what, place }: TracedEffect): void {
    const who = { rule, place: place === "" ? this.#hookPlace(rule, [phase]) : place };
    for (const aspect of aspectsOf(what, phase)) this.#by.set(aspect, who);
  }

  hook({ rule, phase, outcome, failure }: Parameters<SandboxEvents["hook"]>[0]): void {
    if (failure !== null) {
      const { message, stack } = failure;
      const place = placeOf(stack) || this.#hookPlace(rule, [phase]);
      this.#failures.push({ rule, phase, message, place });
      if (outcome === "failed-closed") for (const aspect of [ANSWERED_BY, "status"]) this.#by.set(aspect, { rule, place });
    }
    if (phase !== "onComplete") return;
    this.#completing = outcome === "failed-closed" ? 0 : this.#completing - 1;
    if (this.#completing <= 0) this.over.resolve(true);
  }

  /** All but onComplete. */
  answered(): void {
    const { onComplete = null } = this.#witness?.life.plan ?? {};
    this.#completing = onComplete?.rules.length ?? 0;
    if (this.#completing === 0) this.over.resolve(true);
  }

  async serve(name: string, call: ServiceCall): Promise<unknown> {
    const reply = this.scene.reply(name, call);
    if (reply !== null) return reply;
    const word = `${CALL}${name} ${this.scene.word(name, call)}`.trimEnd();
    this.#unanswered.push(word);
    this.#by.set(word, { rule: call.rule, place: this.#hookPlace(call.rule, this.#witness?.life.response === null ? BEFORE_ORIGIN : BEHIND_ORIGIN) });
    throw new GatewayError("SERVICE_REFUSED", `${name}: this call has no reply in a rehearsal, and is not made`);
  }

  told(finished: boolean): Rehearsed {
    const decisions = new Map(this.#witness?.decisions ?? []);
    for (const word of this.#unanswered) decisions.set(word, "not made");
    // Whoever answered said all of the answer.
    const answered = this.#by.get(ANSWERED_BY);
    if (answered !== undefined && decisions.get(ANSWERED_BY) === RULE)
      for (const what of decisions.keys()) if (!this.#by.has(what) && what.startsWith(RESPONSE_HEADER)) this.#by.set(what, answered);
    return { decisions, by: this.#by, failures: this.#failures, unanswered: this.#unanswered, finished };
  }

  /** Of the first of these hooks that the rule has: for what is told without a line of its own. */
  #hookPlace(rule: string, phases: readonly Phase[]): string {
    const loaded = this.#witness?.life.table.loaded;
    const number = loaded?.release.rules.findIndex(({ manifest }) => manifest.name === rule) ?? -1;
    const places = number < 0 ? {} : (loaded?.hookPlaces?.(number) ?? {});
    return phases.map((phase) => places[phase] ?? "").find((place) => place !== "") ?? "";
  }

  /** The hook calls of a phase draw in the order in which the real ones did; one more goes on from the last. */
  #draw(phase: Phase): { clockMs: number; seed: string } {
    const at = this.#drawn.get(phase) ?? 0;
    this.#drawn.set(phase, at + 1);
    const drawn = this.scene.draws.filter((draw) => draw.phase === phase)[at];
    return drawn ?? { clockMs: this.scene.draws.at(-1)?.clockMs ?? this.scene.startUnixMs, seed: seedOf(this.scene.id, PHASES.indexOf(phase) * 1000 + at) };
  }
}

/** 32 hex digits, the same for the same. */
function seedOf(id: string, at: number): string {
  let seed = "";
  for (let i = 0; i < 4; i++) seed += draw(`${at}.${i}.${id}`).toString(16).padStart(8, "0");
  return seed;
}

/** What a traced effect is about, in the words of `decisions.ts`. */
function aspectsOf(what: string, phase: Phase): readonly string[] {
  const onRequest = phase === "onRequest" || phase === "onOriginRequest";
  if (what.startsWith("header ")) return [(onRequest ? REQUEST_HEADER : RESPONSE_HEADER) + what.slice(7)];
  switch (what) {
    case "pinned target":
      return ["upstream"];
    case "body":
      return [onRequest ? "request body" : "body"];
    case "answer":
      return [ANSWERED_BY, "status", "body", "upstream"];
    case "HTML edit":
      return ["HTML edits"];
    default:
      return [what];
  }
}
