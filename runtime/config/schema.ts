/**
 * The shape of a config: which keys there are, and what may stand there. Units are turned and references checked in `resolve.ts`.
 * The published JSON Schema and the type of `defineConfig` (`sdk/config.ts`) are held to this by tests.
 */
import { z } from "zod";
import type { MatchSpec } from "../proxy/match/match.ts";
import type { Duration, JsonValue, Rate, Share, Size } from "../../sdk/index.ts";
import { ALGORITHMS } from "../ratelimit/algorithms.ts";
import { LIMIT_NAME } from "../ratelimit/policy.ts";
import { durationMs, share } from "./units.ts";

// Patterns stand beside the checks so that editors that read the JSON Schema know them too.
const DURATION = 'a duration such as "250ms", "2s" or "5m"';
const durationFrom = (least: RegExp, expected: string) =>
  z
    .string({ error: DURATION })
    .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, { error: DURATION, abort: true })
    .regex(least, { error: expected })
    .refine((text) => durationMs(text) <= 2 ** 31 - 1, { error: "a duration of at most 24 days" }) as unknown as z.ZodType<Duration, Duration>;
/** A wait of nothing would fail every request. */
const duration = durationFrom(/[1-9]/, "a duration above 0");
const durationOrNone = durationFrom(/^/, DURATION);
const SIZE = 'a size such as "64KiB" or "8MiB"';
const size = z.string({ error: SIZE }).regex(/^\d+(\.\d+)?(B|KiB|MiB|GiB)$/, { error: SIZE }) as unknown as z.ZodType<Size, Size>;
const shareText = z
  .string()
  .regex(/^\d+(\.\d+)?%$/, { abort: true })
  .refine((text) => !Number.isNaN(share(text)), { error: "a share of at most 100%" }) as unknown as z.ZodType<Share, Share>;
const port = z.int({ error: "a port from 0 to 65535" }).min(0, { error: "a port from 0 to 65535" }).max(65535, { error: "a port from 0 to 65535" });
const text = z.string({ error: "a string" }).min(1, { error: "a string that is not empty" });
const count = (least: number) => z.int({ error: `a whole number from ${least}` }).min(least, { error: `a whole number from ${least}` });
const workersText = { error: '"auto" or a whole number from 1 to 1024' };
const json = z.json({ error: "a JSON value" }) as unknown as z.ZodType<JsonValue, JsonValue>;
/** Checked by the room that knows matching; here only its outer shape. */
const match = z.union([z.record(z.string(), z.unknown()), z.array(z.record(z.string(), z.unknown()))], {
  error: "a match object or a list of them",
}) as unknown as z.ZodType<MatchSpec | readonly MatchSpec[], MatchSpec | readonly MatchSpec[]>;

const listener = z.strictObject({ host: text.optional(), port });
const target = z.union([text, z.strictObject({ url: text, weight: count(0).max(1000, { error: "a weight from 0 to 1000" }).optional() })], {
  error: 'a URL such as "http://127.0.0.1:9001", or { url, weight }',
});
const upstream = z.strictObject({
  targets: z.array(target, { error: "a list of targets" }).min(1, { error: "at least one target" }),
  timeouts: z.strictObject({ connect: duration.optional(), firstByte: duration.optional(), idle: duration.optional() }).optional(),
  keepAlive: durationOrNone.optional(),
  maxConnections: count(1).optional(),
});
const names = z.array(text, { error: "a list of strings" });
const limits = z.strictObject({
  targetSize: size.optional(),
  headerLineSize: size.optional(),
  headerSize: size.optional(),
  headers: count(1).optional(),
  bodySize: size.optional(),
  ruleBodySize: size.optional(),
  headTimeout: duration.optional(),
  bodyTimeout: duration.optional(),
  bodyMinRate: size.optional(),
  keepAlive: durationOrNone.optional(),
  sendTimeout: duration.optional(),
  tunnelIdle: duration.optional(),
  connections: count(1).optional(),
  connectionsPerClient: count(1).optional(),
  ruleCpu: duration.optional(),
  ruleWall: duration.optional(),
  ruleMemory: size.optional(),
  ruleFetches: count(0).optional(),
  ruleRecall: size.optional(),
  releaseSize: size.optional(),
  crossingSize: size.optional(),
  drain: durationOrNone.optional(),
});

const secret = z.union([z.strictObject({ env: text }), z.strictObject({ file: text })], { error: "{ env: NAME } or { file: PATH }" });
const redis = z.strictObject({
  url: text.optional(),
  cluster: z.array(text, { error: 'a list of "host:port"' }).min(1, { error: "at least one node" }).optional(),
  sentinels: z
    .strictObject({
      name: text,
      nodes: z.array(text, { error: 'a list of "host:port"' }).min(1, { error: "at least one Sentinel" }),
      username: text.optional(),
      password: secret.optional(),
    })
    .optional(),
  username: text.optional(),
  password: secret.optional(),
  db: count(0).optional(),
  tls: z
    .union([z.boolean(), z.strictObject({ ca: text.optional(), cert: text.optional(), key: text.optional(), servername: text.optional() })], {
      error: "true, false, or { ca, cert, key, servername }",
    })
    .optional(),
  prefix: text.optional(),
});
const store = z.strictObject({
  redis: z.union([text, redis], { error: 'a URL such as "redis://127.0.0.1:6379", or { url }, { cluster } or { sentinels }' }).optional(),
  timeout: duration.optional(),
  memory: size.optional(),
});

