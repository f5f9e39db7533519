/** Can this gateway serve a release, and as what? Its modules are evaluated anew, under the config that it would serve with. */
import { canonicalJson, inspectRelease, type Inspected } from "../compile/compile.ts";
import type { Release } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { PackageError } from "../control/release-package.ts";
import type { Taken } from "../control/release-shelf.ts";
import type { DeployedConfig } from "./deployed-config.ts";
import type { Served } from "./fleet.ts";

/** Each is as large as a release. */
const KEPT = 4;

export class ReleaseInspections {
  readonly #configs: Pick<DeployedConfig, "of">;
  readonly #inspect: typeof inspectRelease;
  readonly #known = new Map<string, { readonly config: ResolvedConfig; readonly inspected: Inspected }>();

  constructor(configs: Pick<DeployedConfig, "of">, inspect = inspectRelease) {
    this.#configs = configs;
    this.#inspect = inspect;
  }

  /** The release and the config as this gateway understands them. Throws a `PackageError`. `asked`: it is proposed, and may still be refused. */
  async toServe(taken: Taken, asked: boolean): Promise<Pick<Served, "release" | "config">> {
    const config = this.#configs.of(taken.release);
    const { problem, differs, release } = await (asked ? this.#inspected(taken, config) : this.#inspectedAgain(taken, config));
    if (problem !== "") throw new PackageError(problem);
    // Another version of Sluice may read the same code differently: then its own reading counts.
    if (differs !== "" && asked) throw new PackageError(`${differs}: its manifest does not tell what the code is`);
    return { release, config };
  }

  /** A canary shares the workers, and with them the config, of what serves. */
  async beside(taken: Taken, serving: ResolvedConfig): Promise<Release> {
    if (canonicalJson(taken.release.config) !== canonicalJson(serving.shared))
      throw new PackageError("its config is not the one that serves, and both run in the same workers: deploy the config first, then the rules as a canary");
    const { problem, differs, release } = await this.#inspected(taken, serving);
    if (problem !== "" || differs !== "") throw new PackageError(problem || `${differs}: its manifest does not tell what the code is`);
    return release;
  }

  /** As the config that serves understands it, whatever it was deployed with. */
  async toShow(taken: Taken, serving: ResolvedConfig): Promise<Release> {
    const { problem, release } = await this.#inspected(taken, serving);
    if (problem !== "") throw new PackageError(problem);
    return release;
  }

  /**
   * What serves everywhere is not given up for a machine that was too busy, starting, to evaluate it in time: what would serve in its place is not what
   * was deployed.
   */
  async #inspectedAgain(taken: Taken, config: ResolvedConfig): Promise<Inspected> {
    const first = await this.#inspected(taken, config).catch((thrown: unknown) => ({ problem: String(thrown) }));
    return "release" in first && first.problem === "" ? first : this.#inspected(taken, config);
  }

  /** Evaluated once under one config: a rollback need not wait for it again. */
  async #inspected({ release, maps }: Taken, config: ResolvedConfig): Promise<Inspected> {
    const known = this.#known.get(release.digest);
    if (known?.config === config) return known.inspected;
    const inspected = await this.#inspect(config, release.release, maps);
    // A problem may have been one of the moment.
    if (inspected.problem !== "") return inspected;
    this.#known.delete(release.digest);
    this.#known.set(release.digest, { config, inspected });
    for (const old of this.#known.keys()) if (this.#known.size > KEPT) this.#known.delete(old);
    return inspected;
  }
}
