/**
 * Where the embedded store keeps what must survive a restart: an append-only log of changes, rewritten when most of it is history.
 *
 * A record is `u32 length | u32 CRC-32 of the payload | payload`; a payload is what one event-loop turn changed, whole or not at all.
 * Loading stops at the first record that is not whole: a torn end is cut off, and nothing of it is believed.
 *
 * Written before the answer goes out, so a crash of the process loses nothing that was answered. Flushed to the disk (`fsync`) once a
 * second: a crash of the machine may take the last second with it.
 */
import fs from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";
import type { EmbeddedValue } from "../script.ts";
import type { DurableChange, Entry } from "./tables.ts";

export interface Restored {
  readonly key: string;
  /** Undefined: it was deleted. */
  readonly value: EmbeddedValue | undefined;
  readonly expiresAtMs: number;
}

const MAGIC = Buffer.from("sluice store 1\n");
const RECORD_HEAD_BYTES = 8;
const MAX_RECORD_BYTES = 64 * 1024 * 1024;
/** Rewritten when it is this long and twice as long as when it was written anew. */
const REWRITE_FROM_BYTES = 1024 * 1024;
/** Of a rewrite, written in one event-loop turn. */
const REWRITE_STEP_BYTES = 256 * 1024;

/** Change as JSON: `[key]` deleted, `[key, value, expiresAtMs or null]`. Bytes as `{"$": base64}`. */
type Written = [string] | [string, unknown, number | null];

export class DurableLog {
  readonly #file: string;
  #fd: number;
  #bytes: number;
  /** Length after the last rewrite. */
  #baseBytes: number;
  #unsynced = false;
  #syncing = false;
  #rewrite: Rewrite | null = null;
  /** Why nothing can be kept just now; "" when all is well. */
  #broken = "";

  private constructor(file: string, fd: number, bytes: number) {
    this.#file = file;
    this.#fd = fd;
    this.#bytes = bytes;
    this.#baseBytes = bytes;
  }

  /** Opens or makes `dir/store.log`. `cut` says how many bytes at the end were no whole record. */
  static open(dir: string, restore: (restored: Restored) => void): { log: DurableLog; cutBytes: number } {
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
    const file = path.join(dir, "store.log");
    const fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
    try {
      const bytes = fs.readFileSync(fd);
      const foreign = bytes.length >= MAGIC.length && !bytes.subarray(0, MAGIC.length).equals(MAGIC);
      if (foreign) throw new Error(`${file} is no log of this version of the store; move it away`);
      const end = bytes.length < MAGIC.length ? 0 : load(bytes, restore);
      fs.ftruncateSync(fd, end);
      if (end === 0) fs.writeSync(fd, MAGIC, 0, MAGIC.length, 0);
      return { log: new DurableLog(file, fd, Math.max(end, MAGIC.length)), cutBytes: end === 0 ? 0 : bytes.length - end };
    } catch (thrown) {
      fs.closeSync(fd);
      throw thrown;
    }
  }

  get bytes(): number {
    return this.#bytes;
  }
  get broken(): string {
    return this.#broken;
  }

