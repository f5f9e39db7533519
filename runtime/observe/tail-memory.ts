/** Lines of the last exchanges that came with a debug header: whoever has the id of one may look at it when it is over. */
import type { TailEvent } from "./tail-events.ts";

const MAX_EXCHANGES = 50;
const MAX_LINES = 300;

export class TailMemory {
  readonly #lines = new Map<string, TailEvent[]>();
  /** Not over yet. */
  readonly #open = new Set<string>();

  get isOpen(): boolean {
    return this.#open.size > 0;
  }
  begin(id: string): void {
    this.#lines.set(id, []);
    this.#open.add(id);
    if (this.#lines.size <= MAX_EXCHANGES) return;
    const oldest = this.#lines.keys().next().value!;
    this.#lines.delete(oldest);
    this.#open.delete(oldest);
  }
  has(id: string): boolean {
    return this.#open.has(id);
  }
  add(id: string, event: TailEvent): void {
    const lines = this.#lines.get(id);
    if (lines !== undefined && lines.length < MAX_LINES) lines.push(event);
  }
  over(id: string): void {
    this.#open.delete(id);
  }
  of(id: string): readonly TailEvent[] {
    return this.#lines.get(id) ?? [];
  }
}
