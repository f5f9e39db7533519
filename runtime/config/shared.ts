/** Which part of a config travels with a deploy, which belongs to one machine, and how both become one config again. */
import { lstatSync, realpathSync } from "node:fs";
import { isIP } from "node:net";
import path from "node:path";
import { isPublicAddress } from "../security/addresses.ts";
import { ConfigError, type ConfigProblem, shown } from "./problems.ts";
import { resolveConfig } from "./resolve.ts";
import type { ResolvedConfig } from "./resolved.ts";
import { LOCAL_KEYS } from "./schema.ts";

/** What of a resolved config stays that of its own machine. */
const LOCAL = [
  "baseDir",
  "file",
  "listeners",
  "workers",
  "geo",
  "rulesDir",
  "stateDir",
  "store",
  "admin",
  "adminTokens",
  "releases",
] as const satisfies readonly (keyof ResolvedConfig)[];

/** The admin token and the signing key stand there. */
const OWN_VARIABLES = /^SLUICE_/;

/** What a deploy may have written to: never what a shell, a loader or the gateway reads. */
const WRITTEN_NAMES = /\.(jsonl|ndjson|log)$/;

/**
 * The config that a gateway serves with: what belongs to the machine from `local`, everything else from what was deployed. Secrets are read here, on
 * this machine. Throws a `ConfigError` with all that does not fit.
 */
export function mergeConfig(local: ResolvedConfig, deployed: unknown, env: Readonly<Record<string, string | undefined>> = process.env): ResolvedConfig {
  const problems = [...misplacedKeys(deployed), ...refusedSources(local, deployed), ...refusedTarget(local, deployed)];
  if (problems.length > 0) throw new ConfigError("", problems);
  const resolved = resolveConfig(deployed, { baseDir: local.baseDir, file: "", env });
  return { ...resolved, ...(Object.fromEntries(LOCAL.map((key) => [key, local[key]])) as Pick<ResolvedConfig, (typeof LOCAL)[number]>) };
}

function misplacedKeys(deployed: unknown): ConfigProblem[] {
  if (typeof deployed !== "object" || deployed === null) return [];
  return LOCAL_KEYS.filter((key) => Object.hasOwn(deployed, key)).map((key) => ({
    path: key,
    text: "found in a deploy, and belongs to each gateway's own config",
  }));
}

/**
 * Whoever may deploy chooses what rules see as secrets. That must not reach the gateway's own keys, nor any file of the machine: only files below the
 * config's folder, and what the machine's own config reads as well.
 */
function refusedSources(local: ResolvedConfig, deployed: unknown): ConfigProblem[] {
  // By room: what this config signs experiments or the cache with, rules may not see as a secret.
  const named = ([at, source]: Source): string => `${at.split(".", 1)[0]} ${JSON.stringify(source)}`;
  const own = new Set(sourcesOf(local.shared).map(named));
  return sourcesOf(deployed).flatMap(([at, source]): ConfigProblem[] => {
    if (own.has(named([at, source]))) return [];
    if (typeof source["env"] === "string" && OWN_VARIABLES.test(source["env"]))
      return [{ path: `${at}.env`, text: `found ${shown(source["env"])}, which is the gateway's own` }];
    if (typeof source["file"] === "string" && !isWithin(source["file"], local))
      return [
        {
          path: `${at}.file`,
          text: `found ${shown(source["file"])}, expected a file below the folder of this gateway's config, or one that this config names too`,
        },
      ];
    return [];
  });
}

function isWithin(file: string, { baseDir, stateDir }: ResolvedConfig): boolean {
  const real = (name: string): string => {
    try {
      return realpathSync(name);
    } catch {
      // It is not there, and resolving the config will say so.
      return path.resolve(name);
    }
  };
  const found = real(path.resolve(baseDir, file));
  const below = (folder: string): boolean => found.startsWith(real(folder) + path.sep);
  return below(baseDir) && !below(stateDir);
}

type Source = readonly [at: string, source: Record<string, unknown>];

/** Where secrets and keys stand, and by which key of the config. */
function sourcesOf(shared: unknown): Source[] {
  const { secrets, cache, experiments } = (shared ?? {}) as {
    secrets?: unknown;
    cache?: { secret?: unknown };
    experiments?: { key?: unknown; previousKeys?: unknown };
  };
  const all: [string, unknown][] = [
    ...Object.entries(secrets ?? {}).map(([name, source]): [string, unknown] => [`secrets.${name}`, source]),
    ["cache.secret", cache?.secret],
    ["experiments.key", experiments?.key],
    ...Object.entries(experiments?.previousKeys ?? {}).map(([at, source]): [string, unknown] => [`experiments.previousKeys[${at}]`, source]),
  ];
  return all.filter((one): one is [string, Record<string, unknown>] => typeof one[1] === "object" && one[1] !== null);
}

/**
 * Whoever may deploy chooses where raw lines of experiments go, and with attributes and names also much of what stands in them. That must not become a
 * way to append to any file of the machine, nor to write to services that only it can reach (CWE-73, CWE-918).
 */
function refusedTarget(local: ResolvedConfig, deployed: unknown): ConfigProblem[] {
  const { file, webhook } = (deployed as { experiments?: { raw?: { file?: unknown; webhook?: unknown } | null } | null } | null)?.experiments?.raw ?? {};
  const own = local.experiments.raw?.target;
  const problems: ConfigProblem[] = [];
  if (typeof file === "string" && !(own?.kind === "file" && own.file === path.resolve(local.baseDir, file)) && !mayWrite(file, local))
    problems.push({
      path: "experiments.raw.file",
      text: `found ${shown(file)}, expected a .jsonl, .ndjson or .log file below the folder of this gateway's config, or the one that this config names`,
    });
  if (typeof webhook === "string" && isInternal(webhook) && !(own?.kind === "webhook" && originOf(own.url) === originOf(webhook)))
    problems.push({
      path: "experiments.raw.webhook",
      text: `found ${shown(webhook)}, expected a host on no private, loopback or link-local address, or the origin that this config names`,
    });
  return problems;
}

/** The file need not be there yet: what counts is where it would come to be. The name is that behind links, too. */
function mayWrite(file: string, { baseDir, stateDir }: ResolvedConfig): boolean {
  const found = comesToBe(path.resolve(baseDir, file));
  const [base, state] = [comesToBe(baseDir), comesToBe(stateDir)];
  if (found === null || base === null || state === null) return false;
  return WRITTEN_NAMES.test(found) && found.startsWith(base + path.sep) && !found.startsWith(state + path.sep);
}

/** The path without links, by its nearest parent that exists; null when that can't be told, as of a link whose end is missing. */
function comesToBe(name: string): string | null {
  try {
    return realpathSync(name);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT" || lstatSync(name, { throwIfNoEntry: false }) !== undefined) return null;
    const parent = comesToBe(path.dirname(name));
    return parent === null ? null : path.join(parent, path.basename(name));
  }
}

/** By what is written; names that resolve to such addresses are not looked up here. */
function isInternal(url: string): boolean {
  const host = URL.parse(url)?.hostname.replace(/^\[|\]$|\.$/g, "") ?? "";
  return /(^|\.)localhost$/.test(host) || (isIP(host) !== 0 && !isPublicAddress(host));
}

function originOf(url: string): string {
  return URL.parse(url)?.origin ?? "";
}