  /** Written when it returns "", the reason otherwise; then nothing can be kept until a rewrite worked. */
  append(changes: readonly DurableChange[]): string {
    if (this.#broken !== "") return this.#broken;
    const record = recordOf(changes);
    try {
      writeWhole(this.#fd, record, this.#bytes);
      this.#bytes += record.length;
      this.#unsynced = true;
      this.#rewrite?.append(record);
    } catch (thrown) {
      this.#rewrite?.abandon();
      this.#rewrite = null;
      // What was written of the record is overwritten by the next, or cut off when the log is loaded.
      this.#broken = `${this.#file} cannot be written: ${(thrown as Error).message}`;
    }
    return this.#broken;
  }

  /** Once a second: flushes, and begins a rewrite when one is due. */
  tend(entries: ReadonlyMap<string, Entry>): void {
    if (this.#unsynced && !this.#syncing) this.#sync();
    const due = this.#broken !== "" || (this.#bytes > REWRITE_FROM_BYTES && this.#bytes > this.#baseBytes * 2);
    if (due && this.#rewrite === null) this.#begin(entries);
  }

  #sync(): void {
    this.#syncing = true;
    this.#unsynced = false;
    const fd = this.#fd;
    fs.fdatasync(fd, (error) => {
      this.#syncing = false;
      // A rewrite may have put another file in this one's place meanwhile.
      if (error && fd === this.#fd) this.#broken = `${this.#file} cannot be flushed: ${error.message}`;
      if (fd !== this.#fd) fs.closeSync(fd);
    });
  }

  #begin(entries: ReadonlyMap<string, Entry>): void {
    try {
      this.#rewrite = new Rewrite(`${this.#file}.next`, entries);
    } catch (thrown) {
      this.#broken = `${this.#file}.next cannot be written: ${(thrown as Error).message}`;
      return;
    }
    this.#step(this.#rewrite);
  }

  #step(rewrite: Rewrite): void {
    if (rewrite !== this.#rewrite) return;
    try {
      if (rewrite.step()) {
        this.#replace(rewrite);
        return;
      }
    } catch (thrown) {
      rewrite.abandon();
      this.#rewrite = null;
      this.#broken = `${this.#file}.next cannot be written: ${(thrown as Error).message}`;
      return;
    }
    setImmediate(() => this.#step(rewrite));
  }

  /** The new file is whole and on the disk before it takes the old one's name. */
  #replace(rewrite: Rewrite): void {
    fs.fdatasyncSync(rewrite.fd);
    fs.renameSync(`${this.#file}.next`, this.#file);
    syncFolder(path.dirname(this.#file));
    const last = this.#fd;
    this.#fd = rewrite.fd;
    this.#bytes = rewrite.bytes;
    this.#baseBytes = rewrite.bytes;
    this.#unsynced = false;
    this.#rewrite = null;
    this.#broken = "";
    if (!this.#syncing) fs.closeSync(last);
  }

  close(): void {
    this.#rewrite?.abandon();
    this.#rewrite = null;
    fs.fdatasyncSync(this.#fd);
    fs.closeSync(this.#fd);
  }
}

/**
 * A log written anew, some entries a turn, while changes go on: each change goes to both logs. An entry that changes before its turn is
 * written as it is then; one that changes after it is followed by its change.
 */
class Rewrite {
  readonly fd: number;
  bytes = MAGIC.length;
  readonly #file: string;
  readonly #entries: Iterator<[string, Entry]>;

  constructor(file: string, entries: ReadonlyMap<string, Entry>) {
    this.#file = file;
    this.#entries = entries[Symbol.iterator]();
    this.fd = fs.openSync(file, "w", 0o600);
    writeWhole(this.fd, MAGIC, 0);
  }

  append(record: Buffer): void {
    writeWhole(this.fd, record, this.bytes);
    this.bytes += record.length;
  }

  /** True when all entries are written. */
  step(): boolean {
    const changes: DurableChange[] = [];
    let bytes = 0;
    let done = false;
    while (bytes < REWRITE_STEP_BYTES) {
      const next = this.#entries.next();
      if (next.done) {
        done = true;
        break;
      }
      const [key, entry] = next.value;
      changes.push({ key, entry });
      bytes += entry.bytes;
    }
    if (changes.length > 0) this.append(recordOf(changes));
    return done;
  }

  abandon(): void {
    fs.closeSync(this.fd);
    fs.rmSync(this.#file, { force: true });
  }
}

function recordOf(changes: readonly DurableChange[]): Buffer {
  const written = changes.map(({ key, entry }): Written =>
    entry === null ? [key] : [key, pack(entry.value), entry.expiresAtMs === Infinity ? null : entry.expiresAtMs],
  );
  const payload = Buffer.from(JSON.stringify(written));
  const record = Buffer.allocUnsafe(RECORD_HEAD_BYTES + payload.length);
  record.writeUInt32LE(payload.length, 0);
  record.writeUInt32LE(crc32(payload), 4);
  payload.copy(record, RECORD_HEAD_BYTES);
  return record;
}

/** How far the log is whole. */
function load(bytes: Buffer, restore: (restored: Restored) => void): number {
  let at = MAGIC.length;
  while (at + RECORD_HEAD_BYTES <= bytes.length) {
    const length = bytes.readUInt32LE(at);
    const end = at + RECORD_HEAD_BYTES + length;
    if (length === 0 || length > MAX_RECORD_BYTES || end > bytes.length) break;
    const payload = bytes.subarray(at + RECORD_HEAD_BYTES, end);
    if (crc32(payload) !== bytes.readUInt32LE(at + 4)) break;
    for (const [key, value, expiresAtMs] of JSON.parse(payload.toString()) as Written[])
      restore({ key, value: value === undefined ? undefined : unpack(value), expiresAtMs: expiresAtMs ?? Infinity });
    at = end;
  }
  return at;
}

function pack(value: EmbeddedValue): unknown {
  if (Buffer.isBuffer(value)) return { $: value.toString("base64") };
  if (Array.isArray(value)) return value.map(pack);
  // As `{ "o": … }`, so that no table of a script passes for bytes.
  if (typeof value === "object") return { o: Object.fromEntries(Object.entries(value).map(([name, item]) => [name, pack(item)])) };
  return value;
}

function unpack(value: unknown): EmbeddedValue {
  if (Array.isArray(value)) return value.map(unpack);
  if (typeof value !== "object" || value === null) return value as string | number;
  if ("$" in value) return Buffer.from(value.$ as string, "base64");
  return Object.fromEntries(Object.entries((value as { o: object }).o).map(([name, item]) => [name, unpack(item)]));
}

function writeWhole(fd: number, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length;) done += fs.writeSync(fd, bytes, done, bytes.length - done, at + done);
}

/** A rename is on the disk when its folder is. */
function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
