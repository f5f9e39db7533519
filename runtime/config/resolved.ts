/** The config after defaults, units and checks: what every other room reads. All durations in ms, sizes in bytes, shares 0 – 1. Plain data: it crosses process boundaries. */
import type { MatchSpec } from "../proxy/match/match.ts";
import type { RateLimitConfig } from "../ratelimit/route-limits.ts";
import type { SharedConfig } from "./schema.ts";

export interface ListenerConfig {
  readonly host: string;
  /** 0 asks the system for a free one. */
  readonly port: number;
}

/** How the country of clients is known. */
export interface GeoConfig {
  /** An absolute path: workers read it when they start; "": none. */
  readonly databaseFile: string;
  /** In lowercase; believed from trusted proxies alone, before the database. "": none. */
  readonly header: string;
}

export interface TargetConfig {
  /** As written: "http://127.0.0.1:9001". Identity of the target everywhere (logs, metrics, rules). */
  readonly url: string;
  readonly scheme: "http" | "https";
  readonly host: string;
  readonly port: number;
  readonly weight: number;
}

export interface UpstreamConfig {
  readonly name: string;
  readonly targets: readonly TargetConfig[];
  readonly timeouts: {
    readonly connectMs: number;
    readonly firstByteMs: number;
    /** Between two reads of a response body. */
    readonly idleMs: number;
  };
  /** Idle keep-alive connections are closed after this. */
  readonly keepAliveMs: number;
  /** Connections to all targets of this upstream together, per gateway. */
  readonly maxConnections: number;
}

/** Per gateway; memory is divided among the workers. */
export interface CacheConfig {
  readonly memoryBytes: number;
  /** A larger body is never stored. */
  readonly maxObjectBytes: number;
  /** A request waits this long for another one that fetches the same; then it fetches itself. */
  readonly lockTimeoutMs: number;
  /** Tier two, in the store; null: none. */
  readonly shared: { readonly maxObjectBytes: number; readonly lifetimeMs: number; readonly compress: boolean } | null;
  /** What entries in the store are signed with; "": a key that the gateways agree on through the store. */
  readonly secret: string;
}

/** What a route does with answers. The words are those of `cache/policy`. */
export interface RouteCacheConfig {
  readonly defaultMs: number;
  readonly heuristicLimitMs: number;
  readonly statusMs: readonly (readonly [status: number, lifetimeMs: number])[];
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly maxMs: number;
  readonly hitForMissMs: number;
  readonly setCookie: "explicit" | "strip" | "store";
  /** Do Cache-Control and Pragma of requests count? */
  readonly honourClient: boolean;
  readonly key: {
    readonly query: { readonly mode: "include" | "exclude"; readonly names: readonly string[] } | null;
    readonly headers: readonly string[];
    readonly cookies: readonly string[];
  };
}

export interface RouteConfig {
  readonly match: readonly MatchSpec[];
  readonly upstream: string;
  /** Null: answers are never stored. */
  readonly cache: RouteCacheConfig | null;
  readonly limits: readonly RateLimitConfig[];
}

export interface LimitsConfig {
  readonly targetBytes: number;
  readonly headerLineBytes: number;
  readonly headerBytes: number;
  readonly headers: number;
  readonly bodyBytes: number;
  /** What a rule may read of one body. */
  readonly ruleBodyBytes: number;
  readonly headTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly bodyMinBytesPerSecond: number;
  readonly keepAliveMs: number;
  /** How long an answer may wait for a client that does not read. */
  readonly sendTimeoutMs: number;
  /** A WebSocket or other tunnel without a byte either way is closed after this. */
  readonly tunnelIdleMs: number;
  readonly connections: number;
  readonly connectionsPerClient: number;
  readonly ruleCpuMs: number;
  readonly ruleWallMs: number;
  readonly ruleMemoryBytes: number;
  readonly ruleFetches: number;
  /** Memory for what hooks decided, so that the same request need not be decided again; 0: none. */
  readonly ruleRecallBytes: number;
  readonly releaseBytes: number;
  readonly crossingBytes: number;
  /** How long running exchanges may take at shutdown or replacement. */
  readonly drainMs: number;
}

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

export interface RedisConfig {
  readonly mode: "standalone" | "sentinel" | "cluster";
  /** The server; or the Sentinels; or some of the cluster's nodes. */
  readonly nodes: readonly RedisNode[];
  /** How the Sentinels name the server, and how to get in to them. "" stands for none. */
  readonly sentinel: { readonly name: string; readonly username: string; readonly password: string } | null;
  /** "" is Redis' default user. */
  readonly username: string;
  readonly password: string;
  readonly db: number;
  /** PEM texts; "" stands for the system's authorities, no client certificate, the host's name. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string; readonly servername: string } | null;
  /** Before every key. */
  readonly prefix: string;
}

