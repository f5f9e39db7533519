/**
 * What a worker and the embedded store's process say to each other over one duplex pipe.
 *
 * A frame is `u32 little-endian payload length | payload`; a payload is a list of records. In each event-loop turn each side sends at
 * most one frame with everything that turn produced. Lengths instead of separators: keys and values are hostile.
 *
 * Record to the store: `op u8 | call u32 | script u16 | n u16, n × value (keys) | n u16, n × value (arguments)`.
 * Record from it: `kind u8 | call u32 | n u16, n × value`.
 * Value: `tag u8`, then nothing (null), `u32 length | UTF-8`, `f64`, or `u32 length | bytes`.
 */
import { GatewayError } from "../../errors.ts";

export const ToStore = {
  /** script: its place in HELLO's list. */
  RUN: 1,
  /** keys → their values. */
  GET: 2,
  /** one key; bytes, ttlMs (null: none), durable (0, 1). */
  SET: 3,
  /** keys → how many there were. */
  DELETE: 4,
  /** one key: the topic; message. */
  PUBLISH: 5,
  /** one key: the topic; epoch ("" at first), number of the last message seen. Answer: epoch, number from which it goes on, gap (0, 1). */
  SUBSCRIBE: 6,
  /** one key: the topic. */
  UNSUBSCRIBE: 7,
  PING: 8,
  /** member (0, 1): counts among `liveMembers`. Comes first. Answer: HELLO. */
  HELLO: 9,
} as const;

export const FromStore = {
  /** Values of a call. */
  REPLY: 1,
  /** code, detail. */
  ERROR: 2,
  /** topic, number, message. */
  MESSAGE: 3,
  /** epoch, members, names of scripts … */
  HELLO: 4,
  /** How many members there are now. */
  MEMBERS: 5,
} as const;

export type FrameValue = string | number | null | Uint8Array;

export interface CallRecord {
  readonly kind: number;
  readonly call: number;
  readonly script: number;
  readonly keys: readonly string[];
  readonly args: readonly FrameValue[];
}

export interface AnswerRecord {
  readonly kind: number;
  readonly call: number;
  readonly values: readonly FrameValue[];
}

const Tag = { NULL: 0, TEXT: 1, NUMBER: 2, BYTES: 3 } as const;
export const MAX_FRAME_BYTES = 64 * 1024 * 1024;
const HEADER_BYTES = 4;
const FIRST_BYTES = 16 * 1024;
/** What a frame left behind is given back above this. */
const KEPT_BYTES = 1024 * 1024;
const MAX_LIST = 65_535;

/** Said of whoever is at the other end: the pipe is then closed. */
export class FrameError extends Error {}

