/**
 * Frames over the pipe to a sandbox process: records are collected and leave as one frame per event-loop turn, because an
 * entry into an isolate costs the same for one record as for sixteen (`protocol.ts` has the layout).
 */
import type { Readable } from "node:stream";
import net from "node:net";
import { MAX_FRAME_BYTES } from "./protocol.ts";

const HEADER_BYTES = 5;
/** A turn that produced more than this is cut into several frames, so that a burst of large bodies never reaches MAX_FRAME_BYTES. */
const CUT_UNITS = 8 * 1024 * 1024;
const READ_BUFFER_BYTES = 256 * 1024;
// V8 answers this at once for strings that it stores one byte a character (0.05 µs for a frame of 20 KB), and scans only the others.
const BEYOND_LATIN1 = /[^\x00-\xff]/;

export interface FrameEvents {
  frame(text: string): void;
  /** What came is no frame. */
  broken(reason: string): void;
  /** The other end is gone. */
  closed(): void;
}

export class FrameLink {
  readonly #socket: net.Socket;
  readonly #events: FrameEvents;
  #out = "";
  #flushing = false;
  #closed = false;
  /** Bytes of a frame that has not arrived whole. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  #wantBytes = HEADER_BYTES;

  constructor(pipe: net.Socket, events: FrameEvents) {
    this.#events = events;
    this.#socket = reading(pipe, (bytes) => this.#receive(bytes));
    this.#socket.on("error", () => this.#end());
    this.#socket.on("close", () => this.#end());
    this.#socket.on("end", () => this.#end());
  }

  /** Adds a record to this turn's frame. */
  send(record: string): void {
    if (this.#closed) return;
    this.#out += record;
    if (this.#out.length > CUT_UNITS) this.#write();
    else if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => {
        this.#flushing = false;
        this.#write();
      });
    }
  }

  close(): void {
    this.#closed = true;
    this.#out = "";
    this.#parts = [];
    this.#socket.destroy();
  }

  #end(): void {
    if (this.#closed) return;
    this.close();
    this.#events.closed();
  }

  #write(): void {
    const text = this.#out;
    if (text === "" || this.#closed) return;
    this.#out = "";
    if (BEYOND_LATIN1.test(text)) this.#socket.write(header(text.length * 2, 1) + Buffer.from(text, "utf16le").latin1Slice(), "latin1");
    else this.#socket.write(header(text.length, 0) + text, "latin1");
  }

  /** `bytes` is a view of the read buffer, valid only during this call. */
  #receive(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.#closed) {
      if (this.#partBytes === 0) {
        const end = this.#frameEnd(bytes, at);
        if (end < 0) return;
        if (end > 0 && end <= bytes.length) {
          this.#deliver(bytes, at, end);
          at = end;
          continue;
        }
      }
      at = this.#keep(bytes, at);
    }
  }

  /** Where the frame at `at` ends; 0 when its header is not whole; -1 when it is too large (and the link is broken). */
  #frameEnd(bytes: Buffer, at: number): number {
    if (bytes.length - at < HEADER_BYTES) return 0;
    const length = bytes.readUInt32LE(at);
    const encoding = bytes[at + 4]!;
    if (length <= MAX_FRAME_BYTES && encoding <= 1) return at + HEADER_BYTES + length;
    this.close();
    this.#events.broken(length > MAX_FRAME_BYTES ? `a frame of ${length} bytes` : `a frame of encoding ${encoding}`);
    return -1;
  }

  /** Copies up to what is wanted, delivers when it is whole, and tells how far it took. */
  #keep(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#wantBytes - this.#partBytes);
    this.#parts.push(Buffer.from(bytes.subarray(at, end)));
    this.#partBytes += end - at;
    if (this.#partBytes < this.#wantBytes) return end;
    const whole = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    const frameEnd = this.#frameEnd(whole, 0);
    if (frameEnd < 0) return end;
    if (frameEnd > whole.length) {
      this.#parts = [whole];
      this.#wantBytes = frameEnd;
      return end;
    }
    this.#parts = [];
    this.#partBytes = 0;
    this.#wantBytes = HEADER_BYTES;
    this.#deliver(whole, 0, frameEnd);
    return end;
  }

  #deliver(bytes: Buffer, at: number, end: number): void {
    const text = bytes[at + 4] === 0 ? bytes.latin1Slice(at + HEADER_BYTES, end) : bytes.ucs2Slice(at + HEADER_BYTES, end);
    this.#events.frame(text);
  }
}

function header(length: number, encoding: number): string {
  return String.fromCharCode(length & 0xff, (length >>> 8) & 0xff, (length >>> 16) & 0xff, length >>> 24, encoding);
}

/**
 * The same pipe, read into one buffer that is reused (no allocation and no stream machinery per read). `onread` can only be
 * given when a socket is made, so the handle moves to a new one; where Node gives no handle, plain 'data' does.
 */
function reading(pipe: net.Socket, receive: (bytes: Buffer) => void): net.Socket {
  const holder = pipe as unknown as { _handle: object | null };
  const handle = holder._handle;
  if (!handle) return (pipe as net.Socket & Readable).on("data", receive);
  holder._handle = null;
  pipe.destroy();
  const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  const options = {
    handle,
    onread: {
      buffer,
      callback(count: number) {
        receive(buffer.subarray(0, count));
        return true;
      },
    },
  };
  const socket = new net.Socket(options as unknown as net.SocketConstructorOpts);
  socket.resume();
  socket.read(0);
  return socket;
}
