/** Bytes both ways between two raw connections, after a 101 (RFC 9110 section 7.8). */
import type { Duplex } from "node:stream";
import type { Clock, Timer } from "../clock.ts";

export interface TunnelOptions {
  /** Without a byte in either direction for this long, both ends are destroyed. */
  readonly idleTimeoutMs: number;
  readonly clock: Clock;
  /** Once, when both ends are closed. */
  readonly onEnd: (bytesUp: number, bytesDown: number) => void;
}

/**
 * Joins `a` (the client) and `b` (the upstream). An end in one direction is passed on and leaves the other open; an error, a
 * reset or silence destroys both. A side that takes nothing pauses the one that sends.
 */
export function tunnel(a: Duplex, b: Duplex, options: TunnelOptions): void {
  new Tunnel(a, b, options).open();
}

class Tunnel {
  readonly #a: Duplex;
  readonly #b: Duplex;
  readonly #options: TunnelOptions;
  readonly #up = { bytes: 0 };
  readonly #down = { bytes: 0 };
  #openEnds = 2;
  #lastByteMs: number;
  #timer: Timer | null = null;

  constructor(a: Duplex, b: Duplex, options: TunnelOptions) {
    this.#a = a;
    this.#b = b;
    this.#options = options;
    this.#lastByteMs = options.clock.now();
  }

  open(): void {
    this.#watch(this.#a);
    this.#watch(this.#b);
    this.#arm(this.#options.idleTimeoutMs);
    this.#carry(this.#a, this.#b, this.#up);
    this.#carry(this.#b, this.#a, this.#down);
  }

  #carry(from: Duplex, to: Duplex, count: { bytes: number }): void {
    from.on("data", (piece: Buffer) => {
      count.bytes += piece.length;
      this.#lastByteMs = this.#options.clock.now();
      if (!to.destroyed && !to.write(piece)) from.pause();
    });
    to.on("drain", () => from.resume());
    from.once("end", () => to.end());
    // What was detached from a parser is paused.
    from.resume();
  }

  #watch(end: Duplex): void {
    if (end.destroyed) return this.#closed();
    // "close" follows each error, and says all there is to do.
    end.on("error", () => this.#destroy());
    end.once("close", () => this.#closed());
  }

  #closed(): void {
    this.#openEnds--;
    // Both directions ended when an end closes by itself; if not, it was reset, and the other can't know otherwise.
    const halves = [this.#a, this.#b];
    if (halves.some((end) => end.destroyed && !(end.readableEnded && end.writableFinished))) this.#destroy();
    if (this.#openEnds > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
    this.#options.onEnd(this.#up.bytes, this.#down.bytes);
  }

  #destroy(): void {
    this.#a.destroy();
    this.#b.destroy();
  }

  #arm(ms: number): void {
    this.#timer = this.#options.clock.after(ms, () => this.#onTimer());
  }

  /** One timer, set again for the rest when bytes came meanwhile. */
  #onTimer(): void {
    const leftMs = this.#lastByteMs + this.#options.idleTimeoutMs - this.#options.clock.now();
    if (leftMs > 0) return this.#arm(Math.ceil(leftMs));
    this.#timer = null;
    this.#destroy();
  }
}
