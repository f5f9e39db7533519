import { Duplex } from "node:stream";
import type { Socket } from "node:net";
import { resumeReading } from "./socket.ts";

/**
 * The raw connection after an upgrade, as a stream. Sockets read by `onread` never emit `'data'` and cannot be piped, so
 * their bytes are copied in here. No time-out: TCP keep-alive finds dead peers, the drain limit ends the living.
 */
export class Tunnel extends Duplex {
  readonly #socket: Socket;
  #paused = false;

  constructor(socket: Socket) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
  }

  /** Nobody reads at the moment; `_read` resumes the socket. */
  get full(): boolean {
    return this.#paused;
  }

  /** `bytes` must not be reused. */
  received(bytes: Buffer): void {
    if (!this.push(bytes)) this.#paused = true;
  }
  peerEnded(): void {
    this.push(null);
  }
  peerClosed(error: Error | null): void {
    // Without an error this still ends a stream whose other half never finished.
    this.destroy(error ?? undefined);
  }

  override _read(): void {
    if (!this.#paused) return;
    this.#paused = false;
    resumeReading(this.#socket);
  }
  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(bytes, done);
  }
  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#socket.destroyed) {
      if (this.writableFinished) this.#socket.destroySoon();
      else this.#socket.destroy();
    }
    done(error);
  }
}

const KEEP_ALIVE_PROBE_MS = 60_000;
