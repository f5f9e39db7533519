/** What the kernel says of a process: how long its main thread stood on a core, how long that queued for one, and what all its threads used. */
import fs from "node:fs";

const NS_PER_MS = 1e6;
/** `USER_HZ`, which Linux fixes at 100 for what it tells of processes. */
const MS_PER_TICK = 10;
/** Of what follows the command's name: the 14th and 15th fields of all are utime and stime (proc_pid_stat(5)). */
const USER_FIELD = 11;

export class CoreProbe {
  readonly #buffer = Buffer.alloc(512);
  #schedstat = -1;
  #stat = -1;

  constructor(pid: number) {
    try {
      this.#schedstat = fs.openSync(`/proc/${pid}/schedstat`, "r");
      this.#stat = fs.openSync(`/proc/${pid}/stat`, "r");
    } catch {
      // No Linux, a kernel built without it, or the process is gone already: silence is the guard that is left.
      this.close();
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

  /** Milliseconds of CPU that all its threads used, those that collect garbage too; in steps of 10. */
  allRanMs(): number {
    const text = this.#read(this.#stat);
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ", USER_FIELD + 2);
    return (Number(fields[USER_FIELD] ?? 0) + Number(fields[USER_FIELD + 1] ?? 0)) * MS_PER_TICK;
  }

  /** "ns on a core, ns waiting for one, time slices" (Linux, Documentation/scheduler/sched-stats.rst). 3 µs. */
  #field(index: number): number {
    return Number(this.#read(this.#schedstat).split(" ", 2)[index] ?? 0) / NS_PER_MS;
  }

  #read(descriptor: number): string {
    if (descriptor < 0) return "";
    try {
      return this.#buffer.latin1Slice(0, fs.readSync(descriptor, this.#buffer, 0, this.#buffer.length, 0));
    } catch {
      // ESRCH: it has died, and its exit is on the way.
      return "";
    }
  }

  close(): void {
    for (const descriptor of [this.#schedstat, this.#stat]) if (descriptor >= 0) fs.closeSync(descriptor);
    this.#schedstat = this.#stat = -1;
  }
}