export class FrameWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #end = HEADER_BYTES;

  get empty(): boolean {
    return this.#end === HEADER_BYTES;
  }
  get length(): number {
    return this.#end;
  }

  /** @throws GatewayError when the lists or the frame are too long; nothing is written then. */
  call(kind: number, call: number, script: number, keys: readonly string[], args: readonly FrameValue[]): void {
    const start = this.#end;
    try {
      this.#head(kind, call);
      this.#u16(script);
      this.#list(keys);
      this.#list(args);
    } catch (thrown) {
      this.#end = start;
      throw thrown;
    }
  }

  answer(kind: number, call: number, values: readonly FrameValue[]): void {
    const start = this.#end;
    try {
      this.#head(kind, call);
      this.#list(values);
    } catch (thrown) {
      this.#end = start;
      throw thrown;
    }
  }

  /** The frame, ready to be sent. */
  take(): Buffer {
    this.#bytes.writeUInt32LE(this.#end - HEADER_BYTES, 0);
    const frame = Buffer.from(this.#bytes.subarray(0, this.#end));
    this.#end = HEADER_BYTES;
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafe(FIRST_BYTES);
    return frame;
  }

  #head(kind: number, call: number): void {
    this.#room(5);
    this.#bytes[this.#end] = kind;
    this.#bytes.writeUInt32LE(call, this.#end + 1);
    this.#end += 5;
  }

  #u16(value: number): void {
    this.#room(2);
    this.#bytes.writeUInt16LE(value, this.#end);
    this.#end += 2;
  }

  #list(values: readonly FrameValue[]): void {
    if (values.length > MAX_LIST) throw new GatewayError("STORE_REFUSED", `a list of ${values.length} values, at most ${MAX_LIST} are allowed`);
    this.#u16(values.length);
    for (const value of values) this.#value(value);
  }

  #value(value: FrameValue): void {
    if (typeof value === "string") {
      // UTF-8 takes at most three bytes for a UTF-16 unit.
      this.#room(5 + value.length * 3);
      this.#bytes[this.#end] = Tag.TEXT;
      const length = this.#bytes.write(value, this.#end + 5, "utf8");
      this.#bytes.writeUInt32LE(length, this.#end + 1);
      this.#end += 5 + length;
    } else if (typeof value === "number") {
      this.#room(9);
      this.#bytes[this.#end] = Tag.NUMBER;
      this.#bytes.writeDoubleLE(value, this.#end + 1);
      this.#end += 9;
    } else if (value === null) {
      this.#room(1);
      this.#bytes[this.#end++] = Tag.NULL;
    } else {
      this.#room(5 + value.length);
      this.#bytes[this.#end] = Tag.BYTES;
      this.#bytes.writeUInt32LE(value.length, this.#end + 1);
      this.#bytes.set(value, this.#end + 5);
      this.#end += 5 + value.length;
    }
  }

  #room(bytes: number): void {
    const needed = this.#end + bytes;
    if (needed <= this.#bytes.length) return;
    if (needed > MAX_FRAME_BYTES) throw new GatewayError("STORE_FULL", `more than ${MAX_FRAME_BYTES} bytes at once`);
    const larger = Buffer.allocUnsafe(Math.min(MAX_FRAME_BYTES, Math.max(needed, this.#bytes.length * 2)));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }
}

/** Reads one payload. Bytes it hands out are views of the payload. */
class PayloadReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  get done(): boolean {
    return this.#at === this.#bytes.length;
  }
  u8(): number {
    return this.#bytes[this.#pass(1)]!;
  }
  u16(): number {
    return this.#bytes.readUInt16LE(this.#pass(2));
  }
  u32(): number {
    return this.#bytes.readUInt32LE(this.#pass(4));
  }
  value(): FrameValue {
    const tag = this.u8();
    switch (tag) {
      case Tag.NULL:
        return null;
      case Tag.NUMBER:
        return this.#bytes.readDoubleLE(this.#pass(8));
      case Tag.TEXT: {
        const length = this.u32();
        const start = this.#pass(length);
        return this.#bytes.toString("utf8", start, start + length);
      }
      case Tag.BYTES: {
        const length = this.u32();
        const start = this.#pass(length);
        return this.#bytes.subarray(start, start + length);
      }
      default:
        throw new FrameError(`a value of kind ${tag}`);
    }
  }
  list(): FrameValue[] {
    const length = this.u16();
    const values: FrameValue[] = [];
    for (let i = 0; i < length; i++) values.push(this.value());
    return values;
  }
  #pass(bytes: number): number {
    const start = this.#at;
    if (start + bytes > this.#bytes.length) throw new FrameError("a record passes the end of its frame");
    this.#at = start + bytes;
    return start;
  }
}

export function* readCalls(payload: Buffer): Generator<CallRecord> {
  const reader = new PayloadReader(payload);
  while (!reader.done) {
    const kind = reader.u8();
    const call = reader.u32();
    const script = reader.u16();
    const keys = reader.list();
    if (!keys.every((key) => typeof key === "string")) throw new FrameError("a key that is no text");
    yield { kind, call, script, keys, args: reader.list() };
  }
}

export function* readAnswers(payload: Buffer): Generator<AnswerRecord> {
  const reader = new PayloadReader(payload);
  while (!reader.done) yield { kind: reader.u8(), call: reader.u32(), values: reader.list() };
}

/** Puts payloads together from whatever pieces the pipe brings. */
export class FrameSplitter {
  readonly #onPayload: (payload: Buffer) => void;
  #pieces: Buffer[] = [];
  #held = 0;
  /** Of the frame that is being read, header included; 0 while the header is not complete. */
  #wanted = 0;

  constructor(onPayload: (payload: Buffer) => void) {
    this.#onPayload = onPayload;
  }

  /** @throws FrameError for a frame that is too long, and whatever `onPayload` throws. */
  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#held += piece.length;
    while (this.#held >= Math.max(HEADER_BYTES, this.#wanted)) {
      if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces, this.#held)];
      const bytes = this.#pieces[0]!;
      if (this.#wanted === 0) {
        const length = bytes.readUInt32LE(0);
        if (length > MAX_FRAME_BYTES) throw new FrameError(`a frame of ${length} bytes`);
        this.#wanted = HEADER_BYTES + length;
        continue;
      }
      const rest = bytes.subarray(this.#wanted);
      this.#pieces = rest.length > 0 ? [rest] : [];
      this.#held = rest.length;
      const payload = bytes.subarray(HEADER_BYTES, this.#wanted);
      this.#wanted = 0;
      this.#onPayload(payload);
    }
  }
}
