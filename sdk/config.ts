/** `sluice.config.ts`: what `defineConfig` takes. Only what this version has; an unknown key is an error in the types and at start. */
import type { AdminOptions, ReleasesOptions } from "./config-control.ts";
import type { RouteLimitOptions } from "./limits.ts";
import type { MatchSpec } from "./match.ts";
import type { Duration, JsonValue, Share, Size } from "./units.ts";

/** Where clients connect. */
export interface ListenerOptions {
  /** Address to bind. All IPv4 addresses (`"0.0.0.0"`) by default; `"::"` takes IPv6 too. */
  readonly host?: string;
  /** 1 – 65535; 0 takes a free one, which `start` prints. */
  readonly port: number;
}

/**
 * How the country of clients is known: `country` in `when`, in `match` of routes and in experiments, and `ctx.client.country`. At least one of the two;
 * with both the header counts, and the database where the header says nothing (absent, unknown, or no code of two letters).
 *
 * The key belongs to one machine: no deploy carries it, so that each gateway has its own file, or none; without one `country` matches nothing there.
 *
 * @example
 * import { defineConfig } from "sluice"
 * export default defineConfig({
 *   trustedProxies: ["10.0.0.0/8"],
 *   geo: { header: "cf-ipcountry", database: "./geo/country.mmdb" },
 *   upstreams: { europe: { targets: ["http://10.1.0.1:9001"] }, shop: { targets: ["http://10.0.0.1:9001"] } },
 *   routes: [{ match: { country: ["AT", "CH", "DE"] }, upstream: "europe" }, { upstream: "shop" }],
 * })
 */
export interface GeoOptions {
  /**
   * A MaxMind DB (`.mmdb`) of countries or cities, a path from the config's folder. It is read whole, once a worker: 8 MB of countries, some 100 MB of
   * cities. A new file counts after a reload (`kill -HUP`), which loses no request. Free ones, each with terms of its own: GeoLite2 Country (MaxMind, with an
   * account), DB-IP Lite, IPinfo Lite, and npm packages such as `@ip-location-db/geo-whois-asn-country-mmdb`. Private addresses and networks that it does
   * not know have no country.
   */
  readonly database?: string;
  /**
   * A request header in which a CDN in front says it: `"cf-ipcountry"`, `"cloudfront-viewer-country"`. Believed from `trustedProxies` alone, which must set
   * or remove it on every request; from anybody else it is taken out before rules and origins see it.
   */
  readonly header?: string;
}

/** One address of an upstream. */
export interface TargetOptions {
  /** `http://host:port` or `https://host:port`, without path. */
  readonly url: string;
  /** Its part of the requests in relation to the other targets' weights. 1 by default; 0 gets none. */
  readonly weight?: number;
}

/** How long the gateway waits for an upstream. */
export interface UpstreamTimeouts {
  /** To connect, TLS included. `"1s"` by default; then the next target is tried. */
  readonly connect?: Duration;
  /** From the request's last byte to the response's head. `"30s"` by default. */
  readonly firstByte?: Duration;
  /** Between two reads of a response body. `"60s"` by default. */
  readonly idle?: Duration;
}

/** A named group of origin servers. */
export interface UpstreamOptions {
  /** At least one. A string is a URL with weight 1. */
  readonly targets: readonly (string | TargetOptions)[];
  readonly timeouts?: UpstreamTimeouts;
  /** How long an idle connection is kept for the next request. `"30s"` by default; `"0s"` keeps none. */
  readonly keepAlive?: Duration;
  /** Connections to all its targets together. 1,000 by default, per gateway. */
  readonly maxConnections?: number;
}

/** Which requests go where. The first route that matches counts. */
export interface RouteOptions {
  /** Left out: every request. */
  readonly match?: MatchSpec | readonly MatchSpec[];
  /** A name from `upstreams`. */
  readonly upstream: string;
  /** What of its answers is stored. Left out: nothing, unless the gateway has a `cache` key of its own; then as `{}`. `false`: nothing. */
  readonly cache?: RouteCacheOptions | false;
  /**
   * How often clients may ask, checked before any rule runs, all in one step: a request that one of them refuses takes nothing of the others. Refused is
   * answered 429 with `RateLimit`, `RateLimit-Policy` and `Retry-After`. None by default.
   */
  readonly limits?: readonly RouteLimitOptions[];
}

