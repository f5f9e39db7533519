/**
 * Finding who breaks sandboxes. After a death that nobody outside caused, the hook calls that may have been running are run again
 * one at a time, each alone, until one dies alone twice: that one is guilty.
 *
 * A trial must cost the others nothing. It runs on the spare when one is there; until then on the active process, which stands
 * still for everyone meanwhile, so there only those are tried that are hardly the culprit: a hook call of a rule that has broken
 * one before, that died alone already, or that is the last one left waits for the spare.
 */
import type { SandboxProcess } from "./sandbox-process.ts";
import type { Segment } from "./segment.ts";

export interface TrialCourt {
  readonly active: SandboxProcess | null;
  readonly spare: SandboxProcess | null;
  send(segment: Segment, process: SandboxProcess): void;
}

export class Trials {
  readonly #court: TrialCourt;
  #queue: Segment[] = [];

  constructor(court: TrialCourt) {
    this.#court = court;
  }

  get queue(): readonly Segment[] {
    return this.#queue;
  }

  /** Adds suspects; the likely culprits stand last. */
  accuse(segments: readonly Segment[]): void {
    this.#queue = [...this.#queue, ...segments].sort((a, b) => Number(isKnown(a)) - Number(isKnown(b)) || record(b) - record(a));
    this.next();
  }
  withdraw(segment: Segment): void {
    this.#queue = this.#queue.filter((other) => other !== segment);
  }

  /** Tries whoever can be tried now. */
  next(): void {
    for (const process of [this.#court.spare, this.#court.active]) {
      if (process === null || process.alone !== null) continue;
      const onActive = process === this.#court.active;
      const index = this.#queue.findIndex((segment) => process.stands(segment.pending.held.number) && !(onActive && this.#mustWait(segment)));
      if (index < 0) continue;
      const [segment] = this.#queue.splice(index, 1);
      process.alone = segment!;
      this.#court.send(segment!, process);
    }
  }

  #mustWait(segment: Segment): boolean {
    return isKnown(segment) || this.#queue.length === 1;
  }
}

function isKnown(segment: Segment): boolean {
  return segment.aloneDeaths > 0 || segment.rules.some((rule) => segment.pending.held.offences.hasOffended(rule));
}

/** How often the least proven rule of the hook call has finished. */
function record(segment: Segment): number {
  return Math.min(...segment.rules.map((rule) => segment.pending.held.finished[rule] ?? 0));
}
