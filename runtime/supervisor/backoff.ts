/** When to start again what crashed: at once the first time, then ever later, until it has run well for a while. */

export interface BackoffOptions {
  /** The second start in a row waits about this long; each further one twice as long. */
  readonly baseMs: number;
  readonly maxMs: number;
  /** Whoever ran at least this long begins anew. */
  readonly healthyMs: number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
}

export const RESTART_BACKOFF = { baseMs: 100, maxMs: 10_000, healthyMs: 30_000 } as const;

export class Backoff {
  readonly #options: BackoffOptions;
  #crashes = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Milliseconds to wait after something that ran for `ranMs` crashed. Half of the wait is jitter, so that crashes in step do not stay in step. */
  next(ranMs: number): number {
    const { baseMs, maxMs, healthyMs, random } = this.#options;
    if (ranMs >= healthyMs) this.#crashes = 0;
    const crashes = this.#crashes++;
    if (crashes === 0) return 0;
    // 2^30 is far above any maxMs / baseMs; the bound keeps the power finite.
    const fullMs = Math.min(maxMs, baseMs * 2 ** Math.min(crashes - 1, 30));
    return fullMs / 2 + (fullMs / 2) * random();
  }
}
