/**
 * Lines that wait for a reader. Errors have room of their own, so that no flood of ordinary lines costs one of them. Ordinary lines come at
 * the rate that the reader asked for: nobody reads thousands a second, and each costs visitors what it takes to write and to send it.
 */

interface Waiting {
  readonly sequence: number;
  readonly line: string;
}

/** Units of text; a worker holds at most this for one reader. */
const ORDINARY_ROOM_UNITS = 1024 * 1024;
const ERROR_ROOM_UNITS = 8 * 1024 * 1024;
/** One message to the supervisor. */
const BATCH_UNITS = 128 * 1024;

export class TailQueue {
  #sequence = 0;
  readonly #ordinary = new Lane(ORDINARY_ROOM_UNITS);
  readonly #errors = new Lane(ERROR_ROOM_UNITS);
  #droppedLines = 0;
  #droppedErrors = 0;
  readonly #perSecond: number | null;
  /** Ordinary lines that may come now; fills up to a second's, so that the burst of a quiet gateway is shown whole. */
  #allowance: number;
  #filledMs = 0;

  constructor(perSecond: number | null) {
    this.#perSecond = perSecond;
    this.#allowance = perSecond ?? 0;
  }

  /** Whether another line may come; counts it as dropped when not. Asked before it is written as text: what is dropped costs nothing more. */
  takes(isError: boolean, nowMs: number): boolean {
    if (isError ? this.#errors.hasRoom : this.#isAllowed(nowMs) && this.#ordinary.hasRoom) return true;
    this.dropped(isError, 1);
    return false;
  }
  add(isError: boolean, line: string): void {
    (isError ? this.#errors : this.#ordinary).push({ sequence: this.#sequence++, line });
  }
  dropped(isError: boolean, lines: number): void {
    if (isError) this.#droppedErrors += lines;
    else this.#droppedLines += lines;
  }

  get isEmpty(): boolean {
    return this.#ordinary.first === undefined && this.#errors.first === undefined && this.#droppedLines === 0 && this.#droppedErrors === 0;
  }

  /** In the order in which they came. */
  batch(): { lines: string[]; droppedLines: number; droppedErrors: number } {
    const lines: string[] = [];
    for (let units = 0; units < BATCH_UNITS;) {
      const ordinary = this.#ordinary.first;
      const error = this.#errors.first;
      if (ordinary === undefined && error === undefined) break;
      const lane = error === undefined || (ordinary !== undefined && ordinary.sequence < error.sequence) ? this.#ordinary : this.#errors;
      const { line } = lane.take();
      units += line.length;
      lines.push(line);
    }
    const batch = { lines, droppedLines: this.#droppedLines, droppedErrors: this.#droppedErrors };
    this.#droppedLines = this.#droppedErrors = 0;
    return batch;
  }

  #isAllowed(nowMs: number): boolean {
    const perSecond = this.#perSecond;
    if (perSecond === null) return true;
    const passedMs = Math.max(0, nowMs - this.#filledMs);
    this.#filledMs = nowMs;
    this.#allowance = Math.min(perSecond, this.#allowance + (passedMs * perSecond) / 1_000);
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }
}

class Lane {
  readonly #roomUnits: number;
  #list: Waiting[] = [];
  #head = 0;
  #units = 0;

  constructor(roomUnits: number) {
    this.#roomUnits = roomUnits;
  }
  get hasRoom(): boolean {
    return this.#units < this.#roomUnits;
  }
  get first(): Waiting | undefined {
    return this.#list[this.#head];
  }
  push(waiting: Waiting): void {
    this.#list.push(waiting);
    this.#units += waiting.line.length;
  }
  take(): Waiting {
    const waiting = this.#list[this.#head++]!;
    this.#units -= waiting.line.length;
    if (this.#head === this.#list.length || this.#head > 1000) {
      this.#list = this.#list.slice(this.#head);
      this.#head = 0;
    }
    return waiting;
  }
}
