/**
 * What one worker has counted and the store has not, on disk: written before a client sees the answer that was counted, so that a worker that is
 * killed loses nothing. Another worker reads what it left and brings it to the store, where the events' numbers keep them from counting twice.
 *
 *     WORKER~PID~STARTED.N.log   lines "number run event", a new file each megabyte, deleted when the store has all of it
 *     WORKER~PID~STARTED.lost    what this worker had to drop, written over in place: `{"run":[exposures,goals,errors]}` and spaces
 *
 * Writes go to the page cache (some 4 µs); nothing waits for the disk. A machine that loses its power may lose the last seconds.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";

/** By kind of event, since the worker's start: exposures, goals, errors. */
export type Lost = [number, number, number];

export interface JournalEvent {
  readonly number: number;
  readonly run: string;
  readonly text: string;
}

/** What a worker that is gone left behind. */
export interface Leftover {
  readonly worker: string;
  /** A file at a time, with turns for others in between: a mebibyte takes some 10 ms. */
  readonly read: () => Promise<{ readonly events: readonly JournalEvent[]; readonly lost: ReadonlyMap<string, Lost> }>;
  /** Deletes it. */
  readonly forget: () => void;
}

const FILE_BYTES = 1024 * 1024;
/** Taken when the journal is opened, so that losses can be told on a full disk too. */
const LOST_BYTES = 16 * 1024;
const NAME = /^(([A-Za-z0-9_-]+)~(\d+)~(\d+))\.(?:(\d+)\.log|lost)$/;

interface Segment {
  readonly file: string;
  readonly descriptor: number;
  bytes: number;
  lastNumber: number;
}

export class Journal {
  readonly #stem: string;
  readonly #lostFile: string;
  readonly #lostDescriptor: number;
  #segments: Segment[] = [];
  #next = 0;

  constructor(dir: string, worker: string) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#stem = path.join(dir, `${worker}~${process.pid}~${startOf(process.pid)}`);
    this.#lostFile = `${this.#stem}.lost`;
    this.#lostDescriptor = openSync(this.#lostFile, "wx", 0o600);
    writeSync(this.#lostDescriptor, "{}".padEnd(LOST_BYTES), 0);
  }

  /** Throws when it cannot be written; then nothing was. */
  append({ number, run, text }: JournalEvent): void {
    let segment = this.#segments.at(-1);
    if (segment === undefined || segment.bytes >= FILE_BYTES) {
      // The folder may have been taken away meanwhile.
      mkdirSync(path.dirname(this.#stem), { recursive: true, mode: 0o700 });
      const file = `${this.#stem}.${this.#next++}.log`;
      segment = { file, descriptor: openSync(file, "ax", 0o600), bytes: 0, lastNumber: 0 };
      this.#segments.push(segment);
    }
    const line = Buffer.from(`${number} ${run} ${text}\n`, "latin1");
    const written = writeSync(segment.descriptor, line);
    segment.bytes += written;
    if (written < line.length) {
      // A full disk takes a part: the line's end is missing, and with it the line.
      segment.bytes = FILE_BYTES;
      throw new Error(`${segment.file}: no room`);
    }
    segment.lastNumber = number;
  }

  /** False: more runs lost something than have room there. */
  tellLost(lost: ReadonlyMap<string, Lost>): boolean {
    const text = JSON.stringify(Object.fromEntries(lost));
    if (text.length > LOST_BYTES) return false;
    writeSync(this.#lostDescriptor, text.padEnd(LOST_BYTES), 0);
    return true;
  }

  /** The store has every event below this number. */
  settled(below: number): void {
    while (this.#segments.length > 0 && this.#segments[0]!.lastNumber < below) {
      const [first] = this.#segments;
      // One that is still written to, and small, is kept: what it holds is known to the store, and would not count twice.
      if (this.#segments.length === 1 && first!.bytes < FILE_BYTES) return;
      this.#drop(first!);
    }
  }

  /** `forget`: nothing of it is needed any more. */
  close(forget: boolean): void {
    closeSync(this.#lostDescriptor);
    for (const { descriptor } of this.#segments) closeSync(descriptor);
    if (!forget) return;
    for (const { file } of this.#segments) rmSync(file, { force: true });
    rmSync(this.#lostFile, { force: true });
  }

  #drop(segment: Segment): void {
    this.#segments = this.#segments.filter((other) => other !== segment);
    closeSync(segment.descriptor);
    rmSync(segment.file, { force: true });
  }
}

/** Of workers whose process is gone, in this folder. Reads at most `most` of them: others have their turn later. */
export function leftovers(dir: string, most: number): readonly Leftover[] {
  const stems = new Map<string, { worker: string; files: { file: string; place: number }[] }>();
  for (const name of namesIn(dir)) {
    const match = NAME.exec(name);
    if (match === null) continue;
    const [, stem, worker, pid, started, place] = match as unknown as [string, string, string, string, string, string | undefined];
    if (startOf(Number(pid)) === Number(started)) continue;
    if (!stems.has(stem) && stems.size >= most) continue;
    const found = stems.get(stem) ?? { worker, files: [] };
    found.files.push({ file: path.join(dir, name), place: place === undefined ? -1 : Number(place) });
    stems.set(stem, found);
  }
  return [...stems.values()].map(leftover);
}

function leftover({ worker, files }: { worker: string; files: { file: string; place: number }[] }): Leftover {
  return {
    worker,
    async read() {
      const events: JournalEvent[] = [];
      let lost: ReadonlyMap<string, Lost> = new Map();
      for (const { file, place } of files.sort((a, b) => a.place - b.place)) {
        const text = await textOf(file);
        if (place < 0) lost = lostIn(text);
        // Behind the last line's end stands what was not written whole.
        else for (const line of text.split("\n").slice(0, -1)) events.push(...eventIn(line));
      }
      return { events, lost };
    },
    forget: () => {
      for (const { file } of files) rmSync(file, { force: true });
    },
  };
}

function eventIn(line: string): JournalEvent[] {
  const match = /^(\d+) (\S+) (\S+ [xecv] .+)$/.exec(line);
  return match === null ? [] : [{ number: Number(match[1]), run: match[2]!, text: match[3]! }];
}

function lostIn(text: string): ReadonlyMap<string, Lost> {
  try {
    return new Map(Object.entries(JSON.parse(text) as Record<string, Lost>));
  } catch {
    // Killed before it was written for the first time.
    return new Map();
  }
}

/** Another worker may have finished it just now. */
async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, "latin1");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw thrown;
  }
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir).sort();
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw thrown;
  }
}

/** When the process began (proc(5), field 22 of `stat`), so that another one with its number is told apart; -1: it is gone. */
function startOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, in parentheses, may hold anything.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return isRunning(pid) ? 0 : -1;
  }
}

/** Where there is no /proc. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EPERM";
  }
}
