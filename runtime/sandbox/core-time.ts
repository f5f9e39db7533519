/** What the kernel says of a process's main thread: how long it stood on a core, and how long it queued for one. Threads that collect garbage are not in it. */
import fs from "node:fs";

const NS_PER_MS = 1e6;

export class CoreProbe {
  readonly #buffer = Buffer.alloc(128);
  #schedstat = -1;

  constructor(pid: number) {
    try {
      this.#schedstat = fs.openSync(`/proc/${pid}/schedstat`, "r");
    } catch {
      // No Linux, a kernel built without it, or the process is gone already: silence is the guard that is left.
      this.#schedstat = -1;
    }
  }

  /** Milliseconds on a core since its start; 0 where the kernel does not tell. */
  ranMs(): number {
    return this.#field(0);
  }
  /** Milliseconds that it waited for a core: time that passed without its doing. */
  waitedMs(): number {
    return this.#field(1);
  }

  /** "ns on a core, ns waiting for one, time slices" (Linux, Documentation/scheduler/sched-stats.rst). 3 µs. */
  #field(index: number): number {
    if (this.#schedstat < 0) return 0;
    try {
      const read = fs.readSync(this.#schedstat, this.#buffer, 0, this.#buffer.length, 0);
      return Number(this.#buffer.latin1Slice(0, read).split(" ", 2)[index] ?? 0) / NS_PER_MS;
    } catch {
      // ESRCH: it has died, and its exit is on the way.
      return 0;
    }
  }

  close(): void {
    if (this.#schedstat >= 0) fs.closeSync(this.#schedstat);
    this.#schedstat = -1;
  }
}
