/** The `store` key: where Redis stands and how to get in, or how much the embedded store may hold. Passwords and certificates are read here. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import path from "node:path";
import { shown } from "./problems.ts";
import type { RedisConfig, RedisNode, StoreConfig } from "./resolved.ts";
import type { ConfigInput } from "./schema.ts";
import { durationMs, sizeBytes } from "./units.ts";

type Report = (path: readonly (string | number)[], text: string) => void;
type RedisInput = Exclude<NonNullable<NonNullable<ConfigInput["store"]>["redis"]>, string>;
type Secret = NonNullable<RedisInput["password"]>;

export interface StoreParts {
  readonly baseDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly report: Report;
}

const DEFAULT_PORT = 6379;
const SENTINEL_PORT = 26379;

export function storeOf(input: ConfigInput["store"], parts: StoreParts): StoreConfig {
  return {
    timeoutMs: durationMs(input?.timeout ?? "500ms"),
    memoryBytes: sizeBytes(input?.memory ?? "64MiB"),
    redis: input?.redis === undefined ? null : redisOf(typeof input.redis === "string" ? { url: input.redis } : input.redis, parts),
  };
}

function redisOf(input: RedisInput, parts: StoreParts): RedisConfig {
  const at = ["store", "redis"];
  const ways = (["url", "cluster", "sentinels"] as const).filter((way) => input[way] !== undefined);
  if (ways.length !== 1) parts.report(at, `found ${ways.length === 0 ? "no address" : ways.join(" and ")}, expected exactly one of url, cluster and sentinels`);
  const url = input.url === undefined ? null : urlOf(input.url, parts.report);
  const tls = input.tls === undefined ? (url?.tls ?? false) : input.tls !== false;
  if (url !== null && url.tls && input.tls === false) parts.report([...at, "tls"], "found false, although the URL says rediss://");
  if (input.cluster !== undefined && (input.db ?? 0) !== 0) parts.report([...at, "db"], `found ${input.db}, but a cluster has only database 0`);
  const { sentinels } = input;
  return {
    mode: input.cluster !== undefined ? "cluster" : sentinels !== undefined ? "sentinel" : "standalone",
    nodes:
      url !== null
        ? [url.node]
        : sentinels !== undefined
          ? nodesOf(sentinels.nodes, [...at, "sentinels", "nodes"], SENTINEL_PORT, parts.report)
          : nodesOf(input.cluster ?? [], [...at, "cluster"], DEFAULT_PORT, parts.report),
    sentinel:
      sentinels === undefined
        ? null
        : {
            name: sentinels.name,
            username: sentinels.username ?? "",
            password: secretOf(sentinels.password, [...at, "sentinels", "password"], parts),
          },
    username: input.username ?? url?.username ?? "",
    password: input.password === undefined ? (url?.password ?? "") : secretOf(input.password, [...at, "password"], parts),
    db: input.db ?? url?.db ?? 0,
    tls: tls ? tlsOf(input.tls === true || input.tls === false ? undefined : input.tls, parts) : null,
    prefix: prefixOf(input.prefix, parts.report),
  };
}

/** The text of a URL may hold a password: no message shows it. */
function urlOf(text: string, report: Report) {
  const expected = "expected redis://host:port or rediss://host:port (TLS), with user:password@ and /database where needed";
  const url = URL.parse(text);
  const db = url === null || url.pathname === "" || url.pathname === "/" ? 0 : Number(url.pathname.slice(1));
  const sound = url !== null && /^rediss?:$/.test(url.protocol) && url.hostname !== "" && url.search === "" && url.hash === "";
  if (!sound || !Number.isSafeInteger(db) || db < 0) {
    report(["store", "redis"], `found something else, not shown, ${expected}`);
    return null;
  }
  return {
    node: { host: url.hostname.replace(/^\[|\]$/g, ""), port: url.port === "" ? DEFAULT_PORT : Number(url.port) },
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    db,
    tls: url.protocol === "rediss:",
  };
}

function nodesOf(nodes: readonly string[], at: readonly (string | number)[], port: number, report: Report): RedisNode[] {
  return nodes.flatMap((text, i) => {
    // Without a scheme, "host:port" alone would be read as scheme and path.
    const url = isIP(text) === 6 ? URL.parse(`redis://[${text}]`) : URL.parse(`redis://${text}`);
    const plain = url !== null && url.hostname !== "" && url.pathname === "" && url.search === "" && url.hash === "" && url.username === "";
    if (!plain) {
      report([...at, i], `found ${shown(text)}, expected host:port`);
      return [];
    }
    return [{ host: url.hostname.replace(/^\[|\]$/g, ""), port: url.port === "" ? port : Number(url.port) }];
  });
}

export function secretOf(source: Secret | undefined, at: readonly (string | number)[], { baseDir, env, report }: StoreParts): string {
  if (source === undefined) return "";
  if ("env" in source) {
    const value = env[source.env];
    if (value === undefined || value === "") report([...at, "env"], `the environment variable ${source.env} is ${value === undefined ? "not set" : "empty"}`);
    return value ?? "";
  }
  return fileOf(source.file, [...at, "file"], baseDir, report).replace(/\r?\n$/, "");
}

function tlsOf(input: { ca?: string; cert?: string; key?: string; servername?: string } | undefined, { baseDir, report }: StoreParts): RedisConfig["tls"] {
  const read = (name: "ca" | "cert" | "key"): string => {
    const file = input?.[name];
    return file === undefined ? "" : fileOf(file, ["store", "redis", "tls", name], baseDir, report);
  };
  if ((input?.cert === undefined) !== (input?.key === undefined)) report(["store", "redis", "tls"], "found one of cert and key, expected both or neither");
  return { ca: read("ca"), cert: read("cert"), key: read("key"), servername: input?.servername ?? "" };
}

function fileOf(file: string, at: readonly (string | number)[], baseDir: string, report: Report): string {
  try {
    return readFileSync(path.resolve(baseDir, file), "utf8");
  } catch (error) {
    report(at, `${shown(file)} cannot be read (${(error as NodeJS.ErrnoException).code})`);
    return "";
  }
}

/** Braces would decide where Redis Cluster keeps every key: on one node. */
function prefixOf(prefix = "sluice:", report: Report): string {
  if (!/^[\w.:/-]{1,64}$/.test(prefix))
    report(["store", "redis", "prefix"], `found ${shown(prefix)}, expected 1 to 64 letters, digits and "_", ".", ":", "/", "-"`);
  return prefix;
}