const sharedCache = z.strictObject({ maxObject: size.optional(), lifetime: duration.optional(), compress: z.boolean().optional() });
const cache = z.strictObject({
  memory: size.optional(),
  maxObject: size.optional(),
  lockTimeout: duration.optional(),
  shared: z.union([z.literal(false), sharedCache], { error: "false, or { maxObject, lifetime, compress }" }).optional(),
  secret: secret.optional(),
});
const keyedQuery = z.strictObject({ include: names.optional(), exclude: names.optional() });
const routeCache = z.strictObject({
  default: durationOrNone.optional(),
  heuristicLimit: durationOrNone.optional(),
  statuses: z.record(z.string(), durationOrNone, { error: 'an object: status → duration, such as { "404": "10s" }' }).optional(),
  staleWhileRevalidate: durationOrNone.optional(),
  staleIfError: durationOrNone.optional(),
  maxLifetime: durationOrNone.optional(),
  hitForMiss: durationOrNone.optional(),
  setCookie: z.enum(["explicit", "strip", "store"], { error: '"explicit", "strip" or "store"' }).optional(),
  clientDirectives: z.boolean().optional(),
  key: z
    .strictObject({
      query: z.union([z.boolean(), keyedQuery], { error: "true, false, { include: [names] } or { exclude: [names] }" }).optional(),
      headers: names.optional(),
      cookies: names.optional(),
    })
    .optional(),
});
const cached = z.union([z.literal(false), routeCache], { error: 'false, or an object such as { default: "1m" }' });

const prefixLength = (most: number) => {
  const error = { error: `a number of bits from 1 to ${most}` };
  return z.int(error).min(1, error).max(most, error);
};
const limitKey = z.union(
  [
    z.enum(["address", "path", "host"]),
    z.strictObject({ address: z.strictObject({ ipv4: prefixLength(32).optional(), ipv6: prefixLength(128).optional() }) }),
    z.strictObject({ header: text }),
    z.strictObject({ cookie: text }),
  ],
  { error: '"address", "path", "host", { address: { ipv4, ipv6 } }, { header } or { cookie }' },
);
const RATE = 'a rate such as "100/1m", or a number such as "20" for concurrency';
const rate = z.string({ error: RATE }).regex(/^\d{1,10}(\/\d+(\.\d+)?(ms|s|m|h|d))?$/, { error: RATE }) as unknown as z.ZodType<Rate, Rate>;
const rateLimit = z.strictObject({
  name: z.string({ error: "a name" }).regex(LIMIT_NAME, { error: 'a name of letters, digits, ".", "_" and "-", at most 64' }),
  rate,
  algorithm: z.enum(ALGORITHMS, { error: `one of ${ALGORITHMS.join(", ")}` }).optional(),
  burst: count(1).optional(),
  key: z.array(limitKey, { error: "a list of key parts" }).max(8, { error: "at most 8 key parts" }).optional(),
  cost: count(1).optional(),
  mode: z.enum(["exact", "leased"], { error: '"exact" or "leased"' }).optional(),
  shadow: z.boolean({ error: "true or false" }).optional(),
  onStoreLoss: z.enum(["local", "open", "closed"], { error: '"local", "open" or "closed"' }).optional(),
  penalty: z.strictObject({ after: count(1).optional(), block: duration }, { error: "{ after, block }" }).optional(),
});
const rateLimits = z.array(rateLimit, { error: "a list of limits" }).max(16, { error: "at most 16 limits" });

const role = z.enum(["read", "upload", "activate", "recordings", "admin"], { error: '"read", "upload", "activate", "recordings" or "admin"' });
const adminToken = z.strictObject({
  name: z.string({ error: "a name" }).regex(/^[\w.-]{1,64}$/, { error: 'a name of letters, digits, ".", "_" and "-", at most 64' }),
  roles: z.array(role, { error: "a list of roles" }).min(1, { error: "at least one role" }),
  token: secret,
});
const releaseKey = z.strictObject({ file: text.optional(), publicKey: text.optional(), notAfter: text.optional() });
const INCREASE = 'an increase such as "25%", or false';
const increase = z.union([z.literal(false), z.string().regex(/^\d+(\.\d+)?%$/)], { error: INCREASE }) as unknown as z.ZodType<Share | false, Share | false>;
const canary = z.strictObject({
  steps: z.array(shareText, { error: 'a list of shares: ["5%", "25%", "100%"]' }).optional(),
  stepDuration: duration.optional(),
  minimumSample: count(1).optional(),
  limits: z
    .strictObject({
      exceptions: increase.optional(),
      timeouts: increase.optional(),
      errors: increase.optional(),
      latencyP95: increase.optional(),
      cpu: increase.optional(),
    })
    .optional(),
});
const releases = z.strictObject({
  requireSigned: z.boolean({ error: "true or false" }).optional(),
  keys: z.array(releaseKey, { error: "a list of keys" }).max(16, { error: "at most 16 keys" }).optional(),
  keep: count(2).max(1000, { error: "a whole number up to 1000" }).optional(),
  canary: canary.optional(),
});