/**
 * What a route stores and for how long, beyond what the origin says (RFC 9111). `Sluice-Cache-Control`, `CDN-Cache-Control`,
 * `Surrogate-Control` and `Cache-Control` count in this order; a rule's `res.cache` comes before all of them.
 */
export interface RouteCacheOptions {
  /** Lifetime of answers that bring none of their own; errors get none, `statuses` names those that shall. `"0s"` by default: only what the origin allows is stored. */
  readonly default?: Duration;
  /** Longest lifetime guessed from `Last-Modified` (a tenth of the answer's age, RFC 9111 section 4.2.2), before `default`. `"1h"` by default; `"0s"` guesses none. */
  readonly heuristicLimit?: Duration;
  /** Lifetimes by status, where the origin says nothing: `{ "404": "10s" }`. None by default. */
  readonly statuses?: Readonly<Record<string, Duration>>;
  /** How long a stale answer is served while it is fetched anew (RFC 5861), where the origin says nothing. `"0s"` by default. */
  readonly staleWhileRevalidate?: Duration;
  /** How long a stale answer is served when the origin fails, where it says nothing. `"0s"` by default. */
  readonly staleIfError?: Duration;
  /** No lifetime exceeds it. `"365d"` by default. */
  readonly maxLifetime?: Duration;
  /** How long requests for a URL whose answer could not be stored don't wait for each other. `"60s"` by default. */
  readonly hitForMiss?: Duration;
  /** Answers with `Set-Cookie`: `"explicit"` (the default) stores those that say `public`, `s-maxage` or a targeted field; `"strip"` stores without the cookies; `"store"` as RFC 9111 allows. */
  readonly setCookie?: "explicit" | "strip" | "store";
  /** Do clients' `Cache-Control` and `Pragma` count? `true` by default; `false` keeps clients from forcing requests to the origin. */
  readonly clientDirectives?: boolean;
  /** What, beside the URL and the upstream, makes two requests different. */
  readonly key?: {
    /** `true` (the default): the whole query; `false`: none of it; or only some parameters, or all but some. A `*` at the end stands for any rest: `"utm_*"`. */
    readonly query?: boolean | { readonly include?: readonly string[]; readonly exclude?: readonly string[] };
    /** Request headers whose values count. None by default; `Vary` of answers counts anyway. */
    readonly headers?: readonly string[];
    /** Cookies whose values count. None by default. */
    readonly cookies?: readonly string[];
  };
}

/** The cache of the gateway. With this key every route caches that does not say `cache: false`. */
export interface CacheOptions {
  /** Memory for all workers together, bodies included. `"256MiB"` by default. */
  readonly memory?: Size;
  /** A larger answer is passed on and not stored. `"8MiB"` by default. */
  readonly maxObject?: Size;
  /** How long a request waits for another one that fetches the same; then it fetches itself. `"5s"` by default. */
  readonly lockTimeout?: Duration;
  /** What goes into the store for other workers and gateways; `false`: nothing. */
  readonly shared?:
    | false
    | {
        /** A larger answer stays in the worker that fetched it. `"1MiB"` by default. */
        readonly maxObject?: Size;
        /** Longest stay in the store. `"1d"` by default. */
        readonly lifetime?: Duration;
        /** Compress what is text. `true` by default. */
        readonly compress?: boolean;
      };
  /**
   * What entries in the store are signed with, the same on all gateways; entries with another signature are dropped and counted.
   * Left out: the gateways agree on a key through the store, which finds damage, but does not hold against whoever can read the store.
   */
  readonly secret?: SecretSource;
}

/** Where a secret's value stands. It is read at start and at a reload, and never written anywhere. */
export type SecretSource =
  | { /** Name of an environment variable. */ readonly env: string }
  | { /** Path of a file, from the config's folder; one newline at its end is dropped. */ readonly file: string };

/** What rules may call with `ctx.fetch` beside the targets in `upstreams`. */
export interface FetchOptions {
  /** Origins (`https://auth.example.com`). Their addresses must be public. None by default. */
  readonly allow?: readonly string[];
  /** Origins whose addresses may be private or loopback. None by default. */
  readonly private?: readonly string[];
}

