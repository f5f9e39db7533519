/**
 * What has been purged, as this worker knows it. A purge touches no entry: it notes how far purges had come, and each entry is judged
 * when it is next asked for, so that ten thousand entries are purged by one note.
 *
 * Two orders: `generation` counts what arrived in this worker and judges its own memory; `sequence` is the store's and judges what
 * comes out of the store, whoever put it there and whenever.
 */
import { placeOf } from "./key.ts";

export type PurgeKind = "url" | "prefix" | "tag" | "all";

export interface PurgeOrder {
  readonly kind: PurgeKind;
  /** Place (`placeOf`) for url and prefix; the tag; "" for all. */
  readonly value: string;
  /** Soft: stale from now on, and still there for stale-while-revalidate, stale-if-error and validation. */
  readonly soft: boolean;
}

export type Judgement = "valid" | "stale" | "gone";

/** What of an entry purges look at. */
export interface Purgeable {
  readonly tags: readonly string[];
  readonly place: string;
  readonly publicPlace: string;
}

/** Since when: the newest purge of either kind; -1 for never. */
interface Note {
  hardGeneration: number;
  softGeneration: number;
  hardSequence: number;
  softSequence: number;
}

/** Tags, URLs and prefixes remembered each; what is forgotten counts as a purge of everything older. */
const MAX_NOTES = 10_000;
const MAX_PREFIXES = 1_000;

export class Purges {
  /** Grows with every purge that arrives. */
  generation = 0;
  readonly #tags = new Map<string, Note>();
  readonly #urls = new Map<string, Note>();
  readonly #prefixes = new Map<string, Note>();
  readonly #all = emptyNote();

  /** `sequence`: the store's number of this purge; -1 when it has none (it then says nothing about what lies in the store). */
  note({ kind, value, soft }: PurgeOrder, sequence: number): void {
    this.generation++;
    const notes = kind === "tag" ? this.#tags : kind === "url" ? this.#urls : kind === "prefix" ? this.#prefixes : null;
    if (notes === null) {
      write(this.#all, soft, this.generation, sequence);
      return;
    }
    let note = notes.get(value);
    // Moved to the end: the oldest is forgotten first.
    if (note === undefined) note = emptyNote();
    else notes.delete(value);
    notes.set(value, note);
    write(note, soft, this.generation, sequence);
    if (notes.size > (kind === "prefix" ? MAX_PREFIXES : MAX_NOTES)) this.#forgetOldest(notes);
  }

  /** Whatever was stored before now may have been purged by what did not arrive. */
  noteGap(): void {
    this.generation++;
    this.#all.hardGeneration = this.generation;
  }

  /** The store's log begins behind `sequence`: what lies in the store from before may have been purged. */
  noteDropped(sequence: number): void {
    this.#all.hardSequence = Math.max(this.#all.hardSequence, sequence);
  }

  /** An entry of this worker: purges after `generation` count. */
  judge(entry: Purgeable, generation: number): Judgement {
    return this.#judge(entry, generation, "hardGeneration", "softGeneration");
  }

  /** An entry out of the store: purges after `sequence` count. */
  judgeShared(entry: Purgeable, sequence: number): Judgement {
    return this.#judge(entry, sequence, "hardSequence", "softSequence");
  }

  #judge(entry: Purgeable, since: number, hard: "hardGeneration" | "hardSequence", soft: "softGeneration" | "softSequence"): Judgement {
    let judgement: Judgement = "valid";
    const weigh = (note: Note | undefined): void => {
      if (note === undefined) return;
      if (note[hard] > since) judgement = "gone";
      else if (note[soft] > since && judgement === "valid") judgement = "stale";
    };
    weigh(this.#all);
    for (const tag of entry.tags) weigh(this.#tags.get(tag));
    weigh(this.#urls.get(entry.place));
    if (entry.publicPlace !== entry.place) weigh(this.#urls.get(entry.publicPlace));
    for (const [prefix, note] of this.#prefixes) if (entry.place.startsWith(prefix) || entry.publicPlace.startsWith(prefix)) weigh(note);
    return judgement;
  }

  #forgetOldest(notes: Map<string, Note>): void {
    const [value, note] = notes.entries().next().value!;
    notes.delete(value);
    for (const member of ["hardGeneration", "hardSequence"] as const) this.#all[member] = Math.max(this.#all[member], note[member]);
    this.#all.softGeneration = Math.max(this.#all.softGeneration, note.softGeneration);
    this.#all.softSequence = Math.max(this.#all.softSequence, note.softSequence);
  }
}

function emptyNote(): Note {
  return { hardGeneration: -1, softGeneration: -1, hardSequence: -1, softSequence: -1 };
}

function write(note: Note, soft: boolean, generation: number, sequence: number): void {
  if (soft) {
    note.softGeneration = generation;
    note.softSequence = Math.max(note.softSequence, sequence);
  } else {
    note.hardGeneration = generation;
    note.hardSequence = Math.max(note.hardSequence, sequence);
  }
}

/** The place that a URL or prefix as people write it names: scheme and default port don't count, a missing scheme neither. Null when it names no host. */
export function placeOfUrl(text: string): string | null {
  if (/^\/(?!\/)/.test(text)) return null;
  const url = URL.parse(text.includes("://") ? text : `http://${text.replace(/^\/\//, "")}`);
  if (url === null || url.hostname === "" || !/^https?:$/.test(url.protocol)) return null;
  return placeOf(url.host, `${url.pathname}${url.search}`);
}
