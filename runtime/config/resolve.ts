/** A config as written → what every other room reads: defaults filled in, units turned, references checked. */
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { availableParallelism } from "node:os";
import path from "node:path";
import ipaddr from "ipaddr.js";
import type { z } from "zod";
import { nearest } from "../nearest.ts";
import { validateMatchSpec } from "../proxy/match/validate.ts";
import { isToken } from "../proxy/fields.ts";
import { ConfigError, type ConfigProblem, pathText, problemsOf, shown } from "./problems.ts";
import type { LimitsConfig, ListenerConfig, ResolvedConfig, RouteConfig, TargetConfig, UpstreamConfig } from "./resolved.ts";
import { Config, sharedOf, type ConfigInput } from "./schema.ts";
import { cacheOf, routeCacheOf } from "./cache.ts";
import { adminOf } from "./admin.ts";
import { adminTokensOf, releasesOf } from "./control.ts";
import { rateLimitsOf, routeRateLimitsOf } from "./rate-limits.ts";
import { experimentsOf } from "./experiments.ts";
import { geoOf } from "./geo.ts";
import { recordOf } from "./record.ts";
import { storeOf, type StoreParts } from "./store.ts";
import { durationMs, share, sizeBytes } from "./units.ts";

export interface ResolveOptions {
  /** Folder that relative paths count from. */
  readonly baseDir: string;
  /** The config file, or "". */
  readonly file: string;
  /** Where secrets by `env` stand; the process's own by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

type Report = (path: readonly (string | number)[], text: string) => void;

/** Never shown in the log, whatever config says. */
const ALWAYS_REDACTED = ["authorization", "cookie", "set-cookie", "proxy-authorization"];

/** @throws ConfigError with all that is wrong. */
export function resolveConfig(value: unknown, options: ResolveOptions): ResolvedConfig {
  const parsed = Config.safeParse(value);
  const problems: ConfigProblem[] = parsed.success ? [] : problemsOf(parsed.error, value);
  const report: Report = (at, text) => void problems.push({ path: pathText(at), text });
  if (!parsed.success) {
    // References between the parts that have their shape are checked all the same: everything is told at once.
    const rest = soundParts(value, parsed.error);
    if (rest !== null) resolve(rest, options, report);
    throw new ConfigError(options.file, problems);
  }
  const config = resolve(parsed.data, options, report);
  if (problems.length > 0) throw new ConfigError(options.file, problems);
  return config;
}

/** The members of the config that nothing is wrong with so far, completed so that they can be resolved; null when that makes no sense. */
function soundParts(value: unknown, error: z.ZodError): ConfigInput | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const broken = new Set<PropertyKey>(
    error.issues.flatMap((issue) => (issue.path.length > 0 ? [issue.path[0]!] : issue.code === "unrecognized_keys" ? issue.keys : [])),
  );
  const sound: Record<string, unknown> = Object.fromEntries(Object.entries(value).filter(([key]) => !broken.has(key)));
  if (broken.has("upstreams")) {
    // Without them no route can be judged.
    sound["upstreams"] = { unknown: { targets: ["http://127.0.0.1:1"] } };
    delete sound["routes"];
  } else if (broken.has("routes")) {
    sound["routes"] = [];
  }
  const parsed = Config.safeParse(sound);
  return parsed.success ? parsed.data : null;
}

function resolve(input: ConfigInput, { baseDir, file, env = process.env }: ResolveOptions, report: Report): ResolvedConfig {
  const upstreams = upstreamsOf(input, report);
  const listeners = (input.listeners ?? [{ host: "127.0.0.1", port: 8080 }]).map(({ host = "0.0.0.0", port }) => ({ host, port }));
  const admin = adminOf(input.admin, { baseDir, env, report });
  checkListeners(listeners, admin, report);
  const access = input.log?.access ?? "all";
  return {
    baseDir,
    file,
    listeners,
    workers: input.workers === undefined || input.workers === "auto" ? availableParallelism() : input.workers,
    trustedProxies: (input.trustedProxies ?? []).map((block, i) => {
      if (!isBlock(block)) report(["trustedProxies", i], `found ${shown(block)}, expected an address or a CIDR block such as "10.0.0.0/8"`);
      return block;
    }),
    geo: geoOf(input.geo, { baseDir, env, report }),
    upstreams,
    routes: routesOf(input, upstreams, { baseDir, env, report }),
    rateLimits: rateLimitsOf(input, report),
    rulesDir: input.rules === undefined ? "" : folder(path.resolve(baseDir, input.rules), input.rules, report),
    vars: input.vars ?? {},
    secrets: secretsOf(input, baseDir, env, report),
    fetch: { allow: originsOf(input.fetch?.allow, "allow", report), private: originsOf(input.fetch?.private, "private", report) },
    stateDir: path.resolve(baseDir, input.stateDir ?? ".sluice"),
    store: storeOf(input.store, { baseDir, env, report }),
    cache: cacheOf(input, { baseDir, env, report }),
    log: {
      accessShare: access === "off" ? 0 : access === "all" || access === "errors" ? 1 : share(access),
      errorsOnly: access === "errors",
      off: access === "off",
      redactHeaders: [...new Set([...ALWAYS_REDACTED, ...(input.log?.redact?.headers ?? []).map((name) => name.toLowerCase())])],
      redactQuery: input.log?.redact?.query ?? [],
    },
    record: recordOf(input.record, report),
    experiments: experimentsOf(input.experiments, { baseDir, env, report }),
    keepHeaders: (input.keepHeaders ?? []).map((name, i) => {
      if (!isToken(name)) report(["keepHeaders", i], `found ${shown(name)}, expected a header name`);
      return name.toLowerCase();
    }),
    limits: limitsOf(input.limits ?? {}),
    admin,
    adminTokens: adminTokensOf(input.admin, { baseDir, env, report }),
    releases: releasesOf(input.releases, { baseDir, env, report }),
    shared: sharedOf(input),
  };
}