export interface StoreConfig {
  /** For one call, waiting for a connection included. */
  readonly timeoutMs: number;
  /** Of the embedded store. */
  readonly memoryBytes: number;
  /** Null: the embedded store. */
  readonly redis: RedisConfig | null;
}

/** Requests kept for replays. */
export interface RecordConfig {
  /** 0 – 1; 0: none. */
  readonly share: number;
  /** Names, in lowercase, of requests and of answers; others are not kept. */
  readonly headers: readonly string[];
}

/** What experiments count, beside the store, and what they sign with. */
export interface ExperimentsConfig {
  /** What visitor cookies and QA links are signed with: the first signs, all are believed. Empty: a key that the gateways agree on. */
  readonly keys: readonly string[];
  /** What browsers and caches in between are told of pages that experiments act on. */
  readonly downstream: "private" | "origin";
  /** For each version of an experiment. */
  readonly mostUnits: number;
  /** Exposures and goals as JSON lines; null: nowhere. */
  readonly raw: {
    /** An absolute path, or a URL. */
    readonly target: { readonly kind: "file"; readonly file: string } | { readonly kind: "webhook"; readonly url: string };
    readonly unit: "hashed" | "plain";
  } | null;
}

export interface AdminListenerConfig extends ListenerConfig {
  /** Left out: plain HTTP, on a loopback address. */
  readonly tls?: AdminTlsConfig;
}

/** Files, absolute: they are read when the listener starts and at each reload, and workers never see the key. */
export interface AdminTlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  /** Who signs clients' certificates, which are then required; "": nobody. */
  readonly clientCaFile: string;
}

/** Of a further bearer token of the admin API. */
export interface AdminTokenConfig {
  /** For the audit log. */
  readonly name: string;
  readonly roles: readonly ("read" | "upload" | "activate" | "recordings" | "admin")[];
  /** Hex; the token itself is not kept. */
  readonly sha256: string;
}

/** Steps in ten-thousandths of the clients. */
export interface CanaryConfig {
  readonly steps: readonly number[];
  readonly stepMs: number;
  /** Clients on either side. */
  readonly minimumUnits: number;
  /** What each may be worse by; null: not looked at. */
  readonly limits: {
    readonly exceptions: number | null;
    readonly timeouts: number | null;
    readonly errors: number | null;
    readonly latencyP95: number | null;
    readonly cpu: number | null;
  };
}

export interface ReleasesConfig {
  /** Releases without a signature of one of `keys` are refused. */
  readonly requireSigned: boolean;
  /** Ed25519 public keys. */
  readonly keys: readonly { readonly pem: string; readonly notAfterUnixMs: number | null }[];
  /** How many stay in the store. */
  readonly kept: number;
  /** Of those that are deployed from here. */
  readonly canary: CanaryConfig;
}

export interface ResolvedConfig {
  /** Absolute folder that relative paths count from. */
  readonly baseDir: string;
  /** Absolute path of the config file; "" when made in memory. */
  readonly file: string;
  readonly listeners: readonly ListenerConfig[];
  readonly workers: number;
  /** CIDR blocks or addresses. */
  readonly trustedProxies: readonly string[];
  /** Null: no client has a country. */
  readonly geo: GeoConfig | null;
  readonly upstreams: Readonly<Record<string, UpstreamConfig>>;
  readonly routes: readonly RouteConfig[];
  /** What every request meets before its route's limits. */
  readonly rateLimits: readonly RateLimitConfig[];
  /** Absolute folder of the rules, or "" for none. */
  readonly rulesDir: string;
  /** JSON values that rules see as `ctx.vars`. */
  readonly vars: Readonly<Record<string, unknown>>;
  /** Values already read from where config says (environment, file). Never logged, never sent to the admin API. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly fetch: { readonly allow: readonly string[]; readonly private: readonly string[] };
  readonly stateDir: string;
  readonly store: StoreConfig;
  /** Null: no route caches. */
  readonly cache: CacheConfig | null;
  readonly log: {
    /** Share of exchanges logged, 0 – 1; errors (5xx and gateway codes) are logged at any share but "off". */
    readonly accessShare: number;
    readonly errorsOnly: boolean;
    readonly off: boolean;
    readonly redactHeaders: readonly string[];
    readonly redactQuery: readonly string[];
  };
  readonly record: RecordConfig;
  readonly experiments: ExperimentsConfig;
  /** Header names that are not stripped from origins' answers although the default would ("server", "x-powered-by"). */
  readonly keepHeaders: readonly string[];
  readonly limits: LimitsConfig;
  readonly admin: AdminListenerConfig | null;
  readonly adminTokens: readonly AdminTokenConfig[];
  readonly releases: ReleasesConfig;
  /** What of it a deploy carries, as it was written. */
  readonly shared: SharedConfig;
}
