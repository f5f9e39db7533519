/**
 * What a hook call asks of its input, in the order of asking, for a worker that remembers what came of it (`recall.ts`). Every way from a
 * rule to something that differs from request to request passes by here; a way that does not would let one visitor have another's outcome.
 */

/** What was asked; where a name follows, it stands right behind the letter. */
export const Read = {
  METHOD: "m",
  SCHEME: "c",
  AUTHORITY: "a",
  PATH: "t",
  QUERY: "q",
  /** A request field of that name, or all of them. */
  FIELD: "h",
  FIELDS: "H",
  /** The path groups, or the state, of the rule of that number. */
  PARAMS: "p",
  STATE: "s",
  STATUS: "r",
  /** A response field of that name, or all of them. */
  RESPONSE_FIELD: "o",
  RESPONSE_FIELDS: "O",
  FROM: "f",
  /** The variant of the experiment of that key. */
  EXPERIMENT: "x",
  /** Different each time, or not the worker's to compare: clock, randomness, request id, client, upstream, services. */
  UNIQUE: "?",
} as const;

const MAX_READS = 32;
const MAX_READ_UNITS = 256;

export class Reads {
  readonly #asked: string[] = [];

  note(read: string): void {
    const asked = this.#asked;
    for (let i = 0; i < asked.length; i++) if (asked[i] === read) return;
    if (asked.length <= MAX_READS) asked[asked.length] = asked.length === MAX_READS || read.length > MAX_READ_UNITS ? Read.UNIQUE : read;
  }

  /** A line each; names hold no line ends. */
  take(): string {
    const asked = this.#asked;
    let text = "";
    for (let i = 0; i < asked.length; i++) text += i === 0 ? asked[i] : `\n${asked[i]}`;
    return text;
  }
}
