/** At most so many lines a second for each source; the rest is counted. A rule in a loop must not fill a disk. */
export class LineRate {
  readonly #perSecond: number;
  readonly #sourceLimit: number;
  readonly #now: () => number;
  readonly #windows = new Map<string, { startMs: number; lines: number; dropped: number }>();

  constructor(perSecond: number, now: () => number, sourceLimit = 1000) {
    this.#perSecond = perSecond;
    this.#sourceLimit = sourceLimit;
    this.#now = now;
  }

  /** How many lines of this source were dropped before this one since the last that passed, or -1 when this one is to be dropped. */
  take(source: string): number {
    const nowMs = this.#now();
    let window = this.#windows.get(source);
    if (!window) {
      if (this.#windows.size >= this.#sourceLimit) this.#windows.clear();
      this.#windows.set(source, (window = { startMs: nowMs, lines: 0, dropped: 0 }));
    }
    if (nowMs - window.startMs >= 1000) {
      window.startMs = nowMs;
      window.lines = 0;
    }
    if (window.lines >= this.#perSecond) {
      window.dropped++;
      return -1;
    }
    window.lines++;
    const dropped = window.dropped;
    window.dropped = 0;
    return dropped;
  }
}
