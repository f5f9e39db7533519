/**
 * The door: recorded requests of all gateways, in the store they share. They stand in memory there (the embedded store writes none of them to the disk),
 * are reached only through the admin API by who has the role `recordings`, and end by themselves: each stretch of six hours as a whole, 24 hours after it
 * began, so that nothing is older than that.
 */
import type { Store } from "../../store/store.ts";
import { readRecording, type Recording } from "./recording.ts";
import { APPEND, LAST } from "./scripts.ts";

export { callWord, isKept, keptReply } from "./calls.ts";
export { OwnNames } from "./own-names.ts";
export type { Recording } from "./recording.ts";
export { createSanitizer, type Json, roomFor, type Sanitizer } from "./sanitize.ts";

const STRETCH_MS = 6 * 3_600_000;
const LIFE_MS = 24 * 3_600_000;
/** Of one stretch. With `LONGEST_UNITS` each, all of them together take at most 40 MiB. */
const KEPT = 2_000;
/** A longer one is not kept. */
export const LONGEST_UNITS: number = 4_096;

export class Recordings {
  readonly #store: () => Store;
  readonly #unixMs: () => number;

  constructor(store: () => Store, unixMs: () => number) {
    this.#store = store;
    this.#unixMs = unixMs;
  }

  async append(lines: readonly string[]): Promise<void> {
    const stretch = Math.floor(this.#unixMs() / STRETCH_MS);
    await this.#store().run(APPEND, [keyOf(stretch)], [stretch * STRETCH_MS + LIFE_MS, KEPT, ...lines]);
  }

  /** The newest of all gateways, oldest first; and how many of another version could not be read. */
  async last(count: number): Promise<{ readonly recordings: readonly Recording[]; readonly unreadable: number }> {
    const found: Recording[] = [];
    let unreadable = 0;
    for (const key of this.#keys()) {
      if (found.length >= count) break;
      const lines = await this.#store().run(LAST, [key], [count - found.length]);
      const read = lines.map((line) => readRecording(String(line)));
      unreadable += read.filter((one) => one === null).length;
      found.push(...read.filter((one) => one !== null));
    }
    return { recordings: found.toSorted((a, b) => a.atUnixMs - b.atUnixMs), unreadable };
  }

  /** All of them, of all gateways. */
  async purge(): Promise<void> {
    await this.#store().delete(this.#keys());
  }

  /** Newest first. One more than can be alive: clocks differ. */
  #keys(): string[] {
    const now = Math.floor(this.#unixMs() / STRETCH_MS);
    return Array.from({ length: LIFE_MS / STRETCH_MS + 2 }, (_, i) => keyOf(now + 1 - i));
  }
}

function keyOf(stretch: number): string {
  return `recordings:${stretch}`;
}
