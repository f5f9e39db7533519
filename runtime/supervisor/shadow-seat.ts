/** Puts a shadow release on the workers, also on those that start later, and adds up what they found. */
import type { ResolvedConfig } from "../config/resolved.ts";
import type { ShadowSeat } from "../control/shadow.ts";
import type { Taken } from "../control/release-shelf.ts";
import type { Release } from "../compile/release.ts";
import type { ShadowOrder } from "../proxy/shadow.ts";
import { addedUp, type ShadowStatus } from "../proxy/shadow-status.ts";
import type { WorkerProcess } from "./worker-process.ts";
import { reasonOf } from "./start-error.ts";

export interface ShadowSeatParts {
  readonly workers: () => readonly WorkerProcess[];
  readonly snapshots: () => readonly { readonly shadow?: ShadowStatus }[];
  /** The release and its config as this gateway understands them; rejects with the reason. */
  readonly inspect: (taken: Taken) => Promise<{ readonly release: Release; readonly config: ResolvedConfig }>;
  readonly warn: (event: string, facts: Readonly<Record<string, unknown>>) => void;
}

export class WorkersShadow implements ShadowSeat {
  readonly #parts: ShadowSeatParts;
  #order: ShadowOrder | null = null;
  /** Which have it, or were asked. */
  #told = new WeakSet<WorkerProcess>();

  constructor(parts: ShadowSeatParts) {
    this.#parts = parts;
  }

  async play(tag: string, share: number, taken: Taken | null): Promise<void> {
    this.#order = taken === null ? null : { tag, share, maps: taken.maps, ...(await this.#parts.inspect(taken)) };
    this.#told = new WeakSet();
    await Promise.all(this.#parts.workers().map((worker) => this.#tell(worker)));
  }

  compared(): ShadowStatus | null {
    // Workers that came since are told now.
    if (this.#order !== null)
      for (const worker of this.#parts.workers())
        if (!this.#told.has(worker))
          this.#tell(worker).catch((thrown: unknown) => this.#parts.warn("shadow-not-played", { worker: worker.number, reason: reasonOf(thrown) }));
    const { tag = "" } = this.#order ?? {};
    return addedUp(this.#parts.snapshots().flatMap(({ shadow }) => (shadow?.tag === tag ? [shadow] : [])));
  }

  async #tell(worker: WorkerProcess): Promise<void> {
    this.#told.add(worker);
    await worker.shadow(this.#order);
  }
}
