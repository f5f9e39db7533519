/** Keys that are known to be refused until a moment: refused here, without asking anybody. Nothing frees them earlier: others only take. */
import { LRUCache } from "lru-cache";
import type { LimitPolicy } from "./policy.ts";

export interface Block {
  /** Under another one, a rule's new rate say, it might be granted. */
  readonly policy: LimitPolicy;
  readonly untilMs: number;
  /** Of the ask that was refused: a cheaper one might be granted. */
  readonly cost: number;
  readonly resetAtMs: number;
  readonly penalised: boolean;
}

export class KnownBlocks {
  readonly #blocks: LRUCache<string, Block>;

  constructor(max: number) {
    this.#blocks = new LRUCache({ max });
  }

  get size(): number {
    return this.#blocks.size;
  }

  find(key: string, policy: LimitPolicy, cost: number, nowMs: number): Block | null {
    const block = this.#blocks.get(key);
    if (block === undefined) return null;
    if (nowMs >= block.untilMs) {
      this.#blocks.delete(key);
      return null;
    }
    return policy === block.policy && (block.penalised || cost >= block.cost) ? block : null;
  }

  note(key: string, block: Block): void {
    this.#blocks.set(key, block);
  }
}