function checkListeners(listeners: readonly ListenerConfig[], admin: ListenerConfig | null, report: Report): void {
  const wildcard = (host: string): boolean => host === "0.0.0.0" || host === "::";
  const clash = (a: ListenerConfig, b: ListenerConfig): boolean =>
    a.port !== 0 && a.port === b.port && (a.host === b.host || wildcard(a.host) || wildcard(b.host));
  const checkHost = (host: string, at: readonly (string | number)[]): void => {
    if (isIP(host) === 0 && host !== "localhost") report(at, `found ${shown(host)}, expected an IP address or "localhost"`);
  };
  listeners.forEach((listener, i) => {
    const twin = listeners.slice(0, i).findIndex((other) => clash(listener, other));
    if (twin >= 0) report(["listeners", i], `found ${listener.host}:${listener.port} again; listeners[${twin}] has it already`);
    checkHost(listener.host, ["listeners", i, "host"]);
  });
  if (admin === null) return;
  const twin = listeners.findIndex((listener) => clash(listener, admin));
  if (twin >= 0) report(["admin", "port"], `found ${admin.port}, which listeners[${twin}] has already`);
  checkHost(admin.host, ["admin", "host"]);
}

function upstreamsOf(input: ConfigInput, report: Report): Record<string, UpstreamConfig> {
  const upstreams: Record<string, UpstreamConfig> = {};
  for (const [name, { targets, timeouts = {}, keepAlive = "30s", maxConnections = 1000 }] of Object.entries(input.upstreams)) {
    const resolved = targets.map((target, i) => targetOf(target, ["upstreams", name, "targets", i], report));
    resolved.forEach(({ url }, i) => {
      // The URL is the target's identity in logs, metrics and rules.
      const twin = resolved.findIndex((other) => other.url === url);
      if (twin < i) report(["upstreams", name, "targets", i], `found ${shown(url)} again; targets[${twin}] has it already (a weight gives it more requests)`);
    });
    if (!resolved.some(({ weight }) => weight > 0)) report(["upstreams", name, "targets"], "found no target with a weight above 0, expected at least one");
    const ms = (text: string): number => durationMs(text);
    upstreams[name] = {
      name,
      targets: resolved,
      timeouts: { connectMs: ms(timeouts.connect ?? "1s"), firstByteMs: ms(timeouts.firstByte ?? "30s"), idleMs: ms(timeouts.idle ?? "60s") },
      keepAliveMs: ms(keepAlive),
      maxConnections,
    };
  }
  if (Object.keys(upstreams).length === 0)
    report(["upstreams"], 'found {}, expected at least one upstream, such as { site: { targets: ["http://127.0.0.1:9001"] } }');
  return upstreams;
}

function targetOf(target: string | { url: string; weight?: number | undefined }, at: (string | number)[], report: Report): TargetConfig {
  const { url: text, weight = 1 } = typeof target === "string" ? { url: target } : target;
  const url = URL.parse(text);
  const plain =
    url !== null &&
    (url.protocol === "http:" || url.protocol === "https:") &&
    url.pathname === "/" &&
    url.search === "" &&
    url.hash === "" &&
    url.username === "" &&
    url.password === "" &&
    url.port !== "0";
  if (!plain) {
    report(at, `found ${shown(text)}, expected http://host:port or https://host:port, without path or credentials`);
    return { url: text, scheme: "http", host: "", port: 0, weight };
  }
  const scheme = url.protocol === "https:" ? "https" : "http";
  return {
    url: url.origin,
    scheme,
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (scheme === "https" ? 443 : 80) : Number(url.port),
    weight,
  };
}

