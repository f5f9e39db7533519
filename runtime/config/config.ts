/** The door of the config room: from a file, or from a value, to a `ResolvedConfig`. */
import dns from "node:dns/promises";
import { existsSync, readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import path from "node:path";
import { build, type BuildFailure } from "esbuild";
import { geoWarnings } from "./geo.ts";
import { ConfigError } from "./problems.ts";
import { resolveConfig } from "./resolve.ts";
import type { ResolvedConfig } from "./resolved.ts";

export { ConfigError } from "./problems.ts";
export { resolveConfig } from "./resolve.ts";
export { configChanges } from "./difference.ts";
export { mergeConfig } from "./shared.ts";
export { LOCAL_KEYS } from "./schema.ts";

const NAMES = ["sluice.config.ts", "sluice.config.json"];
const LOOKUP_DEADLINE_MS = 2000;

/**
 * Reads a config file, or the one in a folder. Rejects with a `ConfigError` that lists everything that is wrong.
 * A target whose name does not resolve is a warning: it may come up later.
 */
export async function loadConfig(fileOrFolder: string): Promise<{ config: ResolvedConfig; warnings: string[] }> {
  const file = findFile(path.resolve(fileOrFolder));
  const value = file.endsWith(".json") ? readJson(file) : await runTypeScript(file);
  const config = resolveConfig(value, { baseDir: path.dirname(file), file });
  return { config, warnings: [...geoWarnings(config), ...(await unresolvedNames(config))] };
}

function findFile(given: string): string {
  if (!existsSync(given)) throw new ConfigError(given, [{ path: "", text: "there is no such file or folder" }]);
  if (!statSync(given).isDirectory()) return given;
  const file = NAMES.map((name) => path.join(given, name)).find((name) => existsSync(name));
  if (file === undefined) throw new ConfigError(given, [{ path: "", text: `found neither ${NAMES.join(" nor ")}; sluice init makes a project` }]);
  return file;
}

function readJson(file: string): unknown {
  try {
    const value = JSON.parse(readFileSync(file, "utf8")) as unknown;
    // Editors find the schema by this key; it says nothing to the gateway.
    if (typeof value === "object" && value !== null && "$schema" in value) delete value.$schema;
    return value;
  } catch (cause) {
    throw new ConfigError(file, [{ path: "", text: `found no valid JSON: ${(cause as Error).message}` }], { cause });
  }
}

/** `defineConfig` gives back what it got, so the file needs nothing of the package to run. */
const OWN_SDK = {
  name: "sluice",
  setup(context: Parameters<NonNullable<Parameters<typeof build>[0]["plugins"]>[number]["setup"]>[0]) {
    context.onResolve({ filter: /^sluice$/ }, () => ({ path: "sluice", namespace: "sluice" }));
    context.onLoad({ filter: /.*/, namespace: "sluice" }, () => ({ contents: "export const defineConfig = (config) => config" }));
  },
};

/** The operator's own file, run as their program: it may read files and the environment. */
async function runTypeScript(file: string): Promise<unknown> {
  let code: string;
  try {
    const result = await build({
      entryPoints: [file],
      absWorkingDir: path.dirname(file),
      bundle: true,
      write: false,
      format: "esm",
      platform: "node",
      target: "es2024",
      logLevel: "silent",
      plugins: [OWN_SDK],
      define: { "import.meta.dirname": JSON.stringify(path.dirname(file)), "import.meta.filename": JSON.stringify(file) },
    });
    code = result.outputFiles[0]!.text;
  } catch (thrown) {
    if (!(thrown instanceof Error && "errors" in thrown)) throw thrown;
    const problems = (thrown as BuildFailure).errors.map(({ text, location }) => ({
      path: location ? `${location.file}:${location.line}:${location.column + 1}` : "",
      text,
    }));
    throw new ConfigError(file, problems, { cause: thrown });
  }
  try {
    const module = (await import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`)) as { default?: unknown };
    if (module.default === undefined) throw new ConfigError(file, [{ path: "", text: "found no default export, expected export default defineConfig({ … })" }]);
    return module.default;
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(file, [{ path: "", text: `threw while it ran: ${cause instanceof Error ? cause.message : String(cause)}` }], { cause });
  }
}

async function unresolvedNames(config: ResolvedConfig): Promise<string[]> {
  const hosts = new Set(Object.values(config.upstreams).flatMap(({ targets }) => targets.map(({ host }) => host)));
  const names = [...hosts].filter((host) => isIP(host) === 0 && host !== "localhost");
  const results = await Promise.all(
    names.map(async (name) => {
      const late = new Promise<string>((resolve) => void setTimeout(resolve, LOOKUP_DEADLINE_MS, "no answer in time").unref());
      return Promise.race([
        dns.lookup(name).then(
          () => "",
          (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error),
        ),
        late,
      ]);
    }),
  );
  return names.flatMap((name, i) => (results[i] === "" ? [] : [`${name} does not resolve (${results[i]}); its targets start as down`]));
}
