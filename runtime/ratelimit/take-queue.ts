/** Checks of one event-loop turn, sent to the store as one script call for each group of limits. */
import type { Store, StoreReply } from "../store/store.ts";
import { REPLY_STRIDE, TAKE, takeArguments, type Ask } from "./take.ts";

/** Its part of a reply begins at `at`; null: the store did not answer. */
export type Answered = (reply: StoreReply | null, at: number, thrown: unknown) => void;

/** A script holds up the store while it runs: about 0.3 ms for this many. */
const MAX_CHECKS = 200;

interface Waiting {
  readonly asks: readonly Ask[];
  readonly answered: Answered;
}

export class TakeQueue {
  readonly #store: Store;
  readonly #holder: number;
  readonly #holdMs: number;
  readonly #groups = new Map<string, Waiting[]>();
  #scheduled = false;

  constructor(store: Store, holder: number, holdMs: number) {
    this.#store = store;
    this.#holder = holder;
    this.#holdMs = holdMs;
  }

  /** `asks` share the tag of `group`. */
  ask(group: string, asks: readonly Ask[], answered: Answered): void {
    const waiting = this.#groups.get(group);
    if (waiting === undefined) this.#groups.set(group, [{ asks, answered }]);
    else {
      waiting.push({ asks, answered });
      if (waiting.length >= MAX_CHECKS) {
        this.#groups.delete(group);
        this.#send(waiting);
      }
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the sockets of this turn were read: all their requests have asked by then.
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    for (const [group, waiting] of this.#groups) {
      this.#groups.delete(group);
      this.#send(waiting);
    }
  }

  #send(waiting: readonly Waiting[]): void {
    const { keys, args } = takeArguments(
      waiting.map(({ asks }) => asks),
      this.#holder,
      this.#holdMs,
    );
    this.#store.run(TAKE, keys, args).then(
      (reply) => {
        let at = 0;
        for (const { asks, answered } of waiting) {
          answered(reply, at, undefined);
          at += asks.length * REPLY_STRIDE;
        }
      },
      (thrown: unknown) => {
        for (const { answered } of waiting) answered(null, 0, thrown);
      },
    );
  }
}