export const Config = z.strictObject({
  listeners: z.array(listener, { error: "a list of listeners" }).min(1, { error: "at least one listener" }).optional(),
  workers: z.union([z.literal("auto"), z.int(workersText).min(1, workersText).max(1024, workersText)], workersText).optional(),
  trustedProxies: names.optional(),
  geo: z.strictObject({ database: text.optional(), header: text.optional() }, { error: "{ database: FILE } or { header: NAME }" }).optional(),
  upstreams: z.record(text, upstream, { error: 'an object with at least one upstream: { site: { targets: ["http://127.0.0.1:9001"] } }' }),
  routes: z
    .array(z.strictObject({ match: match.optional(), upstream: text, cache: cached.optional(), limits: rateLimits.optional() }), { error: "a list of routes" })
    .optional(),
  rateLimits: rateLimits.optional(),
  rules: text.optional(),
  vars: z.record(z.string(), json, { error: "an object of JSON values" }).optional(),
  secrets: z.record(text, secret, { error: "an object: name → { env: NAME } or { file: PATH }" }).optional(),
  fetch: z.strictObject({ allow: names.optional(), private: names.optional() }).optional(),
  stateDir: text.optional(),
  store: store.optional(),
  cache: cache.optional(),
  log: z
    .strictObject({
      access: z.union([z.enum(["all", "errors", "off"]), shareText], { error: '"all", "errors", "off" or a share such as "5%"' }).optional(),
      redact: z.strictObject({ headers: names.optional(), query: names.optional() }).optional(),
    })
    .optional(),
  record: z
    .strictObject({ share: shareText.optional(), headers: names.max(100, { error: "at most 100 headers" }).optional() }, { error: '{ share: "1%" }' })
    .optional(),
  experiments: z
    .strictObject({
      key: secret.optional(),
      previousKeys: z.array(secret, { error: "a list of keys" }).max(4, { error: "at most 4 keys" }).optional(),
      downstream: z.enum(["private", "origin"], { error: '"private" or "origin"' }).optional(),
      maxUnits: z.int({ error: "a whole number" }).min(1000, { error: "at least 1000" }).max(100_000_000, { error: "at most 100,000,000" }).optional(),
      raw: z
        .strictObject(
          { file: text.optional(), webhook: text.optional(), unit: z.enum(["hashed", "plain"], { error: '"hashed" or "plain"' }).optional() },
          { error: "{ file: PATH } or { webhook: URL }" },
        )
        .optional(),
    })
    .optional(),
  keepHeaders: names.optional(),
  limits: limits.optional(),
  admin: z
    .union(
      [
        z.literal(false),
        z.strictObject({
          host: text.optional(),
          port: port.optional(),
          tls: z.strictObject({ cert: text, key: text, clientCa: text.optional() }, { error: "{ cert: FILE, key: FILE }" }).optional(),
          tokens: z.array(adminToken, { error: "a list of tokens" }).optional(),
        }),
      ],
      {
        error: "false, or { host, port, tls, tokens }",
      },
    )
    .optional(),
  releases: releases.optional(),
});
export type ConfigInput = z.input<typeof Config>;

/** What belongs to one machine; no deploy carries it. Every other key is the same on all gateways once something was deployed. */
export const LOCAL_KEYS = ["listeners", "workers", "geo", "rules", "stateDir", "store", "admin", "releases"] as const satisfies readonly (keyof ConfigInput)[];
/** What a deploy carries, as written. */
export type SharedConfig = Readonly<Omit<ConfigInput, (typeof LOCAL_KEYS)[number]>>;

/** That part of a config; plain JSON. */
export function sharedOf(input: ConfigInput): SharedConfig {
  const written = Object.entries(input).filter(([key]) => !(LOCAL_KEYS as readonly string[]).includes(key));
  // What a TypeScript config leaves undefined is not written.
  return JSON.parse(JSON.stringify(Object.fromEntries(written))) as SharedConfig;
}

/** What documents of later versions name, by the path of the object that would hold it ("*" for any name or index). */
export const NOT_YET: Readonly<Record<string, readonly string[]>> = {
  "listeners.*": ["tls", "protocols", "proxyProtocol"],
  "upstreams.*": ["balance", "health", "retries", "queue", "outliers"],
  "upstreams.*.targets.*": ["backup"],
  log: ["format"],
};
