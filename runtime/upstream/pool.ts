/** The connections of one upstream: how many there are, and which of them are idle. Knows nothing of sockets. */

export interface Pooled {
  /** When it last became idle. */
  idleSinceMs: number;
  /** It must not be used from then on: our own keep-alive time, or the origin's less a margin. */
  reusableUntilMs: number;
  /** Takes itself out of the pool by `forget`. */
  destroy(): void;
}

/** The idle connections of one target; the last is the youngest. */
export type IdleStack<C extends Pooled> = C[];

export class Pool<C extends Pooled> {
  readonly #maxConnections: number;
  readonly #stacks: IdleStack<C>[] = [];
  #open = 0;

  constructor(maxConnections: number) {
    this.#maxConnections = maxConnections;
  }

  /** All connections: connecting, in use, idle and tunnels. */
  get open(): number {
    return this.#open;
  }

  newStack(): IdleStack<C> {
    const stack: IdleStack<C> = [];
    this.#stacks.push(stack);
    return stack;
  }

  /**
   * The idle connection that was used last (LIFO: the most likely to be alive, and the surplus grows old and is closed),
   * when it has been idle for no longer than `maxIdleMs`.
   */
  take(stack: IdleStack<C>, nowMs: number, maxIdleMs: number): C | null {
    for (;;) {
      const youngest = stack[stack.length - 1];
      if (youngest === undefined) return null;
      if (youngest.reusableUntilMs <= nowMs) {
        // Its timer is late. `destroy` takes it off the stack.
        youngest.destroy();
        continue;
      }
      if (nowMs - youngest.idleSinceMs > maxIdleMs) return null;
      stack.pop();
      return youngest;
    }
  }

  put(stack: IdleStack<C>, connection: C): void {
    stack.push(connection);
  }

  /** A place for one more connection, at the cost of the longest idle one when the upstream is full; false when none is idle. */
  reserve(): boolean {
    if (this.#open >= this.#maxConnections) this.#oldestIdle()?.destroy();
    if (this.#open >= this.#maxConnections) return false;
    this.#open++;
    return true;
  }

  /** The connection is gone: gives its place back, and takes it off the stack when it was idle. */
  forget(stack: IdleStack<C>, connection: C): void {
    this.#open--;
    const at = stack.lastIndexOf(connection);
    if (at >= 0) stack.splice(at, 1);
  }

  closeIdle(): void {
    for (const stack of this.#stacks) for (const connection of stack.slice()) connection.destroy();
  }

  #oldestIdle(): C | undefined {
    let oldest: C | undefined;
    for (const stack of this.#stacks) {
      const bottom = stack[0];
      if (bottom && (!oldest || bottom.idleSinceMs < oldest.idleSinceMs)) oldest = bottom;
    }
    return oldest;
  }
}
