/** The config that goes with a deployed release, as this gateway serves it: its own keys from this machine, all others from the deploy. */
import { canonicalJson } from "../compile/compile.ts";
import { configChanges, ConfigError, mergeConfig } from "../config/config.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { SharedConfig } from "../config/schema.ts";
import { PackageError, type ReleasePackage } from "../control/release-package.ts";

export interface DeployedConfigParts {
  /** As this machine's file has it. */
  readonly local: () => ResolvedConfig;
  readonly serving: () => ResolvedConfig;
  readonly log: (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;
}

/** What serves, what served before, and what is being prepared. */
const KEPT = 4;

export class DeployedConfig {
  readonly #parts: DeployedConfigParts;
  readonly #known = new Map<string, ResolvedConfig>();
  #knownFor: ResolvedConfig | null = null;

  constructor(parts: DeployedConfigParts) {
    this.#parts = parts;
  }

  /** The same object for the same content, until this machine's own config is read again. Throws a `PackageError` with all that does not fit here. */
  of({ config, digest }: ReleasePackage): ResolvedConfig {
    const { local, serving } = this.#parts;
    const written = canonicalJson(config);
    // Nothing is read anew, no worker replaced, for a release that changes only rules.
    if (written === canonicalJson(serving().shared)) return serving();
    if (this.#knownFor !== local()) this.#known.clear();
    this.#knownFor = local();
    const known = this.#known.get(digest);
    if (known !== undefined) return known;
    const merged = merge(local(), config);
    this.#known.set(digest, merged);
    for (const old of this.#known.keys()) if (this.#known.size > KEPT) this.#known.delete(old);
    return merged;
  }

  reloaded(local: ResolvedConfig, deployed: SharedConfig | null): ResolvedConfig {
    return deployed === null || canonicalJson(deployed) === canonicalJson(local.shared) ? local : merge(local, deployed);
  }

  /** Keys in which this machine's file differs from what was deployed, and which count for nothing until they are deployed. */
  drift(deployed: SharedConfig | null): string[] {
    return deployed === null ? [] : configChanges(deployed, this.#parts.local().shared).map(({ key }) => key);
  }

  tellDrift(deployed: SharedConfig): void {
    const keys = this.drift(deployed);
    if (keys.length > 0)
      this.#parts.log("warn", "config-drift", {
        keys,
        text: "the config file differs here from what was deployed, which counts; sluice deploy makes it count",
      });
  }
}

function merge(local: ResolvedConfig, deployed: SharedConfig): ResolvedConfig {
  try {
    return mergeConfig(local, deployed);
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    const problems = cause.problems.map(({ path, text }) => (path === "" ? text : `${path}: ${text}`));
    throw new PackageError(`its config does not fit this gateway: ${problems.join("; ")}`, { cause });
  }
}
