/** Which part of a config travels with a deploy, which belongs to one machine, and how both become one config again. */
import { realpathSync } from "node:fs";
import path from "node:path";
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
  "rulesDir",
  "stateDir",
  "store",
  "admin",
  "adminTokens",
  "releases",
] as const satisfies readonly (keyof ResolvedConfig)[];

/** The admin token and the signing key stand there. */
const OWN_VARIABLES = /^SLUICE_/;

/**
 * The config that a gateway serves with: what belongs to the machine from `local`, everything else from what was deployed. Secrets are read here, on
 * this machine. Throws a `ConfigError` with all that does not fit.
 */
export function mergeConfig(local: ResolvedConfig, deployed: unknown, env: Readonly<Record<string, string | undefined>> = process.env): ResolvedConfig {
  const problems = [...misplacedKeys(deployed), ...refusedSources(local, deployed)];
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
  const own = new Set(sourcesOf(local.shared).map(([, source]) => JSON.stringify(source)));
  return sourcesOf(deployed).flatMap(([at, source]): ConfigProblem[] => {
    if (own.has(JSON.stringify(source))) return [];
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

/** Where secrets stand, and by which key. */
function sourcesOf(shared: unknown): [at: string, source: Record<string, unknown>][] {
  const { secrets, cache } = (shared ?? {}) as { secrets?: unknown; cache?: { secret?: unknown } };
  const all: [string, unknown][] = [
    ...Object.entries(secrets ?? {}).map(([name, source]): [string, unknown] => [`secrets.${name}`, source]),
    ["cache.secret", cache?.secret],
  ];
  return all.filter((one): one is [string, Record<string, unknown>] => typeof one[1] === "object" && one[1] !== null);
}
