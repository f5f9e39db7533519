/** Frames on a byte stream: `u32 length | u8 encoding | payload` (protocol.ts). */
import { MAX_FRAME_BYTES } from "../protocol.ts";

const HEAD_BYTES = 5;
const LATIN1 = 0;
const UTF16 = 1;

/** Puts frames together from reads of any size. */
export class FrameReader {
  readonly #onFrame: (payload: string) => void;
  /** An unfinished frame, head included. */
  #rest: Buffer | null = null;
  #restBytes = 0;

  constructor(onFrame: (payload: string) => void) {
    this.#onFrame = onFrame;
  }

  /** `bytes` may be reused as soon as this returns. */
  push(bytes: Buffer): void {
    let at = 0;
    if (this.#rest !== null) {
      at = this.#fill(bytes);
      if (this.#rest !== null) return;
    }
    while (bytes.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + lengthAt(bytes, at);
      if (end > bytes.length) break;
      this.#onFrame(payloadOf(bytes, at, end));
      at = end;
    }
    if (at < bytes.length) this.#keep(bytes.subarray(at));
  }

  #keep(bytes: Buffer): void {
    const needed = bytes.length >= HEAD_BYTES ? HEAD_BYTES + lengthAt(bytes, 0) : HEAD_BYTES;
    this.#rest = Buffer.allocUnsafe(needed);
    this.#restBytes = bytes.copy(this.#rest);
  }
  /** Completes the unfinished frame if it can; gives how many bytes it took. */
  #fill(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      const rest = this.#rest!;
      const taken = bytes.copy(rest, this.#restBytes, at);
      at += taken;
      this.#restBytes += taken;
      if (this.#restBytes < rest.length) return at;
      if (rest.length === HEAD_BYTES && lengthAt(rest, 0) > 0) {
        this.#keep(rest);
        continue;
      }
      this.#rest = null;
      this.#onFrame(payloadOf(rest, 0, rest.length));
      return at;
    }
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32LE(at);
  if (length > MAX_FRAME_BYTES) throw new RangeError(`a frame of ${length} bytes came, at most ${MAX_FRAME_BYTES} are allowed`);
  return length;
}

function payloadOf(bytes: Buffer, start: number, end: number): string {
  return bytes[start + 4] === LATIN1 ? bytes.latin1Slice(start + HEAD_BYTES, end) : bytes.ucs2Slice(start + HEAD_BYTES, end);
}

// On a one-byte string V8 answers without looking at it (20 ns for 10 KB), since nothing in it could match.
const WIDE = /[^\x00-\xff]/;

/** A frame as `write` takes it: small Latin-1 ones (nearly all) as a string that libuv writes without a copy of ours. */
export function frame(payload: string): { readonly data: string | Buffer; readonly encoding: "latin1" | undefined } {
  if (!WIDE.test(payload)) return { data: head(payload.length, LATIN1) + payload, encoding: "latin1" };
  const data = Buffer.allocUnsafe(HEAD_BYTES + payload.length * 2);
  data.writeUInt32LE(payload.length * 2, 0);
  data[4] = UTF16;
  data.write(payload, HEAD_BYTES, "utf16le");
  return { data, encoding: undefined };
}

function head(length: number, encoding: number): string {
  return String.fromCharCode(length & 0xff, (length >>> 8) & 0xff, (length >>> 16) & 0xff, length >>> 24, encoding);
}
