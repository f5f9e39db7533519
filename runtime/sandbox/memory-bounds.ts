/**
 * How much memory a sandbox process may hold. isolated-vm's own limit is no bound (an array of arrays reached 1,126 MB under a
 * limit of 32 MB), so two guards stand outside: the worker reads the process's resident memory while it works, and the
 * kernel refuses data pages beyond RLIMIT_DATA, should the worker itself be late.
 */
import fs from "node:fs";

const KIB = 1024;
const MIB = 1024 * KIB;
/**
 * Writable address space, not memory: V8 reserves 512 MiB for code per isolate, writable from the start, and RLIMIT_DATA counts it.
 * Figures of Node 26 on x64; the first process that runs replaces them by its own.
 */
const PROCESS_DATA_BYTES = 800 * MIB;
const ISOLATE_DATA_BYTES = 560 * MIB;
/** Thread stacks, buffers of frames, malloc's own. */
const DATA_SLACK_BYTES = 64 * MIB;
/** Above a process's isolates: one that a swap of releases adds, and one that is made anew before the lost one is wholly gone. */
const SPARE_SEATS = 2;
/** Where no tool can move the limit of a running process, it has seats for this many from the start. */
const FIXED_SEATS = 8;

export interface MemoryReading {
  readonly residentBytes: number;
  readonly dataBytes: number;
}

/** One for all sandboxes of a worker: what one process showed sizes the next. */
export class MemoryBounds {
  readonly #ruleMemoryBytes: number;
  #processDataBytes = PROCESS_DATA_BYTES;
  #isolateDataBytes = ISOLATE_DATA_BYTES;

  constructor(ruleMemoryBytes: number) {
    this.#ruleMemoryBytes = ruleMemoryBytes;
  }

  /** What a process had when it was ready, with `isolates` of them. */
  learn(reading: MemoryReading, isolates: number): void {
    if (reading.dataBytes === 0) return;
    if (isolates === 0) this.#processDataBytes = reading.dataBytes;
    else if (isolates === 1) this.#isolateDataBytes = Math.max(64 * MIB, reading.dataBytes - this.#processDataBytes);
  }

  /** How many isolates a process with `isolates` of them is given room for. */
  seats(isolates: number, movable: boolean): number {
    return movable ? Math.max(1, isolates) + SPARE_SEATS : FIXED_SEATS;
  }
  dataLimitBytes(seats: number): number {
    return this.#processDataBytes + seats * this.#isolateDataBytes + this.#allowance(1) + DATA_SLACK_BYTES;
  }

  /**
   * Resident bytes at which the process is killed: what it had when it was ready, and for each release's isolate its limit, and
   * once more for the one that is being collected (V8 copies what lives) or made anew.
   */
  residentLimitBytes(baselineBytes: number, isolates: number): number {
    return baselineBytes + this.#allowance(isolates);
  }

  #allowance(isolates: number): number {
    return this.#ruleMemoryBytes * (Math.max(1, isolates) + 1);
  }
}

/** Reads /proc for one process; zeros where there is none. */
export class MemoryProbe {
  readonly #pid: number;
  readonly #buffer = Buffer.alloc(256);
  #statm = -1;

  constructor(pid: number) {
    this.#pid = pid;
    try {
      this.#statm = fs.openSync(`/proc/${pid}/statm`, "r");
    } catch {
      // No /proc here (macOS), or the process is gone already: RLIMIT_DATA is the guard that is left.
      this.#statm = -1;
    }
  }

  /** 3 µs. */
  residentBytes(): number {
    if (this.#statm < 0) return 0;
    try {
      const read = fs.readSync(this.#statm, this.#buffer, 0, this.#buffer.length, 0);
      return Number(this.#buffer.latin1Slice(0, read).split(" ", 2)[1] ?? 0) * PAGE_BYTES;
    } catch {
      // ESRCH: it has died, and its exit is on the way.
      return 0;
    }
  }

  read(): MemoryReading {
    try {
      const status = fs.readFileSync(`/proc/${this.#pid}/status`, "latin1");
      const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
      return { residentBytes: kib("VmRSS") * KIB, dataBytes: kib("VmData") * KIB };
    } catch {
      return { residentBytes: 0, dataBytes: 0 };
    }
  }

  close(): void {
    if (this.#statm >= 0) fs.closeSync(this.#statm);
    this.#statm = -1;
  }
}

/** Linux counts statm in pages; 4 KiB on x64 and on nearly every arm64. Where pages are larger the reading is too small, never too large. */
const PAGE_BYTES = 4096;