function routesOf(input: ConfigInput, upstreams: Readonly<Record<string, UpstreamConfig>>, parts: StoreParts): RouteConfig[] {
  const { report } = parts;
  const everywhere = input.cache !== undefined;
  const names = Object.keys(upstreams);
  if (input.routes === undefined) {
    if (names.length > 1) report(["routes"], `found nothing, expected routes: with several upstreams (${names.join(", ")}) they say which request goes where`);
    return [{ match: [], upstream: names[0] ?? "", cache: routeCacheOf(undefined, everywhere, ["cache"], parts), limits: [] }];
  }
  return input.routes.map(({ match, upstream, cache: cacheInput, limits: limitInput }, i) => {
    const limits = routeRateLimitsOf(limitInput, ["routes", i, "limits"], report);
    const cache = routeCacheOf(cacheInput, everywhere, ["routes", i, "cache"], parts);
    if (!Object.hasOwn(upstreams, upstream)) {
      const near = nearest(upstream, names);
      report(
        ["routes", i, "upstream"],
        `found "${upstream}", which upstreams does not name${near === "" ? `; it names ${names.join(", ")}` : `; did you mean "${near}"?`}`,
      );
    }
    if (match === undefined) return { match: [], upstream, cache, limits };
    for (const problem of validateMatchSpec(match)) {
      report(
        ["routes", i, "match", ...(problem.path === "" ? [] : [problem.path])],
        `found ${shown(problem.value)}, expected ${problem.expected}${problem.nearest === "" ? "" : `; did you mean "${problem.nearest}"?`}`,
      );
    }
    return { match: Array.isArray(match) ? match : [match as RouteConfig["match"][number]], upstream, cache, limits };
  });
}

/** A missing secret is a problem of its place; its value is never part of a message. */
function secretsOf(input: ConfigInput, baseDir: string, env: Readonly<Record<string, string | undefined>>, report: Report): Record<string, string> {
  const secrets: Record<string, string> = {};
  for (const [name, source] of Object.entries(input.secrets ?? {})) {
    if ("env" in source) {
      const value = env[source.env];
      if (value === undefined || value === "")
        report(["secrets", name, "env"], `the environment variable ${source.env} is ${value === undefined ? "not set" : "empty"}`);
      secrets[name] = value ?? "";
      continue;
    }
    try {
      secrets[name] = readFileSync(path.resolve(baseDir, source.file), "utf8").replace(/\r?\n$/, "");
    } catch (error) {
      report(["secrets", name, "file"], `${shown(source.file)} cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
  }
  return secrets;
}

function folder(absolute: string, written: string, report: Report): string {
  try {
    accessSync(absolute, constants.R_OK | constants.X_OK);
    if (!statSync(absolute).isDirectory()) report(["rules"], `found ${shown(written)}, which is no folder`);
  } catch (error) {
    report(["rules"], `found ${shown(written)}, expected a readable folder (${(error as NodeJS.ErrnoException).code})`);
  }
  return absolute;
}

function originsOf(origins: readonly string[] | undefined, key: string, report: Report): readonly string[] {
  (origins ?? []).forEach((text, i) => {
    const url = URL.parse(text.replace("://*.", "://wildcard."));
    if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search !== "" || url.username !== "")
      report(["fetch", key, i], `found ${shown(text)}, expected an origin such as "https://auth.example.com" or "https://*.example.com"`);
  });
  return origins ?? [];
}

function isBlock(text: string): boolean {
  // ipaddr.js reads "10" as 0.0.0.10.
  return text.includes("/") ? isIP(text.slice(0, text.indexOf("/"))) !== 0 && ipaddr.isValidCIDR(text) : isIP(text) !== 0;
}

function limitsOf(limits: NonNullable<ConfigInput["limits"]>): LimitsConfig {
  const ms = (text: string | undefined, otherwise: string): number => durationMs(text ?? otherwise);
  const bytes = (text: string | undefined, otherwise: string): number => sizeBytes(text ?? otherwise);
  return {
    targetBytes: bytes(limits.targetSize, "8KiB"),
    headerLineBytes: bytes(limits.headerLineSize, "16KiB"),
    headerBytes: bytes(limits.headerSize, "32KiB"),
    headers: limits.headers ?? 100,
    bodyBytes: bytes(limits.bodySize, "100MiB"),
    ruleBodyBytes: bytes(limits.ruleBodySize, "1MiB"),
    headTimeoutMs: ms(limits.headTimeout, "10s"),
    bodyTimeoutMs: ms(limits.bodyTimeout, "30s"),
    bodyMinBytesPerSecond: bytes(limits.bodyMinRate, "500B"),
    keepAliveMs: ms(limits.keepAlive, "60s"),
    sendTimeoutMs: ms(limits.sendTimeout, "30s"),
    tunnelIdleMs: ms(limits.tunnelIdle, "10m"),
    connections: limits.connections ?? 10_000,
    connectionsPerClient: limits.connectionsPerClient ?? 1000,
    ruleCpuMs: ms(limits.ruleCpu, "50ms"),
    ruleWallMs: ms(limits.ruleWall, "5s"),
    ruleMemoryBytes: bytes(limits.ruleMemory, "64MiB"),
    ruleFetches: limits.ruleFetches ?? 16,
    ruleRecallBytes: bytes(limits.ruleRecall, "16MiB"),
    releaseBytes: bytes(limits.releaseSize, "4MiB"),
    crossingBytes: bytes(limits.crossingSize, "1MiB"),
    drainMs: ms(limits.drain, "30s"),
  };
}
