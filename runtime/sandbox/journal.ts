/**
 * The service calls of one hook call, and what came back: so that a re-run in another sandbox gets the same replies, and no
 * call leaves the gateway twice.
 *
 * A re-run takes the same path (clock and randomness are the worker's), but parallel calls may be numbered in another order
 * when their replies come at once. So an entry is found by what was asked, the number deciding among equals.
 */
export interface JournalEntry {
  readonly rule: number;
  readonly service: string;
  readonly args: string;
  readonly idempotencyId: string;
  /** Under which number the hook call, as it runs now, waits for it; 0: it has not asked (again). */
  callNo: number;
  /** Null while the call is open. */
  reply: Reply | null;
}

export interface Reply {
  readonly ok: boolean;
  readonly json: string;
}

export class Journal {
  readonly #entries: JournalEntry[] = [];
  readonly #id: string;

  /** `id`: unique among hook calls, the stem of the idempotency ids. */
  constructor(id: string) {
    this.#id = id;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The hook call begins anew: it has asked for nothing yet. */
  restart(): void {
    for (const entry of this.#entries) entry.callNo = 0;
  }

  /** The entry of an earlier attempt that this call repeats, or undefined. */
  claim(callNo: number, rule: number, service: string, args: string): JournalEntry | undefined {
    const entry = this.#entries.find((other) => other.callNo === 0 && other.rule === rule && other.service === service && other.args === args);
    if (entry !== undefined) entry.callNo = callNo;
    return entry;
  }

  add(callNo: number, rule: number, service: string, args: string): JournalEntry {
    const entry: JournalEntry = { rule, service, args, idempotencyId: `${this.#id}-${this.#entries.length + 1}`, callNo, reply: null };
    this.#entries.push(entry);
    return entry;
  }
}