/** The access log: one JSON line an exchange on standard output. */
export interface LogOptions {
  /** `"all"` (the default), `"errors"` (5xx and gateway codes), `"off"`, or a share of all exchanges, with errors always. */
  readonly access?: "all" | "errors" | "off" | Share;
  /** What the log never shows, beside `authorization`, `cookie` and `set-cookie`. */
  readonly redact?: {
    /** Header names. */
    readonly headers?: readonly string[];
    /** Query parameters. */
    readonly query?: readonly string[];
  };
}

/**
 * Requests kept for `sluice plan --replay`, which runs them through two releases and lists those that are decided differently. Kept are method, host,
 * path, the query with every value as a keyed digest, the headers named here, and what services told rules, each text as a digest; never a body, a
 * cookie or an address. They stand in the store (up to 10,000 requests of all gateways), are read with the role `recordings` alone, are gone within
 * 24 hours, and at once with `sluice recordings purge`. Where a client was is not kept either: replayed requests have no country.
 */
export interface RecordOptions {
  /** Of all exchanges, drawn by their request id; at most 100 a second and worker. `"0%"` by default: nothing is kept. */
  readonly share?: Share;
  /**
   * Headers of requests and answers whose values are kept, in place of the default: `accept`, `accept-encoding`, `accept-language`, `cache-control`,
   * `content-encoding`, `content-language`, `content-type`, `range`, `sec-ch-ua-mobile`, `sec-ch-ua-platform`, `sec-fetch-dest`, `sec-fetch-mode`,
   * `sec-fetch-site`, `upgrade-insecure-requests`, `user-agent`, `vary`, `x-requested-with`. Those that tell who asks are refused (`cookie`,
   * `authorization`, `x-forwarded-for` and the like).
   */
  readonly headers?: readonly string[];
}

/** How experiments know visitors, and what they count. Definitions are modules of their own, made with `defineExperiment`. */
export interface ExperimentsOptions {
  /**
   * What visitor cookies and QA links are signed with, at least 32 characters; the same on all gateways of a site. Left out: the gateways agree on one by
   * themselves, kept in the store and in `stateDir` (a file that only its owner can read).
   */
  readonly key?: SecretSource;
  /** Keys that were used before, at most 4: what they signed still counts, so that a new key loses no visitor. */
  readonly previousKeys?: readonly SecretSource[];
  /**
   * What browsers and caches in between are told of pages that experiments act on. `"private"` by default: nobody but the visitor's browser may keep them, and it asks each
   * time whether they still hold (`private, no-cache`), so that a variant that is stopped is gone with the next request.
   * `"origin"`: what the origin says stays, for when whatever stands in front of the gateway keeps visitors apart by itself.
   */
  readonly downstream?: "private" | "origin";
  /**
   * Units that are told apart for each version of an experiment; further ones see their variant and are not counted (the report says how many).
   * 1,000,000 by default, some 55 bytes each in Redis, 110 in the embedded store (whose `store.memory` has to be large enough: 64 MiB hold some
   * 400,000). An experiment with a `prePeriod` remembers as many again that have not met it so far, some 220 bytes each.
   */
  readonly maxUnits?: number;
  /**
   * Exposures and goals also as JSON lines, for a warehouse. Exactly one of `file` (appended to; a path from the config's folder) and `webhook`
   * (POSTed as `application/x-ndjson`, at most 500 lines at once; anything but 2xx within 5 s is tried again, 4 times in all). Bounded at 10,000 lines
   * and 16 Mi characters a worker: more are dropped, and counted in `sluice_experiment_raw_lines_total`. Nothing by default.
   *
   * A deploy may name a `.jsonl`, `.ndjson` or `.log` file below the config's folder and outside `stateDir`, and a `webhook` on no private, loopback or
   * link-local address; anything else only when the gateway's own config names the same file, or the same origin.
   *
   * A line: `{ event: "exposure" | "goal", id, timestamp, experiment_id, version, variation_id, unit_id, … }`; an `id` that comes again is the same
   * event. An exposure has `variation_index`, `reason`, `request_id` and `attributes`; a goal has `goal` and, when it has one, `value`. Goals are written as
   * they are seen, also those before an exposure or after their window: join them with the exposures by `unit_id` and `timestamp`.
   */
  readonly raw?: {
    readonly file?: string;
    readonly webhook?: string;
    /** `"hashed"` by default: half of the SHA-256 in hex. `"plain"`: the unit itself, with its source in front. */
    readonly unit?: "hashed" | "plain";
  };
}

