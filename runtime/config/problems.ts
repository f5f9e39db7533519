/** What is wrong with a config, in words: path, value shown, what was expected, the nearest valid name. All of it at once. */
import path from "node:path";
import type { z } from "zod";
import { nearest } from "../nearest.ts";
import { NOT_YET } from "./schema.ts";

export interface ConfigProblem {
  /** `upstreams.shop.targets[1]`; "" for the file as a whole. */
  readonly path: string;
  readonly text: string;
}

export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[], options?: { cause?: unknown }) {
    const lines = problems.map(({ path, text }) => `  ${path === "" ? "" : `${path}: `}${text.replaceAll("\n", "\n    ")}`);
    super(`${file === "" ? "the config" : fromHere(file)} has ${problems.length} problem${problems.length === 1 ? "" : "s"}:\n${lines.join("\n")}`, options);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** As whoever stands in the project would write it: no message needs to tell where on the machine that is. */
function fromHere(file: string): string {
  const relative = path.relative(process.cwd(), file);
  if (relative === "") return "this folder";
  return relative.startsWith("..") ? file : relative;
}

type Key = string | number;

export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`), "");
}

/** A value as a reader would recognise it, without the credentials in a URL. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = typeof value === "function" ? "a function" : (JSON.stringify(value) ?? typeof value).replaceAll(/:\/\/[^/"@\s]*@/g, "://…@");
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** zod's findings in our words. */
export function problemsOf(error: z.ZodError, config: unknown): ConfigProblem[] {
  return error.issues.flatMap((issue) => explain(issue, config));
}

function explain(issue: z.core.$ZodIssue, config: unknown, base: readonly PropertyKey[] = []): ConfigProblem[] {
  const path = [...base, ...issue.path];
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey([...path, key] as Key[], config));
  if (issue.code === "invalid_union") {
    // Of the alternatives the one that comes closest speaks: an object with a wrong member is told about the member.
    const deep = issue.errors.find((errors) => errors.length > 0 && errors.every((inner) => inner.path.length > 0 || inner.code === "unrecognized_keys"));
    if (deep) return deep.flatMap((inner) => explain(inner, config, path));
  }
  const ours = !issue.message.startsWith("Invalid input");
  // Only `vars` holds what has no words of its own: anything that JSON can carry.
  const expected = ours ? issue.message : issue.code === "invalid_type" ? `a value of type ${issue.expected}` : "a JSON value";
  return [{ path: pathText(path), text: `found ${shownAt(config, path)}, expected ${expected}` }];
}

function unknownKey(path: readonly Key[], config: unknown): ConfigProblem {
  const key = String(path.at(-1));
  const holder = path.slice(0, -1);
  const later = Object.entries(NOT_YET).find(([place, keys]) => keys.includes(key) && fits(place, holder));
  if (later) return { path: pathText(path), text: `"${key}" is not in this version yet; leave it out` };
  const known = knownKeys(holder);
  const near = nearest(key, known);
  return {
    path: pathText(path),
    text: `found an unknown key with ${shownAt(config, path)}${near === "" ? `, expected one of ${known.join(", ")}` : `; did you mean "${near}"?`}`,
  };
}

function fits(place: string, path: readonly Key[]): boolean {
  const parts = place === "" ? [] : place.split(".");
  return parts.length === path.length && parts.every((part, i) => part === "*" || part === path[i]);
}

const LIMIT_KEYS = ["name", "rate", "algorithm", "burst", "key", "cost", "mode", "shadow", "onStoreLoss", "penalty"];

/** Keys by the path of the object that holds them. */
const KEYS: readonly (readonly [place: string, keys: readonly string[]])[] = [
  [
    "",
    [
      "listeners",
      "workers",
      "trustedProxies",
      "geo",
      "upstreams",
      "routes",
      "rateLimits",
      "rules",
      "vars",
      "secrets",
      "fetch",
      "stateDir",
      "store",
      "cache",
      "log",
      "record",
      "experiments",
      "keepHeaders",
      "limits",
      "admin",
      "releases",
    ],
  ],
  ["listeners.*", ["host", "port"]],
  ["geo", ["database", "header"]],
  ["upstreams.*", ["targets", "timeouts", "keepAlive", "maxConnections"]],
  ["upstreams.*.timeouts", ["connect", "firstByte", "idle"]],
  ["upstreams.*.targets.*", ["url", "weight"]],
  ["routes.*", ["match", "upstream", "cache", "limits"]],
  ["routes.*.limits.*", LIMIT_KEYS],
  ["routes.*.limits.*.penalty", ["after", "block"]],
  ["routes.*.limits.*.key.*", ["address", "header", "cookie"]],
  ["routes.*.limits.*.key.*.address", ["ipv4", "ipv6"]],
  ["rateLimits.*", LIMIT_KEYS],
  ["rateLimits.*.penalty", ["after", "block"]],
  ["rateLimits.*.key.*", ["address", "header", "cookie"]],
  ["rateLimits.*.key.*.address", ["ipv4", "ipv6"]],
  [
    "routes.*.cache",
    ["default", "heuristicLimit", "statuses", "staleWhileRevalidate", "staleIfError", "maxLifetime", "hitForMiss", "setCookie", "clientDirectives", "key"],
  ],
  ["routes.*.cache.key", ["query", "headers", "cookies"]],
  ["routes.*.cache.key.query", ["include", "exclude"]],
  ["cache", ["memory", "maxObject", "lockTimeout", "shared", "secret"]],
  ["cache.shared", ["maxObject", "lifetime", "compress"]],
  ["cache.secret", ["env", "file"]],
  ["secrets.*", ["env", "file"]],
  ["fetch", ["allow", "private"]],
  ["store", ["redis", "timeout", "memory"]],
  ["store.redis", ["url", "cluster", "sentinels", "username", "password", "db", "tls", "prefix"]],
  ["store.redis.sentinels", ["name", "nodes", "username", "password"]],
  ["store.redis.sentinels.password", ["env", "file"]],
  ["store.redis.password", ["env", "file"]],
  ["store.redis.tls", ["ca", "cert", "key", "servername"]],
  ["record", ["share", "headers"]],
  ["experiments", ["key", "previousKeys", "downstream", "maxUnits", "raw"]],
  ["experiments.key", ["env", "file"]],
  ["experiments.previousKeys.*", ["env", "file"]],
  ["experiments.raw", ["file", "webhook", "unit"]],
  ["log", ["access", "redact"]],
  ["log.redact", ["headers", "query"]],
  [
    "limits",
    [
      "targetSize",
      "headerLineSize",
      "headerSize",
      "headers",
      "bodySize",
      "ruleBodySize",
      "headTimeout",
      "bodyTimeout",
      "bodyMinRate",
      "keepAlive",
      "sendTimeout",
      "tunnelIdle",
      "connections",
      "connectionsPerClient",
      "ruleCpu",
      "ruleWall",
      "ruleMemory",
      "ruleFetches",
      "ruleRecall",
      "releaseSize",
      "crossingSize",
      "drain",
    ],
  ],
  ["admin", ["host", "port", "tokens", "tls"]],
  ["admin.tls", ["cert", "key", "clientCa"]],
  ["admin.tokens.*", ["name", "roles", "token"]],
  ["releases", ["requireSigned", "keys", "keep", "canary"]],
  ["releases.canary", ["steps", "stepDuration", "minimumSample", "limits"]],
  ["releases.canary.limits", ["exceptions", "timeouts", "errors", "latencyP95", "cpu"]],
  ["releases.keys.*", ["file", "publicKey", "notAfter"]],
];

export function knownKeys(path: readonly (string | number)[]): readonly string[] {
  return KEYS.find(([place]) => fits(place, path))?.[1] ?? [];
}

/** What stands at `path`, for a message. Below `secrets`, as a token, a key and a password somebody may have written the secret itself; a URL of Redis may hold one. */
function shownAt(config: unknown, path: readonly PropertyKey[]): string {
  const value = valueAt(config, path);
  return (path[0] === "secrets" ||
    (path[0] === "admin" && path[1] === "tokens") ||
    (path[0] === "experiments" && (path[1] === "key" || path[1] === "previousKeys")) ||
    (path[0] === "store" && path[1] === "redis" && !SHOWN_OF_REDIS.has(path[2]))) &&
    value !== undefined
    ? "a value that is not shown"
    : shown(value);
}

const SHOWN_OF_REDIS: ReadonlySet<unknown> = new Set(["cluster", "username", "db", "prefix"]);

function valueAt(config: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined), config);
}
