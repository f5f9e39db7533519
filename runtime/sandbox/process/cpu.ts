/** How long an entry may take, and who is to blame when it took too long. */
import { Mark } from "../kernel/mark.ts";

/**
 * Wall time above a hook's CPU bound: another process may have had the core. The kernel ends an entry when half of the bound is spent,
 * so an entry's last hook has its whole bound at least.
 */
const WALL_FACTOR = 1.5;
/** Patience ends here, below the silence for which the worker ends the process (`deadlines.ts`). A larger CPU bound is given its time all the same. */
const MAX_ENTRY_MS = 800;
/** Shorter would cut off innocent ones: a collection of garbage or the first, uncompiled run takes some milliseconds. */
const MIN_ENTRY_MS = 20;
/** An entry that was cut off without guilt is tried again with a bound twice as long, up to MAX_ENTRY_MS, for this many entries. */
const PATIENT_ENTRIES = 256;
const FIRST_ENTRIES = 64;

export class Patience {
  /** A new release's first hooks run uncompiled. More, and the worker's count of time on a core (`deadlines.ts`) would be the first to end an entry. */
  #factor = 1.2;
  #entriesLeft = FIRST_ENTRIES;

  /** `applySync`'s time-out (wall) for an entry whose hooks may use `cpuMs` each. */
  entryMs(cpuMs: number): number {
    if (this.#entriesLeft > 0 && --this.#entriesLeft === 0) this.#factor = 1;
    const plainMs = Math.max(MIN_ENTRY_MS, Math.ceil(cpuMs * WALL_FACTOR));
    return Math.max(plainMs, Math.min(Math.ceil(plainMs * this.#factor), MAX_ENTRY_MS));
  }
  lengthen(): void {
    this.#factor = Math.min(this.#factor * 2, 64);
    this.#entriesLeft = PATIENT_ENTRIES;
  }
}

/** Who was running when an entry was cut off. */
export interface Suspect {
  readonly call: number;
  readonly rule: number;
  /** CPU that this rule's hook has used, at least. */
  readonly usedMs: number;
  readonly cpuMs: number;
  /** False when several hooks had left microtasks behind: any of them may have run last. */
  readonly certain: boolean;
}

export function suspectOf(mark: Float64Array, entryCpuMs: number): Suspect {
  const at = (index: number): number => mark[index] ?? 0;
  return {
    call: at(Mark.CALL),
    rule: at(Mark.RULE),
    // What ran before it in this entry took no more CPU than time.
    usedMs: at(Mark.HELD_MS) + Math.max(0, entryCpuMs - at(Mark.BEFORE_MS)),
    cpuMs: at(Mark.CPU_MS),
    certain: at(Mark.RETURNED) === 0 || at(Mark.BEGUN) <= 1,
  };
}