/** Bounds. Every one has a default; numbers are per gateway, whatever the number of workers. */
export interface LimitOptions {
  /** Request target; more is 414. `"8KiB"` by default. */
  readonly targetSize?: Size;
  /** One header line; more is 431. `"16KiB"` by default. */
  readonly headerLineSize?: Size;
  /** All header lines; more is 431. `"32KiB"` by default. */
  readonly headerSize?: Size;
  /** Number of header fields; more is 431. 100 by default. */
  readonly headers?: number;
  /** Request body; more is 413. `"100MiB"` by default. */
  readonly bodySize?: Size;
  /** What a rule may read of one body. `"1MiB"` by default. */
  readonly ruleBodySize?: Size;
  /** For a client to send its head. `"10s"` by default. */
  readonly headTimeout?: Duration;
  /** Between two reads of a request body. `"30s"` by default. */
  readonly bodyTimeout?: Duration;
  /** Slowest request body, in bytes per second. `"500B"` by default. */
  readonly bodyMinRate?: Size;
  /** For an idle client connection. `"60s"` by default. */
  readonly keepAlive?: Duration;
  /** For a client that does not read its answer. `"30s"` by default. */
  readonly sendTimeout?: Duration;
  /** For a WebSocket or other tunnel without a byte either way. `"10m"` by default. */
  readonly tunnelIdle?: Duration;
  /** Client connections at once. 10,000 by default. */
  readonly connections?: number;
  /** … from one address. 1,000 by default. */
  readonly connectionsPerClient?: number;
  /** CPU of one rule in one phase. `"50ms"` by default. */
  readonly ruleCpu?: Duration;
  /** Wall time of one rule over one exchange. `"5s"` by default. */
  readonly ruleWall?: Duration;
  /** Memory of a release's isolate. `"64MiB"` by default. */
  readonly ruleMemory?: Size;
  /** `fetch` calls of rules in one exchange. 16 by default. */
  readonly ruleFetches?: number;
  /**
   * Memory in which a gateway keeps what hooks decided. A hook of a module that keeps nothing between hooks, and that asked neither for the time
   * nor for chance, the client or a service, decides the same on the same input: then its outcome is taken from here and the sandbox is not
   * entered. `"16MiB"` by default; `"0B"` runs every hook every time.
   */
  readonly ruleRecall?: Size;
  /** Code of a release, source maps apart. `"4MiB"` by default. */
  readonly releaseSize?: Size;
  /** One value on its way into or out of a sandbox. `"1MiB"` by default. */
  readonly crossingSize?: Size;
  /** For running exchanges at shutdown or replacement. `"30s"` by default. */
  readonly drain?: Duration;
}

/** Redis with more to say than a URL. Exactly one of `url`, `cluster` and `sentinels`. */
export interface RedisOptions {
  /** `redis://user:password@host:6379/0`; `rediss://` is TLS. */
  readonly url?: string;
  /** Some nodes of a Redis Cluster, `"host:port"`; the others are learnt from them. */
  readonly cluster?: readonly string[];
  /** Sentinels that know which server is the master. */
  readonly sentinels?: {
    /** What they call it: `"mymaster"`. */
    readonly name: string;
    /** `"host:port"`; 26379 is the default port. */
    readonly nodes: readonly string[];
    readonly username?: string;
    readonly password?: SecretSource;
  };
  /** ACL user; Redis' default user when left out. Counts before the URL's. */
  readonly username?: string;
  readonly password?: SecretSource;
  /** Number of the database; 0 by default, and always in a cluster. */
  readonly db?: number;
  /** `true`: TLS, certificates checked by the system's authorities. Paths count from the config's folder. Off by default, unless the URL says `rediss://`. */
  readonly tls?: boolean | { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly servername?: string };
  /** Before every key. `"sluice:"` by default. Gateways act as one when server, database and prefix are the same. */
  readonly prefix?: string;
}

