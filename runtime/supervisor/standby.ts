/** Workers on another config, started beside those that serve: they accept nothing until they take their place, or are not wanted after all. */
import { canonicalJson } from "../compile/compile.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { Served } from "./fleet.ts";
import { reasonOf, StartError } from "./start-error.ts";
import type { WorkerProcess } from "./worker-process.ts";

/** Per worker: processes that finish for earlier configs. Each holds the memory of a worker until its last exchange ends, at the latest at limits.drain. */
const MOST_DRAINING = 4;

export interface StandbyParts {
  /** One worker beside all others. */
  readonly spawn: (next: Served) => WorkerProcess;
  readonly drop: (worker: WorkerProcess) => void;
}

export class Standby {
  readonly #parts: StandbyParts;
  #held: { readonly next: Served; readonly workers: readonly WorkerProcess[] } | null = null;

  constructor(parts: StandbyParts) {
    this.#parts = parts;
  }

  /** All of them ready, or none left and the reason told. `draining`: workers of earlier configs that still finish. */
  async prepare(next: Served, draining: number): Promise<void> {
    this.drop();
    const { workers: wanted } = next.config;
    if (draining >= MOST_DRAINING * wanted)
      throw new StartError([`${draining} workers of earlier configs still finish their exchanges (limits.drain): deploy again when they have`]);
    const workers = Array.from({ length: wanted }, () => this.#parts.spawn(next));
    this.#held = { next, workers };
    const starts = await Promise.allSettled(workers.map((worker) => worker.ready));
    const reasons = new Set(starts.flatMap((start) => (start.status === "rejected" ? [reasonOf(start.reason)] : [])));
    if (reasons.size === 0) return;
    this.drop();
    throw new StartError([...reasons]);
  }

  /** Hands out those that were prepared for this; null: none were. */
  take({ config, release }: Served): readonly WorkerProcess[] | null {
    const held = this.#held;
    if (held === null || held.next.config !== config || held.next.release.id !== release.id) return null;
    this.#held = null;
    return held.workers;
  }

  drop(): void {
    const held = this.#held;
    this.#held = null;
    for (const worker of held?.workers ?? []) this.#parts.drop(worker);
  }
}

/** Then workers take it as they take a release: nothing that they hold was made of anything else. */
export function differsInRoutesAlone(a: ResolvedConfig, b: ResolvedConfig): boolean {
  const rest = ({ routes: _routes, shared: _shared, ...others }: ResolvedConfig): string => canonicalJson(others);
  return rest(a) === rest(b);
}
