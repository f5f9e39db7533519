/**
 * How many lines those may have of whom nobody knows who they are. Each source for itself, within each kind of refusal for itself: who is loud is soon
 * only counted, and hides neither another source nor another kind. Bounded whatever they send; a minute that is over is told in numbers. Pure.
 */

/** Of one source, of one kind, a minute. */
const OF_A_SOURCE = 10;
/** Of all sources of one kind. */
const OF_A_KIND = 60;
/** Kinds that are told apart, and sources of each that are; the others are one. */
const MOST_KINDS = 16;
const MOST_SOURCES = 200;
/** Of what was not told, the loudest. */
const MOST_TOLD = 5;

interface Kind {
  lines: number;
  /** Source → how often it came. */
  readonly sources: Map<string, number>;
  /** Source → how often it had no line. */
  readonly untold: Map<string, number>;
}

const OTHERS = "others";

export class Strangers {
  #minute = 0;
  #kinds = new Map<string, Kind>();

  /** May it have a line? */
  mayTell(kind: string, source: string): boolean {
    const of = this.#kindOf(kind);
    const known = of.sources.has(source) || of.sources.size < MOST_SOURCES ? source : OTHERS;
    const times = (of.sources.get(known) ?? 0) + 1;
    of.sources.set(known, times);
    if (times <= OF_A_SOURCE && of.lines < OF_A_KIND) {
      of.lines++;
      return true;
    }
    of.untold.set(known, (of.untold.get(known) ?? 0) + 1);
    return false;
  }

  /** A line for each kind of which something was not told in the minute that was, once it is over: "and 532 more of UNAUTHORIZED: 500 from 192.0.2.1, …". */
  over(unixMs: number): readonly string[] {
    const minute = Math.floor(unixMs / 60_000);
    if (minute === this.#minute) return NOTHING;
    this.#minute = minute;
    if (this.#kinds.size === 0) return NOTHING;
    const kinds = this.#kinds;
    this.#kinds = new Map();
    return [...kinds].flatMap(([kind, { untold }]) => (untold.size === 0 ? [] : [untoldText(kind, untold)]));
  }

  #kindOf(kind: string): Kind {
    const known = this.#kinds.has(kind) || this.#kinds.size < MOST_KINDS ? kind : OTHERS;
    let of = this.#kinds.get(known);
    if (of === undefined) this.#kinds.set(known, (of = { lines: 0, sources: new Map(), untold: new Map() }));
    return of;
  }
}

const NOTHING: readonly string[] = Object.freeze([]);

function untoldText(kind: string, untold: ReadonlyMap<string, number>): string {
  const sources = [...untold].sort(([, a], [, b]) => b - a);
  const sum = sources.reduce((all, [, times]) => all + times, 0);
  const loudest = sources.slice(0, MOST_TOLD).map(([source, times]) => `${times} from ${source}`);
  const quieter = sources.length - loudest.length;
  return `and ${sum} more of ${kind}: ${loudest.join(", ")}${quieter > 0 ? `, the rest from ${quieter} more` : ""}`;
}