/** What workers and gateways share: limits, `ctx.kv`, the cache's second tier. */
export interface StoreOptions {
  /** Redis 6.2 or newer, a URL or more. Left out: the embedded store, which serves one gateway and keeps lasting values below `stateDir`. */
  readonly redis?: string | RedisOptions;
  /** For one call to the store. `"500ms"` by default; then the caller goes on without it, as its own options say. */
  readonly timeout?: Duration;
  /** What the embedded store may hold. `"64MiB"` by default; what is oldest in use and need not last goes first. */
  readonly memory?: Size;
}

/**
 * What `defineConfig` takes. Everything but `upstreams` has a default.
 *
 * `listeners`, `workers`, `geo`, `rules`, `stateDir`, `store`, `admin` and `releases` belong to one machine. All other keys are shared: `sluice deploy` carries
 * them with the rules, every gateway checks them before one takes them, and `sluice rollback` brings both back. Until something was deployed a gateway serves its
 * own file. From then on the deployed values count; a reload takes only the machine's own keys from the file, and what else differs there is logged and shown by
 * `sluice status`. Secrets are read on each gateway, from where the deploy says: an environment variable (never one of `SLUICE_…`), or a file below the config's
 * folder; a file elsewhere only where the gateway's own config names it too.
 */
export interface ConfigOptions {
  /** `[{ port: 8080 }]` on loopback by default. */
  readonly listeners?: readonly ListenerOptions[];
  /** Number of worker processes; `"auto"` (the default) is one per core. */
  readonly workers?: "auto" | number;
  /** Addresses or CIDR blocks whose `Forwarded`, `X-Forwarded-*` and `X-Request-Id` are believed. None by default. */
  readonly trustedProxies?: readonly string[];
  /** How the country of clients is known. Left out: it is not. */
  readonly geo?: GeoOptions;
  /** Name → group of origin servers. */
  readonly upstreams: Readonly<Record<string, UpstreamOptions>>;
  /** In order. By default every request goes to the only upstream; with several, routes must say. */
  readonly routes?: readonly RouteOptions[];
  /** Limits that every request meets before those of its route, also when no route takes it. None by default. */
  readonly rateLimits?: readonly RouteLimitOptions[];
  /** Folder of the rules, from the config's folder. None by default. */
  readonly rules?: string;
  /** What rules see as `ctx.vars`. */
  readonly vars?: Readonly<Record<string, JsonValue>>;
  /** What rules that declare it see in `ctx.secrets`. */
  readonly secrets?: Readonly<Record<string, SecretSource>>;
  readonly fetch?: FetchOptions;
  /** Folder for the admin token, last good release and the like. `"./.sluice"` by default. */
  readonly stateDir?: string;
  readonly store?: StoreOptions;
  readonly cache?: CacheOptions;
  readonly log?: LogOptions;
  readonly record?: RecordOptions;
  readonly experiments?: ExperimentsOptions;
  /** Response headers of origins that are passed on although they tell about software: `"server"`, `"x-powered-by"`. None by default. */
  readonly keepHeaders?: readonly string[];
  readonly limits?: LimitOptions;
  /** `false` switches it off. */
  readonly admin?: AdminOptions | false;
  readonly releases?: ReleasesOptions;
}

/**
 * Types a config: the default export of `sluice.config.ts`. Gives back what it got; units and unknown keys are checked when it is loaded,
 * and all problems are listed at once.
 *
 * @example
 * import { defineConfig } from "sluice"
 * export default defineConfig({
 *   listeners: [{ host: "127.0.0.1", port: 8080 }],
 *   upstreams: { shop: { targets: ["http://127.0.0.1:9001", { url: "http://127.0.0.1:9002", weight: 2 }], timeouts: { connect: "1s" } } },
 *   routes: [{ match: { host: "shop.example.com" }, upstream: "shop", limits: [{ name: "per-client", rate: "100/1m", key: ["address"] }] }],
 *   rules: "./rules",
 *   vars: { theme: "dark" },
 *   secrets: { jwtKey: { env: "JWT_KEY" } },
 *   limits: { bodySize: "10MiB" },
 * })
 */
export function defineConfig(config: ConfigOptions): ConfigOptions {
  return config;
}
