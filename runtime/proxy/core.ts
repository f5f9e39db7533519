/** The proxy core of one process, put together: what `handler.ts` reads. Rules run elsewhere; no user code runs here. */
import { randomBytes } from "node:crypto";
import { type Cache, createCache } from "../cache/cache.ts";
import type { Clock } from "../clock.ts";
import { EMPTY_RELEASE, type Release, type SourceMaps } from "../compile/release.ts";
import type { ResolvedConfig, RouteConfig } from "../config/resolved.ts";
import type { Observer } from "../observe/observe.ts";
import type { Limiter } from "../ratelimit/ratelimit.ts";
import type { Sandbox, SandboxEvents } from "../sandbox/sandbox.ts";
import type { Trace } from "../sandbox/trace.ts";
import type { Store } from "../store/store.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import type { Countries } from "./countries.ts";
import type { Exchange } from "./exchange.ts";
import { TrustedProxies } from "./forwarded.ts";
import type { ExperimentSeat } from "./experiments/seat.ts";
import type { GatewayInputs } from "./gateway-inputs.ts";
import { HookTable } from "./hook-plan.ts";
import type { Life } from "./life.ts";
import type { PreviewDoor } from "./previews.ts";
import { readsOfMatch } from "./match/reads.ts";
import type { ReleaseChoice } from "./release-choice.ts";
import type { GatewayResponse } from "./reply.ts";
import { Routing } from "./routing.ts";
import type { Witness } from "./witness.ts";

export interface CoreParts {
  readonly config: ResolvedConfig;
  readonly clock: Clock;
  readonly observer: Observer;
  /** Shared with the other workers and gateways. */
  readonly store: Store;
  readonly limiter: Limiter;
  readonly upstreams: Upstreams;
  /** In place of one of its own; null: none. */
  readonly cache?: Cache | null;
  /** Called when the first release with experiments comes. Left out: they show control. */
  readonly startExperiments?: () => Promise<ExperimentSeat>;
  /** Starts the sandbox processes; called when the first release with rules comes. */
  readonly startSandbox: () => Promise<Sandbox>;
}

/** Loaded and not serving. Exactly one of the two is called, once; neither can fail. */
export interface PreparedRelease {
  /** New exchanges begin with it. */
  (): void;
  /** It is not wanted after all: sandboxes give it up. */
  discard(): void;
  /** The other way to use it: it serves beside the one that new exchanges begin with, until whoever took it retires it. */
  readonly table: HookTable;
}

export class Core {
  readonly config: ResolvedConfig;
  readonly clock: Clock;
  readonly observer: Observer;
  /** Shared with the other workers and gateways. */
  readonly store: Store;
  readonly upstreams: Upstreams;
  /** Null when no route caches. */
  readonly cache: Cache | null;
  readonly trustedProxies: TrustedProxies;
  readonly keepHeaders: ReadonlySet<string>;
  /** The release that new exchanges begin with. Swapped by one assignment. */
  table: HookTable;
  /** While a canary runs: which exchanges begin with it. Null: none does. */
  choice: ReleaseChoice | null = null;
  /** The id in a genuine visitor cookie, or null. */
  visitorOf: (inputs: GatewayInputs) => string | null = () => null;
  /** Stored releases for who shows a token. Null: this core has none. */
  previews: PreviewDoor | null = null;
  sandbox: Sandbox | null = null;
  /** Null: no client has a country. */
  countries: Countries | null = null;
  /** Null: no release had experiments. */
  experiments: ExperimentSeat | null = null;
  /** Exchanges begun and not complete. */
  inFlight = 0;
  /** Asked once per exchange: who wants to know what its rules change. Null: nobody, ever. */
  trace: ((life: Life, debugToken: string) => Trace | null) | null = null;
  /** Asked once per exchange: who watches it from beginning to end, for recordings and shadow releases. Null: nobody, ever. */
  witness: ((life: Life) => Witness | null) | null = null;
  /** `sluice dev` while a save is broken: answers page loads with what is wrong, null for everything else. */
  problemPage: ((exchange: Exchange, inputs: GatewayInputs) => GatewayResponse | null) | null = null;

  readonly #limiter: Limiter;
  readonly #startSandbox: () => Promise<Sandbox>;
  readonly #startExperiments: (() => Promise<ExperimentSeat>) | undefined;
  readonly #quotedUpstreams: ReadonlyMap<string, string>;
  readonly #noted = new Set<string>();
  readonly #idPrefix = randomBytes(6).toString("hex");
  #nextId = 0;
  #swaps: Promise<void> = Promise.resolve();

