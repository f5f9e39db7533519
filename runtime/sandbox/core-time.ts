/** What the kernel says of a process: how long its main thread stood on a core and queued for one, and how long all its threads did. */
import fs from "node:fs";

const NS_PER_MS = 1e6;
/** USER_HZ, the unit of /proc/PID/stat: 100 on every Linux that Node runs on. */
const MS_PER_TICK = 10;
/** Of the fields behind the name in parentheses (Linux, Documentation/filesystems/proc.rst). */
const UTIME = 11;

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

  /** Milliseconds of its main thread on a core since its start; 0 where the kernel does not tell. Threads that collect garbage are not in it. */
  ranMs(): number {
    return this.#field(0);
  }
  /** The same of all its threads, to 10 ms. */
  allRanMs(): number {
    const text = this.#read(this.#stat);
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ", UTIME + 2);
    return (Number(fields[UTIME] ?? 0) + Number(fields[UTIME + 1] ?? 0)) * MS_PER_TICK;
  }
  /** Milliseconds that it waited for a core: time that passed without its doing. */
  waitedMs(): number {
    return this.#field(1);
  }

  /** "ns on a core, ns waiting for one, time slices" (Linux, Documentation/scheduler/sched-stats.rst). 3 µs. */
  #field(index: number): number {
    return Number(this.#read(this.#schedstat).split(" ", 2)[index] ?? 0) / NS_PER_MS;
  }

  #read(file: number): string {
    if (file < 0) return "";
    try {
      const read = fs.readSync(file, this.#buffer, 0, this.#buffer.length, 0);
      return this.#buffer.latin1Slice(0, read);
    } catch {
      // ESRCH: it has died, and its exit is on the way.
      return "";
    }
  }

  close(): void {
    for (const file of [this.#schedstat, this.#stat]) if (file >= 0) fs.closeSync(file);
    this.#schedstat = this.#stat = -1;
  }
}