  constructor(parts: CoreParts) {
    this.config = parts.config;
    this.clock = parts.clock;
    this.observer = parts.observer;
    this.store = parts.store;
    this.upstreams = parts.upstreams;
    this.#startSandbox = parts.startSandbox;
    this.#startExperiments = parts.startExperiments;
    this.#limiter = parts.limiter;
    this.cache =
      parts.cache !== undefined || parts.config.cache === null
        ? (parts.cache ?? null)
        : createCache({
            config: parts.config.cache,
            store: parts.store,
            clock: parts.clock,
            shares: parts.store.kind === "redis" || (parts.store.kind === "embedded" && parts.config.workers > 1),
            random: Math.random,
            warn: (event, facts) => parts.observer.note("warn", event, facts),
          });
    this.trustedProxies = new TrustedProxies(parts.config.trustedProxies);
    this.keepHeaders = new Set(parts.config.keepHeaders);
    this.#quotedUpstreams = new Map(Object.keys(parts.config.upstreams).map((name) => [name, JSON.stringify(name)]));
    this.table = new HookTable(EMPTY_RELEASE.id, null, this.#routingOf(parts.config.routes), () => undefined);
  }

  /** Unique over gateways and restarts; no secret. */
  nextRequestId(): string {
    return `${this.#idPrefix}-${(this.#nextId++).toString(36)}`;
  }

  /** For the operator, once of each `whose`: the same would be said of every request. There are few of them. */
  noteOnce(event: string, whose: string, facts: Readonly<Record<string, unknown>>): void {
    const word = `${event} ${whose}`;
    if (this.#noted.has(word)) return;
    this.#noted.add(word);
    this.observer.note("warn", event, facts);
  }

  /** The name of an upstream as JSON. A rule may have picked one that is none. */
  quotedUpstream(name: string): string {
    return this.#quotedUpstreams.get(name) ?? JSON.stringify(name);
  }

  /** Loads `release` and makes it the one for new exchanges. Rejects with the reason and changes nothing when it does not load. One swap at a time. */
  swap(release: Release, maps: SourceMaps): Promise<void> {
    const prepared = this.prepare(release, maps);
    return prepared.then((activate) => activate());
  }

  /** The first half of a swap: everything that can fail. What it resolves with cannot fail. `routes` left out: those that serve. */
  async prepare(release: Release, maps: SourceMaps, routes?: readonly RouteConfig[]): Promise<PreparedRelease> {
    const table = await this.hold(release, maps, routes);
    return Object.assign(() => this.serve(table), { discard: () => table.retire(), table });
  }

  /** Loads a release beside those that are there. Whoever asked retires the table. */
  hold(release: Release, maps: SourceMaps, routes?: readonly RouteConfig[]): Promise<HookTable> {
    const table = this.#swaps.then(() => this.#load(release, maps, routes === undefined ? this.table.routing : this.#routingOf(routes)));
    this.#swaps = table.then(
      () => undefined,
      () => undefined,
    );
    return table;
  }

  /** Of the cache, those that exchanges may use now. */
  get partitions(): readonly string[] {
    return [this.table.partition, ...(this.choice === null ? [] : [this.choice.canary.partition]), ...(this.previews?.partitions ?? [])];
  }

  /** What rules do, for whoever compares releases while a canary runs. */
  measured(events: SandboxEvents): SandboxEvents {
    return {
      ...events,
      hook: (entry) => {
        if (this.choice !== null) this.choice.measure.hook(entry);
        events.hook(entry);
      },
    };
  }

  /** New exchanges begin with it. */
  serve(table: HookTable): void {
    const last = this.table;
    this.table = table;
    last.retire();
  }

  #routingOf(routes: readonly RouteConfig[]): Routing {
    return new Routing(routes, this.config.rateLimits, this.#limiter);
  }

  async #load(release: Release, maps: SourceMaps, routing: Routing): Promise<HookTable> {
    if (release.rules.length === 0) return new HookTable(release.id, null, routing, () => undefined);
    this.sandbox ??= await this.#startSandbox();
    const sandbox = this.sandbox;
    if (this.countries === null) this.#warnOfCountries(release);
    const loaded = await sandbox.load(release, maps);
    if (this.experiments === null && release.rules.some(({ manifest }) => manifest.experiment !== undefined))
      this.experiments = (await this.#startExperiments?.()) ?? null;
    return new HookTable(release.id, loaded, routing, () => sandbox.unload(loaded));
  }

  /** A rule that keeps a country out would keep nobody out, and nobody would see it. */
  #warnOfCountries({ rules }: Release): void {
    const asking = rules.flatMap(({ manifest: { name, when } }) => (readsOfMatch(when).includes("country") ? [name] : []));
    if (asking.length > 0)
      this.observer.note("warn", "geo", { text: `country matches nothing, for this gateway's config has no geo key: ${asking.join(", ")}` });
  }

  async close(): Promise<void> {
    this.cache?.close();
    this.upstreams.close();
    await this.experiments?.close();
    await this.sandbox?.close();
  }
}
